"""From a detected box to the square that frames a face as UTKFace does, and the crop of that square."""

import numpy as np
from PIL import Image

# UTKFace's framing relative to the detector's box, medians of 150 crops: the side of the square is 1.02 times the
# height of the box, its centre lies 0.018 sides below the centre of the box.
SIDE_OF_HEIGHT = 1.02
DOWN = 0.018


def square_of(box):
    """(left, top, side), whole pixels, of the detector's `box` (left, top, right, bottom) in UTKFace's framing.

    The square may reach out of the photo.
    """
    left, top, right, bottom = box
    side = max(2, round(SIDE_OF_HEIGHT * (bottom - top)))
    return round((left + right - side) / 2), round((top + bottom - side) / 2 + DOWN * side), side


def clip(square, height, width):
    """(left, top, right, bottom) of the part of a square that lies in a photo of `height` x `width` pixels."""
    left, top, side = square
    return max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)


def crop(photo, square, size):
    """The square (left, top, side) of uint8 RGB (H, W, 3), resized to uint8 (size, size, 3).

    Outside of the photo it is filled by reflection.
    """
    left, top, side = square
    pixels = photo[_reflected(top, side, photo.shape[0])][:, _reflected(left, side, photo.shape[1])]
    # The filter with which training resizes its images (face_folder.decode)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0))


def _reflected(start, n, length):
    """Indices start .. start + n into an axis of `length`, reflected at both ends; a slice if all lie inside."""
    if start >= 0 and start + n <= length:
        return slice(start, start + n)
    period = max(2 * (length - 1), 1)
    i = np.arange(start, start + n) % period
    return np.where(i < length, i, period - i)
