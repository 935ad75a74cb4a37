import numpy as np
import pytest
import tensorflow as tf

from ageing.training import augmentation
from ageing.training.augmentation import DISTURBED, augment, disturb, disturbance


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


# The uniform numbers that change nothing but for the least softness: no grain, no block's edge, not mirrored, all moves
# halfway.
STILL = dict.fromkeys(DISTURBED, 0.5) | {"saturation": 1, "grain": 0, "softness": 0, "edges": 0, "mirror": 1}


def disturbed(x, **numbers):
    """`x` after `disturb` with STILL but for `numbers`."""
    uniform = np.tile(np.float32(list((STILL | numbers).values())), (len(x), 1))
    noise = np.random.default_rng(5).random((*x.shape[:3], 1))
    return disturb(x, disturbance(tf.constant(uniform), tf.constant(noise, tf.float32))).numpy()


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
    contrast = [disturbed(x, softness=softness).std() for softness in (0, 0.5, 0.999)]
    assert contrast[2] < 0.3 * contrast[0]
    assert contrast[0] > 1.5 * contrast[1] > 1.5 * contrast[2]
    assert np.ptp(disturbed(x, saturation=0), axis=3).max() < 1e-5
    np.testing.assert_allclose(disturbed(x, saturation=0).mean(3), disturbed(x).mean(3), atol=1e-5)


@pytest.mark.parametrize(("names", "channel"), [
    (("down", "zoom rows", "bend rows"), 0), (("right", "zoom columns", "bend columns"), 1)], ids=["rows", "columns"])
def test_a_disturbance_moves_zooms_and_bends_rows_and_columns_apart(names, channel):
    x = smooth(64)
    place = x.numpy()[0, 20:44, 20:44, channel]

    def moved(name):
        y = disturbed(x, softness=0.5, **{name: 0.9999})[0, 20:44, 20:44]
        np.testing.assert_allclose(y[..., 1 - channel], x[0, 20:44, 20:44, 1 - channel], atol=1e-5)  # the other axis
        return y[..., channel]

    shift, zoom, bend = map(moved, names)
    np.testing.assert_allclose(shift, place + 2 * augmentation.SHIFT, atol=2e-3)  # places run from -1 to 1
    np.testing.assert_allclose(zoom, place * (1 + augmentation.ZOOM), atol=2e-3)
    np.testing.assert_allclose(bend, place + 2 * augmentation.BEND * (1 - place**2), atol=2e-3)


def test_half_of_the_disturbed_faces_are_mirrored():
    x = images(1, 32, 32)
    for number in (0, 0.49):
        np.testing.assert_allclose(disturbed(x, mirror=number), disturbed(x)[:, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(disturbed(x, mirror=0.5), disturbed(x), atol=1e-6)


def test_grain_is_grey_has_no_mean_and_softens_with_the_face():
    x = tf.fill([1, 64, 64, 3], 0.3)
    grain = {softness: disturbed(x, grain=1, softness=softness) - 0.3 for softness in (0, 1)}
    assert np.ptp(grain[0], axis=3).max() < 1e-6
    assert abs(grain[0].mean()) < 0.01
    assert augmentation.GRAIN / 3 < grain[0].std() < augmentation.GRAIN  # uniform noise: a 1.7th of its reach
    assert grain[1].std() < 0.3 * grain[0].std()
    np.testing.assert_allclose(disturbed(x, grain=0.5) - 0.3, grain[0] / 2, atol=1e-6)


def test_softness_stops_at_the_edges_of_blocks():
    x = smooth(64)
    steps = np.abs(np.diff(disturbed(x, softness=1, blocks=0, edges=0.9999)[0, :, 0, 0]))
    at_edges = steps[7::8]  # 8 blocks of 8 rows
    assert len(at_edges) == augmentation.FEWEST - 1
    within = np.delete(steps, np.arange(7, 63, 8))
    assert at_edges.min() > 1.5 * within.max()
    even = np.abs(np.diff(disturbed(x, softness=1, blocks=0)[0, 7:-7, 0, 0]))  # away from the rim
    np.testing.assert_allclose(even, 2 / 64, rtol=0.05)


def test_each_face_is_disturbed_by_its_own_numbers():
    x = tf.repeat(images(1, 16, 16), 3, axis=0)
    rng = np.random.default_rng(1)
    uniform = tf.constant(rng.random((3, len(DISTURBED))), tf.float32)
    noise = tf.constant(rng.random((3, 16, 16, 1)), tf.float32)
    together = disturb(x, disturbance(uniform, noise)).numpy()
    for i in range(3):
        alone = disturbance(uniform[i:i + 1], noise[i:i + 1])
        np.testing.assert_allclose(together[i], disturb(x[:1], alone)[0], atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.1
