"""From a photo to an aged one. Nothing here imports TensorFlow or Keras."""

STRONGEST = 1.5     # strength of a change; above it, faces become masks
