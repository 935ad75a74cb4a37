"""Conversion between pixels (uint8 RGB, outside the networks) and their values inside (float32 in [-1, 1])."""

import numpy as np


def scaled(values):
    """Floats from [0, 255] to [-1, 1]: an array, or a tensor of any backend."""
    return values / 127.5 - 1


def unscaled(images):
    """Floats from [-1, 1] to [0, 255]: an array, or a tensor of any backend. Not rounded."""
    return (images + 1) * 127.5


def to_pixels(images):
    """Float (..., 3) in [-1, 1] -> uint8 RGB, rounded and clipped."""
    return np.clip(np.rint(unscaled(np.asarray(images, np.float32))), 0, 255).astype(np.uint8)


def to_floats(pixels):
    """uint8 RGB (..., 3) -> float32 in [-1, 1]."""
    return scaled(np.asarray(pixels, np.float32))
