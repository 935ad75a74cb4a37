"""Conversion between pixels (uint8 RGB, outside the networks) and their values inside (float32 in [-1, 1])."""

import numpy as np


def to_pixels(images):
    """Float (..., 3) in [-1, 1] -> uint8 RGB, rounded and clipped."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def to_floats(pixels):
    """uint8 RGB (..., 3) -> float32 in [-1, 1]."""
    return np.asarray(pixels, np.float32) / np.float32(127.5) - 1
