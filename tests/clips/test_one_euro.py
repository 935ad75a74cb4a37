"""The One-Euro filter."""

import math

import numpy as np
import pytest

from ageing.clips.one_euro import OneEuro, share

DT = 1 / 30


def run(values, cutoff=1.0, beta=0.0, unit=1.0):
    one = OneEuro(cutoff, beta)
    return np.array([one(np.float64(value), DT, unit) for value in values])


def test_without_beta_it_is_an_exponential_mean():
    noise = np.random.default_rng(1).normal(0, 1, 50)
    expected, alpha = [noise[0]], 1 / (1 + 1 / (2 * math.pi * DT))
    for value in noise[1:]:
        expected.append(alpha * value + (1 - alpha) * expected[-1])
    np.testing.assert_allclose(run(noise), expected)
    assert share(1.0, DT) == pytest.approx(alpha)


def test_noise_at_rest_is_smoothed_and_motion_does_not_lag():
    noise = np.random.default_rng(1).normal(0, 0.001, 300)
    assert run(noise, 0.3, 10)[100:].std() < 0.3 * noise[100:].std()
    ramp = np.arange(90) * DT     # 1 unit a second
    lag, slow_lag = ramp[-1] - run(ramp, 0.3, 10)[-1], ramp[-1] - run(ramp, 0.3, 0)[-1]
    assert 0 < lag < 0.03 < 0.3 < slow_lag


def test_the_unit_scales_the_speed():
    steps = np.cumsum(np.random.default_rng(2).normal(0, 1, 60))
    np.testing.assert_allclose(run(5 * steps, 0.5, 3, unit=5), 5 * run(steps, 0.5, 3))


def test_each_element_is_filtered_by_itself():
    still, moving = np.zeros(30), np.arange(30.0)
    both = run(np.stack([still, moving], 1), 0.5, 2)
    np.testing.assert_allclose(both[:, 1], run(moving, 0.5, 2))
    assert not both[:, 0].any()
