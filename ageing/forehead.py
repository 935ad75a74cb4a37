"""Spots on foreheads: bindis and tilaks in training images, spots that a generator draws.

More of UTKFace's Indian women wear a bindi in their 50s than in their 20s. Ageing learned to redden foreheads.
"""

import cv2
import numpy as np

FRAME = 64      # pixels per side at which spots are measured
FOREHEAD = (slice(6, 21), slice(26, 38))  # rows, columns between and above the brows, in UTKFace's framing at FRAME
WORN = 8        # `spot_contrast` from which a face counts as wearing a mark: it finds 19 of 23 plain bindis, see docs
DRAWN = WORN / 2  # `spot_contrast` from which a face counts as having a spot; a frown between the brows can be one


def spot_contrast(image):
    """How much redder and darker a spot on the forehead is than the skin on all sides of it.

    image: uint8 RGB, square, in UTKFace's framing. Returns a float in units of CIELAB, a* - L*/2, at FRAME pixels.
    Plain skin has about 2. A frown or a brow is a line: the skin along it is as dark, so it does not count. A black
    mark on dark skin is not found.
    """
    small = cv2.resize(image, (FRAME, FRAME), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    redness = cv2.GaussianBlur(lab[..., 1] - lab[..., 0] / 2, (0, 0), 0.8)
    contrast = np.min([redness - np.roll(redness, by, (0, 1)) for by in ring(3)], 0)
    return float(contrast[FOREHEAD].max())


def has_spot(faces):
    """(n,) whether each face has a spot on the forehead, of contrast DRAWN or more. faces: uint8 (n, S, S, 3)."""
    return np.array([spot_contrast(face) for face in faces]) >= DRAWN


def ring(radius):
    """(down, right) offsets of eight places on a ring of `radius` pixels."""
    diagonal = int(0.7 * radius)
    return [(down, right) for far, near in ((radius, 0), (diagonal, diagonal), (0, radius), (-diagonal, diagonal))
            for down, right in ((far, near), (-far, -near))]
