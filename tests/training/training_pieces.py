"""Shared pieces of the training tests."""

import numpy as np
import tensorflow as tf

from ageing.utkface import LABELS, labels_of
from data_loader import LabelledFaces

# The losses of a step in which nothing is wrong.
GOOD_LOSSES = {f"{term}_{side}": 0.1 for term in ("cycle", "identity", "consistency", "colour", "label")
               for side in "AB"} | {"adversarial_AB": 0.3, "adversarial_BA": 0.3, "d_A": 0.2, "d_B": 0.2,
                                    "classifier": 1.0, "g_gradient": 1.0, "d_gradient": 1.0}


def labelled_faces(*shape, seed=1, side=16):
    """LabelledFaces (*shape, side, side, 3) of noise, with random labels."""
    rng = np.random.default_rng(seed)
    labels = labels_of(rng.integers(10, size=np.prod(shape))).reshape(*shape, LABELS)
    return LabelledFaces(tf.constant(rng.uniform(-1, 1, (*shape, side, side, 3)), tf.float32), tf.constant(labels))
