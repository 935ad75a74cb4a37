"""Toned black-and-white photos (sepia, blue tone, duotone): their colour is a function of grey.

Grey is the mean of R, G and B here: toning often clips red, and then the usual luma hardly grows where blue still does.
"""

import cv2
import numpy as np

KNOTS = 17          # of the piecewise linear curve of each channel over grey
SMOOTHNESS = 1e-3   # weight of the curve's second differences: they decide where a picture has no pixels of a grey
BLOCKS = 8          # a side of the crop: what is off the tone is averaged over each, which takes noise away
# A crop is toned if its blocks are on average off its tone by less than OFF grey levels, in channels that coloured
# light has darkened by less still, and by less than SHARE of its colour: few colours are no tone. Less than HARDLY grey
# levels of colour are one.
OFF, SHARE, HARDLY = 1.2, 0.075, 4


class Tone:
    """The colour of each grey in uint8 RGB `picture` (H, W, 3), fitted by least squares."""

    def __init__(self, picture):
        pixels = picture.reshape(-1, 3).astype(np.float32)
        grey = pixels.mean(1)
        basis = _basis(grey)
        bend = np.diff(np.eye(KNOTS), 2, axis=0)
        normal = basis.T @ basis + len(grey) * SMOOTHNESS * bend.T @ bend + SMOOTHNESS * np.eye(KNOTS)
        self.offsets = np.linalg.solve(normal, basis.T @ (pixels - grey[:, None])).astype(np.float32)

    def __call__(self, grey):
        """float32 (..., 3): the colours of float32 `grey` (...)."""
        return grey[..., None] + (_basis(grey.ravel()) @ self.offsets).reshape(*grey.shape, 3)


def tones_of(crops):
    """{number: Tone} of those of the faces in uint8 RGB `crops` (N, H, W, 3) that are toned.

    Only the crop counts: around it may be the border of a print, a date stamp, an album page.
    """
    tones = {number: Tone(crop) for number, crop in enumerate(crops)}
    return {number: tone for number, tone in tones.items() if _fits(tone, crops[number])}


def _fits(tone, crop):
    grey = crop.mean(2, dtype=np.float32)
    colour = crop - grey[..., None]
    off = cv2.resize(crop - tone(grey), (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    off, colour = np.abs(off).mean((0, 1)), np.abs(colour).mean((0, 1)).max()
    darker = grey.mean() / np.maximum(crop.mean((0, 1)), 1)
    return (off * darker).max() < OFF and (off.max() < SHARE * colour or colour < HARDLY)


def _basis(grey):
    """float32 (n, KNOTS): how much of each knot's value the curve has at float32 `grey` (n,)."""
    place = np.clip(grey * ((KNOTS - 1) / 255), 0, KNOTS - 1)[:, None]
    return np.maximum(1 - np.abs(place - np.arange(KNOTS, dtype=np.float32)), 0)
