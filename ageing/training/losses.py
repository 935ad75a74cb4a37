"""Formulas of the losses, as functions of tensors. CycleGAN.terms says which are summed. No network, no variable.

"Paper" is Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017
(arXiv 1703.10593). Images are float32 (N, H, W, 3) in [-1, 1]. Every loss is a scalar mean over the batch.
"""

import keras
from keras import ops

from ageing.forehead import FRAME, ring
from ageing.utkface import GENDERS


def least_squares(scores, target):
    """Least-squares GAN loss, mean over patches (Mao et al. 2017; paper, section 4).

    scores: a tensor, or a list with one tensor per band, whose losses are added up (pix2pixHD, eq. 3). target: 0 or 1.
    """
    return sum(ops.mean(ops.square(one - target)) for one in keras.tree.flatten(scores))


def mean_absolute(x, y):
    """L1, of the cycle and identity losses too (paper, eq. 2). Squared errors blur."""
    return ops.mean(ops.abs(x - y))


def colour_change(x, y):
    """Mean absolute difference between the mean colours of the middle of each face in `x` and in `y`.

    The middle half of a crop in UTKFace's framing is skin. Only its mean counts, so wrinkles, spots and shadows are
    free, but a face must not turn darker or redder as a whole.
    """
    height, width = x.shape[1:3]
    middle = (y - x)[:, height // 4:height - height // 4, width // 4:width - width // 4]
    return ops.mean(ops.abs(ops.mean(middle, axis=(1, 2))))


def spots_drawn(x, y):
    """How much more the spots on the foreheads of `y` stand out than what is at the same places in `x`, mean.

    A spot is darker than the skin on all eight sides, a wrinkle only on two. Darkness is measured in green, where blood
    and melanin absorb most. Faces in UTKFace's framing. `forehead.spot_contrast` measures spots in another way.
    """
    return ops.mean(ops.relu(_spots(y) - ops.relu(_spots(x))))


def _spots(images):
    """(N, h, w): how much darker each place of the forehead is than all places 3 or 5 pixels around it."""
    smaller = max(images.shape[1] // FRAME, 1)
    green = ops.average_pool(images[..., 1:2], smaller, smaller, "valid", data_format="channels_last")
    if tuple(green.shape[1:3]) != (FRAME, FRAME):
        green = ops.image.resize(green, (FRAME, FRAME), data_format="channels_last")
    green = green[..., 0]
    narrow, wide = (ops.min(ops.stack([ops.roll(green, by, (1, 2)) for by in ring(radius)]), axis=0)
                    for radius in (3, 5))
    # The rows start as high as the wide ring allows, so that spots near the upper rim are penalised. They end above the
    # brows: old faces do have more structure there, and with the brows included ageing lost a seventh of its years.
    return (ops.maximum(narrow, wide) - green)[:, 5:15, 26:38]


def log_probabilities(scores):
    """Classifier scores (N, LABELS) -> log-probabilities: softmax over genders and, separately, over races."""
    return ops.concatenate([ops.log_softmax(part) for part in ops.split(scores, [len(GENDERS)], axis=1)], axis=1)


def label_loss(scores, labels):
    """Cross-entropy of scores (N, LABELS), gender plus race. A label vector of zeros (unknown) costs nothing."""
    return -ops.mean(ops.sum(labels * log_probabilities(scores), axis=1))


def label_change(before, after):
    """KL divergence from a classifier's prediction before translation to that after it, both scores (N, LABELS).

    0 if the prediction stays, right or wrong. So a face keeps its look and does not become more typical of its label.
    """
    before, after = log_probabilities(before), log_probabilities(after)
    return ops.mean(ops.sum(ops.exp(before) * (before - after), axis=1))
