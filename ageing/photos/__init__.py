"""From a photo to an aged one. Nothing here imports TensorFlow or Keras."""
