import numpy as np
import pytest
import tensorflow as tf

from ageing.training import losses


def test_losses_have_the_published_form():
    scores = tf.constant([0.0, 0.5, 1.0])
    assert float(losses.least_squares(scores, 1.0)) == pytest.approx((1 + 0.25) / 3)
    assert float(losses.least_squares([scores, scores[:1]], 1.0)) == pytest.approx((1 + 0.25) / 3 + 1)
    x, y = tf.constant([1.0, -1.0]), tf.constant([0.0, 2.0])
    assert float(losses.mean_absolute(x, y)) == 2


def test_colour_change_is_that_of_the_mean_of_the_middle():
    x = np.zeros((2, 16, 16, 3), np.float32)
    y = x.copy()
    y[0, 4:12, 4:12] = [0.3, -0.6, 0.0]  # one face of two, two channels of three
    y[1, :4] = 1.0                       # hair
    assert float(losses.colour_change(tf.constant(x), tf.constant(y))) == pytest.approx((0.3 + 0.6) / 6)
    wrinkles = x + np.tile([0.5, -0.5], 8)[None, None, :, None].astype(np.float32)
    assert float(losses.colour_change(tf.constant(x), tf.constant(wrinkles))) == pytest.approx(0)


@pytest.mark.parametrize("side", [64, 96, 128])
def test_spots_drawn_are_dark_on_all_sides_and_new(side):
    def mean(before, after):
        return float(losses.spots_drawn(*(tf.constant(x[None]) for x in (before, after))))

    def drawn(x, y, width=0.03, height=0.03, level=-0.2):
        """A face of level 0.4 with a rectangle, in shares of the side: its middle, its half width and height."""
        face = np.full((side, side, 3), 0.4, np.float32)
        top, bottom, left, right = (round(v * side) for v in (y - height, y + height, x - width, x + width))
        face[top:bottom, left:right] += level
        return face

    plain, spot = drawn(0.5, 0.2, level=0.0), drawn(0.5, 0.2)
    assert mean(plain, spot) > 1e-3
    assert mean(plain, drawn(0.48, 0.1)) > 1e-3
    assert mean(plain, drawn(0.5, 0.2, level=-0.4)) == pytest.approx(2 * mean(plain, spot), rel=1e-5)
    assert mean(spot, drawn(0.5, 0.2, level=-0.4)) == pytest.approx(mean(plain, spot), rel=1e-5)  # what stood there
    for other in (plain, spot, drawn(0.5, 0.2, level=0.2), drawn(0.5, 0.2, width=0.3), drawn(0.5, 0.2, height=0.15),
                  drawn(0.5, 0.3), drawn(0.5, 0.6)):  # nothing, gone, bright, lines, at the brows, the mouth
        assert mean(spot, other) == pytest.approx(0, abs=1e-6)
        if other is not spot:
            assert mean(plain, other) == pytest.approx(0, abs=1e-6)


def test_label_losses_take_gender_and_group_apart():
    sure = tf.constant([[9.0, -9, 0, 9, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])
    probability = np.exp(losses.log_probabilities(sure).numpy())
    np.testing.assert_allclose(probability[:, :2].sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(probability[:, 2:].sum(1), 1, rtol=1e-6)
    labels = tf.constant([[1.0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])  # the second face's are unknown
    assert float(losses.label_loss(sure, labels)) == pytest.approx(0, abs=1e-3)
    assert float(losses.label_loss(0 * sure, labels)) == pytest.approx((np.log(2) + np.log(5)) / 2)
    assert float(losses.label_change(sure, sure)) == 0
    assert float(losses.label_change(sure + 3.0, sure)) == pytest.approx(0, abs=1e-5)  # the same probabilities
    q = probability[0]
    divergence = np.mean(np.log(0.5 / q[:2])) + np.mean(np.log(0.2 / q[2:]))  # of the first face; the second's is 0
    assert float(losses.label_change(0 * sure, sure)) == pytest.approx(divergence / 2, rel=1e-3)
