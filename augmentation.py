"""What faces go through before a network sees them in training: all of it products of matrices, on any device.

`augment` is for what the discriminators see, `disturb` for the generators' consistency.
"""

import tensorflow as tf

DISTURBANCES = 8   # uniform numbers that `disturb` takes for an image
SHIFT = 0.05       # the most that a face moves each way, of the side
ZOOM = 0.15        # how much wider or narrower it gets, higher or lower
BEND = 0.15        # how far its middle moves against its rims, of the side: a face that turns or nods
SHARPEST, SOFTEST = 0.4 / 64, 2.0 / 64   # deviation of the Gaussian that softens it, of the side


def augment(images, uniform, shift):
    """Differentiable augmentation (Zhao et al., NeurIPS 2020): brightness, saturation, translation.

    images: (N, H, W, 3) in [-1, 1]. uniform: (N, 4) in [0, 1), one row an image. shift: the most that an image moves
    each way, a share of its side; what moves in from outside is 0.
    """
    brightness, saturation, down, right = tf.split(uniform[:, :, None, None], 4, axis=1)
    images = images + brightness - 0.5
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * 2 * saturation
    # A shift is a product with a shifted identity matrix: its gradient is one too, where a gather's is a slow scatter.
    size = tf.shape(images)[1:3]
    rows = _shift_matrix(size[0], down[:, 0, 0], shift)
    columns = _shift_matrix(size[1], right[:, 0, 0], shift)
    return tf.einsum("nih,nhwc,njw->nijc", rows, images, columns)


def _shift_matrix(n, uniform, share):
    """(N, n, n): row i has its 1 in column i - s, s a whole number of pixels up to share * n each way."""
    reach = tf.floor(tf.cast(n, tf.float32) * share)
    shift = tf.cast(tf.floor(uniform * (2 * reach + 1)) - reach, tf.int32)
    return tf.one_hot(tf.range(n)[None] - shift, n)


def disturb(images, uniform):
    """A face as a worse photo would show it: softer, turned, moved, paler.

    images: (N, H, W, 3). uniform: (N, DISTURBANCES) in [0, 1), one row an image. Rows and columns are drawn from where
    a quadratic puts them, through a Gaussian; what comes in from outside repeats the rim.
    """
    parts = tf.unstack(uniform, DISTURBANCES, axis=1)
    saturation, softness = parts[0][:, None, None, None], SHARPEST + (SOFTEST - SHARPEST) * parts[1]
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    rows = _resampling_matrix(tf.shape(images)[1], parts[2:5], softness)
    columns = _resampling_matrix(tf.shape(images)[2], parts[5:8], softness)
    return tf.einsum("nih,nhwc,njw->nijc", rows, grey + (images - grey) * saturation, columns)


def _resampling_matrix(n, uniform, softness):
    """(N, n, n): row i holds the weights with which pixels make pixel i. uniform: shift, zoom, bend, each (N,)."""
    shift, zoom, bend = (most * (2 * u - 1) for u, most in zip(uniform, (2 * SHIFT, ZOOM, 2 * BEND), strict=True))
    n = tf.cast(n, tf.float32)
    place = (tf.range(n) + 0.5) / n * 2 - 1   # of the pixels' middles, from -1 to 1
    source = place * (1 + zoom[:, None]) + bend[:, None] * (1 - tf.square(place)) + shift[:, None]
    source = tf.clip_by_value(source, place[0], place[-1])
    return tf.nn.softmax(-tf.square((source[:, :, None] - place) / (2 * softness[:, None, None])) / 2, axis=2)
