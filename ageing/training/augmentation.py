"""What faces go through before a network sees them in training: all of it products of matrices, on any device.

`augment` is for what the discriminators see, `disturb` for the generators' consistency.
"""

from typing import NamedTuple

import tensorflow as tf

# The uniform numbers that `disturbance` takes for an image.
DISTURBED = ("saturation", "grain", "softness", "blocks", "edges", "mirror", "down", "zoom rows", "bend rows",
             "right", "zoom columns", "bend columns")
SHIFT = 0.05       # the most that a face moves each way, of the side
ZOOM = 0.15        # how much wider or narrower it gets, higher or lower
BEND = 0.15        # how far its middle moves against its rims, of the side: a face that turns or nods
SHARPEST, SOFTEST = 0.4 / 64, 3.0 / 64   # deviation of the Gaussian that softens it, of the side
GRAIN = 0.3        # the most noise, of a value's reach of 1 each way, before it is softened with the face
FEWEST, MOST = 8, 20   # JPEG blocks along a side: UTKFace's faces are cut out of photos of many sizes
EDGES = 1.5        # how much less, e to this, of a pixel beyond a block's edge comes in at the most


def augment(images, uniform, shift):
    """Differentiable augmentation (Zhao et al., NeurIPS 2020): brightness, saturation, translation.

    images: (N, H, W, 3) in [-1, 1]. uniform: (N, 4) in [0, 1), one row an image. shift: the most that an image moves
    each way, a share of its side; what moves in from outside is 0.
    """
    brightness, saturation, down, right = tf.split(uniform[:, :, None, None], 4, axis=1)
    images = _saturate(images + brightness - 0.5, 2 * saturation)
    # A shift is a product with a shifted identity matrix: its gradient is one too, where a gather's is a slow scatter.
    size = tf.shape(images)[1:3]
    rows = _shift_matrix(size[0], down[:, 0, 0], shift)
    columns = _shift_matrix(size[1], right[:, 0, 0], shift)
    return tf.einsum("nih,nhwc,njw->nijc", rows, images, columns)


def _saturate(images, amount):
    """0 is grey, 1 changes nothing."""
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    return grey + (images - grey) * amount


def _shift_matrix(n, uniform, share):
    """(N, n, n): row i has its 1 in column i - s, s a whole number of pixels up to share * n each way."""
    reach = tf.floor(tf.cast(n, tf.float32) * share)
    shift = tf.cast(tf.floor(uniform * (2 * reach + 1)) - reach, tf.int32)
    return tf.one_hot(tf.range(n)[None] - shift, n)


class Disturbance(NamedTuple):
    """What `disturb` does to N images. Made once: a face and its translation are disturbed alike."""

    saturation: tf.Tensor  # (N, 1, 1, 1)
    grain: tf.Tensor       # (N, H, W, 1), added to all colours
    rows: tf.Tensor        # (N, H, H): row i holds the weights with which the image's rows make row i
    columns: tf.Tensor     # (N, W, W)


def disturbance(uniform, noise):
    """uniform: (N, len(DISTURBED)) in [0, 1), one row an image, in the order of DISTURBED. noise: (N, H, W, 1) in
    [0, 1). The numbers of down, right, zoom and bend change nothing halfway.
    """
    u = dict(zip(DISTURBED, tf.unstack(uniform, len(DISTURBED), axis=1), strict=True))
    softness = SHARPEST + (SOFTEST - SHARPEST) * u["softness"]
    blocks, edges = FEWEST + (MOST - FEWEST) * u["blocks"], EDGES * u["edges"]
    mirror = tf.where(u["mirror"] < 0.5, -1.0, 1.0)
    rows = _resampling_matrix(tf.shape(noise)[1], u["down"], u["zoom rows"], u["bend rows"], tf.ones_like(mirror),
                              softness, blocks, edges)
    columns = _resampling_matrix(tf.shape(noise)[2], u["right"], u["zoom columns"], u["bend columns"], mirror,
                                 softness, blocks, edges)
    grain = GRAIN * u["grain"][:, None, None, None] * (2 * noise - 1)
    return Disturbance(u["saturation"][:, None, None, None], grain, rows, columns)


def disturb(images, how):
    """A face as a worse photo would show it: softer, grainy, in JPEG's blocks, turned, moved, mirrored, paler.

    images: (N, H, W, 3). how: Disturbance. Rows and columns are drawn from where a quadratic puts them, through a
    Gaussian; what comes in from outside repeats the rim.
    """
    images = _saturate(images, how.saturation) + how.grain
    return tf.einsum("nih,nhwc,njw->nijc", how.rows, images, how.columns)


def _resampling_matrix(n, shift, zoom, bend, direction, softness, blocks, edges):
    """(N, n, n): row i holds the weights with which pixels make pixel i.

    All but n: (N,). shift, zoom, bend: in [0, 1), nothing halfway. direction: -1 mirrors.
    """
    shift, zoom, bend = 2 * SHIFT * (2 * shift - 1), ZOOM * (2 * zoom - 1), 2 * BEND * (2 * bend - 1)
    n = tf.cast(n, tf.float32)
    place = (tf.range(n) + 0.5) / n * 2 - 1   # of the pixels' middles, from -1 to 1
    source = place * (1 + zoom[:, None]) + bend[:, None] * (1 - tf.square(place)) + shift[:, None]
    source = tf.clip_by_value(source * direction[:, None], place[0], place[-1])[:, :, None]
    block = blocks[:, None, None] / 2
    beyond = tf.cast(tf.floor(source * block) != tf.floor(place * block), tf.float32)
    distance = tf.square((source - place) / (2 * softness[:, None, None])) / 2
    return tf.nn.softmax(-distance - edges[:, None, None] * beyond, axis=2)
