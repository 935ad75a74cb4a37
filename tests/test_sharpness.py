"""The sharpest faces of two domains, on noise of known strength and on numbers."""

import cv2
import numpy as np
import pytest

from ageing.sharpness import matched_sharpest, sharpness

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


@pytest.mark.parametrize("swapped", [False, True])
def test_the_sharp_half_is_as_sharp_in_both_domains(swapped):
    """The smaller domain is sharper, as UTKFace's old faces are."""
    many, few = RNG.normal(0, 1, 6000), RNG.normal(0.4, 0.8, 1800)
    domains = (few, many) if swapped else (many, few)
    kept = matched_sharpest(domains, 0.5)
    values = [domain[chosen] for domain, chosen in zip(domains, kept, strict=True)]
    threshold = np.median(np.concatenate(domains))
    smaller = 1 - swapped
    assert min(v.min() for v in values) >= threshold
    assert len(values[smaller]) == (few >= threshold).sum()  # the smaller domain keeps all its sharp faces
    assert len(values[1 - smaller]) > 1000
    for q in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.quantile(values[0], q) == pytest.approx(np.quantile(values[1], q), abs=0.05)
    for chosen in kept:
        assert len(set(chosen)) == len(chosen)
        assert sorted(chosen) == list(chosen)


def test_domains_that_share_no_sharpness_keep_nothing():
    kept = matched_sharpest((np.arange(10.0), np.arange(100.0, 110.0)), 0.5)
    assert [len(chosen) for chosen in kept] == [0, 0]
