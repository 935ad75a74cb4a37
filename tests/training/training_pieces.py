"""Shared pieces of the training tests."""

import numpy as np
from keras import ops

from ageing.pixels import to_floats
from ageing.training.engine import TensorFlow
from ageing.training.recipe import TERMS
from ageing.utkface import labels_of
from data_loader import LabelledFaces, LoadedFaces

COMPILE = TensorFlow.compile  # the real one, also where the fixture `eager` has replaced it

# The losses of a step in which nothing is wrong.
GOOD_LOSSES = {f"{term}_{way}": 0.1 for term in TERMS for way in ("AB", "BA")} | {
    "adversarial_AB": 0.3, "adversarial_BA": 0.3, "d_A": 0.2, "d_B": 0.2,
    "classifier": 1.0, "g_gradient": 1.0, "d_gradient": 1.0}


def labelled_faces(n, seed=1, side=16):
    """LabelledFaces (n, side, side, 3) of noise in 8-bit pixels, with random labels."""
    images, labels, _ = _noise(np.random.default_rng(seed), n, side)
    return LabelledFaces(ops.convert_to_tensor(to_floats(images)), ops.convert_to_tensor(labels))


class NoiseFaces:
    """In place of data_loader.UnpairedFaces: noise, with random labels. transform: six numbers, for all faces."""

    seed = 1

    def __init__(self, size, transform=None):
        self.size, self.transform = size, transform

    def batch(self, n, stream, step):
        rng = np.random.default_rng([stream, step])
        return tuple(_noise(rng, n, self.size, self.transform) for _ in range(2))


def _noise(rng, n, side, transform=None):
    transforms = None if transform is None else np.float32(transform) * np.ones((n, 6), np.float32)
    labels = labels_of(rng.integers(10, size=n))
    return LoadedFaces(rng.integers(0, 256, (n, side, side, 3), np.uint8), labels, transforms)
