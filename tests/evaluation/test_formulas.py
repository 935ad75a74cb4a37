"""The formulas against formulas and examples worked out by hand."""

import cv2
import numpy as np
import pytest
from evaluation.oracle import wave

from ageing.evaluation import formulas

RNG = np.random.default_rng(1)


def test_bootstrap_interval_is_that_of_the_normal_mean():
    values = RNG.normal(3, 2, 400)
    mean, low, high = formulas.bootstrap(values)
    assert mean == pytest.approx(values.mean())
    reach = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((mean - reach, mean + reach), abs=0.02)
    assert formulas.bootstrap(np.ones(10)) == (1, 1, 1)


def test_proportion_has_wilsons_interval():
    share, low, high = formulas.proportion(np.arange(25) < 23)
    n, z = 25, 1.959964  # the normal distribution's quantile 0.975
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (share, low, high) == pytest.approx((0.92, middle - reach, middle + reach))
    share, low, high = formulas.proportion(np.ones(25, bool))
    assert (share, high) == (1, pytest.approx(1))
    assert 0.8 < low < 0.9
    assert formulas.proportion(np.zeros(25, bool)) == (0, 0, pytest.approx(1 - low))


def test_frechet_by_its_formula():
    x, y = RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 6)), RNG.normal(1, 2, size=(250, 6))
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = (np.square(x.mean(0) - y.mean(0)).sum()
                + np.trace(cov_x + cov_y) - 2 * np.sqrt(np.linalg.eigvals(cov_x @ cov_y).real).sum())
    assert formulas.frechet(x, y) == pytest.approx(expected)
    assert formulas.frechet(x, x) == pytest.approx(0, abs=1e-8)
    assert formulas.frechet(x, x + 2) == pytest.approx(4 * 6)


def test_mean_absolute_by_hand():
    x = np.full((2, 4, 4, 3), 100, np.uint8)
    y = x + np.array([0, 10], np.uint8)[:, None, None, None]
    assert formulas.mean_absolute(x, y).tolist() == [0, 10]


def test_dark_pixels_are_seen_beside_the_face_only():
    faces = np.full((3, 64, 64, 3), 200, np.uint8)
    faces[1, 8:40, :8] = faces[1, 8:40, -8:] = 30
    faces[1, 8:40, 2:5, :] = 70  # lighter streaks, on one side
    faces[2, 8:40, 8:-8] = 0
    none, most, middle = formulas.dark_beside(faces)
    assert none == middle == 0
    assert most == 0.75


def test_skin_colour_is_seen_in_the_middle_of_the_face_only():
    faces = np.full((3, 50, 50, 3), 119, np.uint8)  # L* 50: (119 / 255) is 0.184 in linear light, its cube root 0.569
    changed = faces.copy()
    changed[0, 20:35, 18:32] = 255  # L* 100 in 15 x 14 of the middle's 20 x 20 pixels
    changed[1, :17] = 0             # hair
    change = formulas.skin_colour(changed) - formulas.skin_colour(faces)
    np.testing.assert_allclose(change[0], [50 * 15 * 14 / 400, 0, 0], atol=0.3)
    np.testing.assert_array_equal(change[1:], 0)


def test_ratio_of_means_has_the_interval_of_the_delta_method():
    values, reference = RNG.normal(15, 5, 200), RNG.normal(20, 8, 300)
    ratio, low, high = formulas.ratio_of_means(values, reference)
    assert ratio == pytest.approx(values.mean() / reference.mean())
    relative = np.sqrt(sum((v.std() / v.mean()) ** 2 / len(v) for v in (values, reference)))
    assert (low, high) == pytest.approx((ratio * (1 - 1.96 * relative), ratio * (1 + 1.96 * relative)), abs=0.015)


def test_a_blurred_face_is_less_sharp():
    face = wave(48, 0, n=1)[0]
    levels = formulas.sharpness([cv2.GaussianBlur(face, (0, 0), sigma) for sigma in (3, 2, 1)] + [face])
    assert levels.tolist() == sorted(levels)


def test_only_the_eyes_count():
    blank = wave(48, 0, n=1)[0]
    blank[28:44, 23:105] = 128
    face = blank.copy()
    face[33:40, 36:42] = 20  # an iris
    without, sharp = formulas.sharpness([blank, face])
    assert without == 0
    assert sharp > 3


@pytest.mark.parametrize(("cycles", "band"), [(12, 0), (48, 2)])
def test_a_wave_is_found_in_its_band(cycles, band):
    found = formulas.power(wave(cycles, 30)) / formulas.power(wave(cycles, 0))
    assert np.argmax(found.mean(axis=0)) == band
    assert found[:, band].min() > 2
    others = np.delete(found, [band, max(band - 1, 0), min(band + 1, 2)], axis=1)
    assert np.exp(np.log(others).mean()) == pytest.approx(1, abs=0.1)


def test_bands_above_the_pixels_are_unknown():
    assert np.isnan(formulas.power(wave(12, 30, side=64))).all(axis=0).tolist() == [False] * 2 + [True]
