"""Differentiable image transforms: `augment` for what the discriminators see, `disturb` for the consistency loss.

Both move pixels by matrix products, because the gradient of a product is a product too and that of a gather is slow.
"""

from typing import Any, NamedTuple

from keras import ops

# The uniform random numbers that `disturbance` needs for an image.
DISTURBED = ("saturation", "grain", "softness", "blocks", "edges", "mirror", "down", "zoom rows", "bend rows",
             "right", "zoom columns", "bend columns")
SHIFT = 0.05       # largest shift each way, as a share of the side
ZOOM = 0.15        # largest change of width and of height
BEND = 0.15        # largest shift of the middle against the rims, as a share of the side: a face that turns or nods
SHARPEST, SOFTEST = 0.4 / 64, 3.0 / 64   # range of the blur's standard deviation, as a share of the side
GRAIN = 0.3        # largest amplitude of the noise, on a scale of -1 to 1, before the blur
FEWEST, MOST = 8, 20   # range of JPEG blocks along a side: UTKFace's faces are cropped from photos of many sizes
EDGES = 1.5        # a block's edge dampens the weight of pixels beyond it by up to e to this


def augment(images, uniform, shift):
    """Differentiable augmentation (Zhao et al., NeurIPS 2020): brightness, saturation, translation.

    images: (N, H, W, 3) in [-1, 1]. uniform: (N, 4) in [0, 1), one row per image. shift: largest translation each way,
    as a share of the side; pixels that move in from outside are 0.
    """
    brightness, saturation, down, right = ops.split(uniform[:, :, None, None], 4, axis=1)
    images = _saturate(images + brightness - 0.5, 2 * saturation)
    # A translation is a product with a shifted identity matrix.
    height, width = ops.shape(images)[1:3]
    rows = _shift_matrix(height, down[:, 0, 0], shift)
    columns = _shift_matrix(width, right[:, 0, 0], shift)
    return ops.einsum("nih,nhwc,njw->nijc", rows, images, columns)


def _saturate(images, amount):
    """amount: 0 gives grey, 1 gives the images themselves."""
    grey = ops.mean(images, axis=3, keepdims=True)
    return grey + (images - grey) * amount


def _shift_matrix(n, uniform, share):
    """(N, n, n): row i has its 1 in column i - s, s a whole number of pixels up to share * n each way."""
    reach = ops.floor(ops.convert_to_tensor(n, "float32") * share)
    shift = ops.cast(ops.floor(uniform * (2 * reach + 1)) - reach, "int32")
    columns = ops.arange(n)
    return ops.cast((columns - shift)[:, :, None] == columns, "float32")


class Disturbance(NamedTuple):
    """What `disturb` does to N images. A face and its translation get the same one."""

    saturation: Any  # (N, 1, 1, 1)
    grain: Any       # (N, H, W, 1), added to all three channels
    rows: Any        # (N, H, H): row i of the output is the input's rows, weighted by row i of this matrix
    columns: Any     # (N, W, W), the same for columns


def disturbance(uniform, noise):
    """The Disturbance that random numbers decide.

    uniform: (N, len(DISTURBED)) in [0, 1), one row per image, in the order of DISTURBED. At 0.5 down, right, zoom and
    bend have no effect. noise: (N, H, W, 1) in [0, 1).
    """
    u = dict(zip(DISTURBED, ops.unstack(uniform, len(DISTURBED), axis=1), strict=True))
    softness = SHARPEST + (SOFTEST - SHARPEST) * u["softness"]
    blocks, edges = FEWEST + (MOST - FEWEST) * u["blocks"], EDGES * u["edges"]
    mirror = ops.where(u["mirror"] < 0.5, -1.0, 1.0)
    height, width = ops.shape(noise)[1:3]
    rows = _resampling_matrix(height, u["down"], u["zoom rows"], u["bend rows"], ops.ones_like(mirror),
                              softness, blocks, edges)
    columns = _resampling_matrix(width, u["right"], u["zoom columns"], u["bend columns"], mirror,
                                 softness, blocks, edges)
    grain = GRAIN * u["grain"][:, None, None, None] * (2 * noise - 1)
    return Disturbance(u["saturation"][:, None, None, None], grain, rows, columns)


def disturb(images, how):
    """Degrade faces as a worse photo would: blur, noise, JPEG blocks, a turned head, shift, mirroring, saturation.

    images: (N, H, W, 3). how: Disturbance. A quadratic gives the source position of each row and column, and a Gaussian
    around it gives the weights. Pixels outside of the image repeat the rim.
    """
    images = _saturate(images, how.saturation) + how.grain
    return ops.einsum("nih,nhwc,njw->nijc", how.rows, images, how.columns)


def _resampling_matrix(n, shift, zoom, bend, direction, softness, blocks, edges):
    """(N, n, n): row i holds the weights of the input pixels in output pixel i.

    All arguments but n are (N,). shift, zoom, bend: in [0, 1), no effect at 0.5. direction: 1, or -1 to mirror.
    """
    shift, zoom, bend = 2 * SHIFT * (2 * shift - 1), ZOOM * (2 * zoom - 1), 2 * BEND * (2 * bend - 1)
    place = (ops.arange(n, dtype="float32") + 0.5) / n * 2 - 1   # the pixels' centres on a scale of -1 to 1
    source = place * (1 + zoom[:, None]) + bend[:, None] * (1 - ops.square(place)) + shift[:, None]
    source = ops.clip(source * direction[:, None], place[0], place[-1])[:, :, None]
    block = blocks[:, None, None] / 2
    beyond = ops.cast(ops.floor(source * block) != ops.floor(place * block), "float32")
    distance = ops.square((source - place) / (2 * softness[:, None, None])) / 2
    return ops.softmax(-distance - edges[:, None, None] * beyond, axis=2)
