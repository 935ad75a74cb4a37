"""A face in any picture: found, aligned, translated and blended. Nothing here imports TensorFlow or Keras."""

STRONGEST = 1.5     # strength of a change; above it, faces become masks
