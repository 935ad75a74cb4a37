"""Power by band, on noise and waves whose spectrum is known."""

import types

import cv2
import numpy as np
import pytest

from ageing.evaluation import bands
from ageing.evaluation.translation import DIRECTIONS

RNG = np.random.default_rng(1)


def wave(cycles, amplitude, n=40, side=128):
    """uint8 (n, side, side, 3): grey waves of so many cycles a face, over noise."""
    x = np.sin(2 * np.pi * cycles * np.arange(side) / side)
    faces = 128 + amplitude * x[None, :, None, None] + RNG.normal(0, 8, (n, side, side, 1))
    return np.clip(np.rint(faces + np.zeros(3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("cycles", "band"), [(3, 0), (6, 1), (12, 2), (24, 3), (48, 4)])
def test_a_wave_is_found_in_its_band(cycles, band):
    found = bands.power(wave(cycles, 30)) / bands.power(wave(cycles, 0))
    assert np.argmax(found.mean(axis=0)) == band
    assert found[:, band].min() > 2
    others = np.delete(found, [band, max(band - 1, 0), min(band + 1, 4)], axis=1)
    assert np.exp(np.log(others).mean()) == pytest.approx(1, abs=0.1)


def test_bands_above_the_pixels_are_unknown():
    assert np.isnan(bands.power(wave(3, 30, side=64))).all(axis=0).tolist() == [False] * 4 + [True]


def translation(direction, inputs, outputs, targets):
    return types.SimpleNamespace(direction=direction, outputs=outputs, inputs=types.SimpleNamespace(pixels=inputs),
                                 targets=types.SimpleNamespace(pixels=targets))


def test_outputs_are_compared_with_real_young_and_real_old_faces():
    young, old = (np.concatenate([wave(48, a, n=20) for a in amplitudes]) for amplitudes in ((10, 30), (20, 60)))
    key = "power, 32 to 64 cycles a face"
    aged = bands.bands(translation(DIRECTIONS[0], young, old, old))[key]
    made_young = bands.bands(translation(DIRECTIONS[1], old, young, young))[key]
    assert aged["real"][0] > 2  # of the sharp halves, with amplitudes 60 and 30
    for found, outputs, unchanged in ((aged, aged["real"][0], 1), (made_young, 1, aged["real"][0])):
        assert found["outputs"][0] == pytest.approx(outputs, rel=0.15)
        assert found["unchanged"][0] == pytest.approx(unchanged, rel=0.15)
        for estimate, low, high in found.values():
            assert low <= estimate <= high


def test_blurred_faces_are_left_out():
    sharp = wave(48, 20)
    blurred = np.stack([cv2.GaussianBlur(face, (0, 0), 3) for face in sharp])
    mixed = np.concatenate([sharp, blurred])
    found = bands.bands(translation(DIRECTIONS[0], mixed, mixed, sharp))["power, 32 to 64 cycles a face"]
    assert found["real"][0] == pytest.approx(1, abs=0.1)  # the sharp half of the inputs is as sharp as the targets
