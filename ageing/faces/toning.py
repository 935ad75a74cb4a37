"""Toned black-and-white photos (sepia, blue tone, duotone): their colour is a function of grey.

Grey is the mean of R, G and B here: toning often clips red, and then the usual luma hardly grows where blue still does.
"""

import cv2
import numpy as np

KNOTS = 17          # of the piecewise linear curve of each channel over grey
SMOOTHNESS = 1e-3   # weight of the curve's second differences: they decide where a picture has no pixels of a grey
SIDE = 64           # pixels of the smaller picture that is judged
SHRINK = 8          # pixels that become one in it, at most: noise averages out, but so do the greys at an edge
# Grey levels: a picture whose channels differ less from their curves on average is toned. Of 5,000 UTKFace crops, those
# of colour photos begin at 1.7; most toned ones end below, at JPEG quality 75 too.
NOISE = 1.7


class Tone:
    """The colour of each grey in uint8 RGB `picture` (H, W, 3), fitted by least squares."""

    def __init__(self, picture):
        pixels = picture.reshape(-1, 3).astype(np.float32)
        grey = pixels.mean(1)
        basis = _basis(grey)
        bend = np.diff(np.eye(KNOTS), 2, axis=0)
        normal = basis.T @ basis + len(grey) * SMOOTHNESS * bend.T @ bend + SMOOTHNESS * np.eye(KNOTS)
        self.offsets = np.linalg.solve(normal, basis.T @ (pixels - grey[:, None])).astype(np.float32)
        self.error = np.abs(pixels - self(grey)).mean(0).max()

    def __call__(self, grey):
        """float32 (..., 3): the colours of float32 `grey` (...)."""
        return grey[..., None] + (_basis(grey.ravel()) @ self.offsets).reshape(*grey.shape, 3)


def tones_of(crops, photo):
    """{number: Tone} of those of the faces in uint8 RGB `crops` (N, H, W, 3) that are toned; {} if `photo` is not."""
    toned = [number for number, crop in enumerate(crops) if _is_toned(crop)]
    return {number: Tone(crops[number]) for number in toned} if toned and _is_toned(photo) else {}


def _is_toned(picture):
    return Tone(_smaller(picture)).error < NOISE


def _smaller(picture):
    """Some SIDE * SIDE pixels from all over uint8 RGB `picture`, each the mean of at most SHRINK * SHRINK."""
    shrink = min(max(min(picture.shape[:2]) / SIDE, 1), SHRINK)
    picture = cv2.resize(picture, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    step = max(1, min(picture.shape[:2]) // SIDE)
    return picture[::step, ::step]


def _basis(grey):
    """float32 (n, KNOTS): how much of each knot's value the curve has at float32 `grey` (n,)."""
    place = np.clip(grey * ((KNOTS - 1) / 255), 0, KNOTS - 1)[:, None]
    return np.maximum(1 - np.abs(place - np.arange(KNOTS, dtype=np.float32)), 0)
