import numpy as np
import pytest
import tensorflow as tf

import augmentation
from augmentation import DISTURBANCES, augment, disturb


def images(*shape, seed=1):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (*shape, 3)), tf.float32)


def test_augmentation_in_the_middle_of_its_range_changes_nothing():
    x = images(3, 16, 16)
    np.testing.assert_allclose(augment(x, tf.fill([3, 4], 0.5), 0.125), x, atol=1e-5)


def test_augmentation_shifts_by_whole_pixels_and_has_a_gradient():
    x = tf.Variable(images(1, 16, 16))
    low = tf.constant([[0.5, 0.5, 0.0, 0.999]])  # reach 2 at 16 px: two up, two right
    with tf.GradientTape() as tape:
        y = augment(x, low, 0.125)
        total = tf.reduce_sum(y)
    np.testing.assert_allclose(y[0, :-2, 2:], x[0, 2:, :-2], atol=1e-5)
    assert not np.any(y[0, -2:])
    assert not np.any(y[0, :, :2])
    gradient = tape.gradient(total, x).numpy()
    assert np.allclose(gradient[0, 2:, :-2], 1)
    assert not gradient[0, :2].any()


def test_augmentation_changes_brightness_and_saturation():
    grey = tf.zeros([1, 16, 16, 3])
    bright = augment(grey, tf.constant([[0.8, 0.5, 0.5, 0.5]]), 0.125)
    assert float(tf.reduce_mean(bright)) == pytest.approx(0.3)
    x = images(1, 16, 16)
    dull = augment(x, tf.constant([[0.5, 0.0, 0.5, 0.5]]), 0.125).numpy()
    assert np.ptp(dull, axis=3).max() == pytest.approx(0, abs=1e-5)


# Of the uniform numbers of `disturb`: what changes nothing but for the least softness. All colour, all moves halfway.
STILL = np.float32([1, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])


def disturbed(x, **numbers):
    """`x` after `disturb` with STILL, but for the numbers at some places, n3=0.2: the fourth is 0.2."""
    uniform = np.tile(STILL, (len(x), 1))
    for place, value in numbers.items():
        uniform[:, int(place[1:])] = value
    return disturb(x, tf.constant(uniform)).numpy()


def smooth(size):
    """One image whose red rises along the rows from -1 to 1, green along the columns; blue 0."""
    ramp = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    red, green = np.meshgrid(ramp, ramp, indexing="ij")
    return tf.constant(np.stack([red, green, 0 * red], 2)[None])


def test_a_disturbance_in_the_middle_of_its_range_moves_nothing():
    x = smooth(64)
    assert disturbed(x).shape == x.shape
    np.testing.assert_allclose(disturbed(x)[:, 2:-2, 2:-2], x[:, 2:-2, 2:-2], atol=1e-5)
    np.testing.assert_allclose(disturbed(tf.fill([1, 64, 64, 3], 0.3)), 0.3, atol=1e-6)  # nor the rim's brightness


def test_a_disturbance_softens_noise_and_takes_its_colour():
    x = images(1, 64, 64)
    contrast = [disturbed(x, n1=softness).std() for softness in (0, 0.5, 0.999)]
    assert contrast[2] < 0.3 * contrast[0]
    assert contrast[0] > 1.5 * contrast[1] > 1.5 * contrast[2]
    assert np.ptp(disturbed(x, n0=0), axis=3).max() < 1e-5
    np.testing.assert_allclose(disturbed(x, n0=0).mean(3), disturbed(x).mean(3), atol=1e-5)


@pytest.mark.parametrize("first", [2, 5], ids=["rows", "columns"])
def test_a_disturbance_moves_zooms_and_bends_rows_and_columns_apart(first):
    x = smooth(64)
    channel = 0 if first == 2 else 1
    place = x.numpy()[0, 20:44, 20:44, channel]

    def moved(number):
        y = disturbed(x, n1=0.5, **{f"n{first + number}": 0.9999})[0, 20:44, 20:44]
        np.testing.assert_allclose(y[..., 1 - channel], x[0, 20:44, 20:44, 1 - channel], atol=1e-5)  # the other axis
        return y[..., channel]

    np.testing.assert_allclose(moved(0), place + 2 * augmentation.SHIFT, atol=2e-3)  # places run from -1 to 1
    np.testing.assert_allclose(moved(1), place * (1 + augmentation.ZOOM), atol=2e-3)
    np.testing.assert_allclose(moved(2), place + 2 * augmentation.BEND * (1 - place**2), atol=2e-3)


def test_each_face_is_disturbed_by_its_own_numbers():
    x = tf.repeat(images(1, 16, 16), 3, axis=0)
    uniform = tf.constant(np.random.default_rng(1).random((3, DISTURBANCES)), tf.float32)
    together = disturb(x, uniform).numpy()
    for i in range(3):
        np.testing.assert_allclose(together[i], disturb(x[:1], uniform[i:i + 1])[0], atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.1
