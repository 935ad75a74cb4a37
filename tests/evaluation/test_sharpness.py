"""Sharpness, on noise of known strength."""

import cv2
import numpy as np

from ageing.evaluation.sharpness import sharpness

RNG = np.random.default_rng(1)


def noise(amplitude, side=128):
    return np.clip(RNG.normal(128, amplitude, (side, side, 3)), 0, 255).astype(np.uint8)


def test_a_blurred_face_is_less_sharp():
    face = noise(30)
    levels = [sharpness(cv2.GaussianBlur(face, (0, 0), sigma)) for sigma in (3, 2, 1)] + [sharpness(face)]
    assert levels == sorted(levels)
    assert sharpness(np.full((128, 128, 3), 77, np.uint8)) == 0


def test_only_the_eyes_count():
    face = noise(30)
    face[28:44, 23:105] = 128
    assert sharpness(face) == 0
    face[33:40, 36:42] = 20  # an iris
    assert sharpness(face) > 3
