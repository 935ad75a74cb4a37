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


def labelled_faces(n, seed=1, side=16, ages=None):
    """LabelledFaces (n, side, side, 3) of noise in 8-bit pixels, with random labels. ages: a range in years or None."""
    images, labels, ages, _ = _noise(np.random.default_rng(seed), n, side, ages=ages)
    return LabelledFaces(ops.convert_to_tensor(to_floats(images)), ops.convert_to_tensor(labels),
                         ages if ages is None else ops.convert_to_tensor(ages))


class NoiseFaces:
    """In place of data_loader.UnpairedFaces: noise, with random labels. transform: six numbers, for all faces. ages: a
    range in years, from which the old faces have theirs, or None."""

    seed = 1

    def __init__(self, size, transform=None, ages=None):
        self.size, self.transform, self.ages = size, transform, ages

    def batch(self, n, stream, step):
        rng = np.random.default_rng([stream, step])
        return tuple(_noise(rng, n, self.size, self.transform, ages) for ages in (None, self.ages))


def _noise(rng, n, side, transform=None, ages=None):
    transforms = None if transform is None else np.float32(transform) * np.ones((n, 6), np.float32)
    labels = labels_of(rng.integers(10, size=n))
    images = rng.integers(0, 256, (n, side, side, 3), np.uint8)
    ages = None if ages is None else rng.uniform(*ages, (n, 1)).astype(np.float32)
    return LoadedFaces(images, labels, ages, transforms)
