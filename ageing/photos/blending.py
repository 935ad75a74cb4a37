"""Blend into a photo what a generator changes in its faces. Pixels outside of the faces' squares stay as they are.

    older = edit(photo, faces, Translator("saved_models/g_AB.onnx"))

photo, older: uint8 RGB (H, W, 3); faces: [detector.Face].
"""

import dataclasses

import cv2
import numpy as np

from ageing.photos import alignment

FEATHER = 0.2       # share of the square's side over which a change fades in from the rim
COLOURLESS = 4      # grey levels: a face whose channels differ less than this on average is black and white
BAND = 256          # rows blended at a time; bounds the memory that a large photo takes


@dataclasses.dataclass(frozen=True)
class Change:
    """What a generator does to one face: square (left, top, side); delta float32 (S, S, 3) in grey levels."""

    square: tuple[int, int, int]
    delta: np.ndarray


def edit(photo, faces, translator, strength=1.0):
    """A copy of `photo`, uint8 RGB (H, W, 3), with `faces` translated. strength 0 returns its pixels exactly."""
    return apply(photo, changes_of(photo, faces, translator), strength)


def changes_of(photo, faces, translator):
    """[Change], one for each of `faces` in uint8 RGB `photo`.

    translator: an object with `size` and `change(crops)`, see translator.Translator.
    The change of a black-and-white face is made grey: generators learn from colour photos and would tint it.
    """
    if not faces:
        return []
    crops = np.stack([alignment.crop(photo, face.square, translator.size) for face in faces])
    deltas = translator.change(crops)
    colourless = np.ptp(crops, axis=3).mean(axis=(1, 2)) <= COLOURLESS
    deltas[colourless] = deltas[colourless].mean(axis=3, keepdims=True)
    return [Change(face.square, delta) for face, delta in zip(faces, deltas, strict=True)]


def apply(photo, changes, strength=1.0):
    """A copy of uint8 RGB `photo` with `changes` added. strength 0 returns its pixels exactly."""
    edited = photo.copy()
    for rows, columns, delta in bands(photo.shape, changes, strength):
        edited[rows, columns] = np.clip(np.rint(edited[rows, columns] + delta), 0, 255)
    return edited


def bands(shape, changes, strength=1.0):
    """What to add to a photo of `shape` (H, W, ...), one band of rows after the other.

    Yields (rows, columns, float32 (h, w, 3) in grey levels), rows and columns as slices. Each change is scaled by
    `strength`, enlarged to the photo's resolution and feathered towards the rim of its square. Where squares overlap,
    the result is the mean of the changes weighted by their feathers, with the largest feather: changes do not add up.
    """
    height, width = shape[:2]
    clipped = [(change, *alignment.clip(change.square, height, width)) for change in changes]
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        here = [(change, x, right) for change, x, y, right, low in clipped if y < bottom and low > top and x < right]
        if not here:
            continue
        first, last = min(x for _, x, _ in here), max(right for _, _, right in here)
        total = np.zeros((bottom - top, last - first, 3), np.float32)
        weights = np.zeros((bottom - top, last - first, 1), np.float32)
        largest = np.zeros_like(weights)
        for change, x, right in here:
            weight = _feather(change.square, top, bottom, x, right)
            part = slice(x - first, right - first)
            total[:, part] += weight * _enlarged(change, top, bottom, x, right)
            weights[:, part] += weight
            np.maximum(largest[:, part], weight, out=largest[:, part])
        total *= strength * largest / np.maximum(weights, 1e-6)
        yield slice(top, bottom), slice(first, last), total


def _feather(square, top, bottom, left, right):
    """Weights float32 (rows, columns, 1) of a part of the photo: 0 outside of the square, 1 well inside."""
    x, y, side = square

    def ramp(first, last, start):
        place = (np.arange(first, last, dtype=np.float32) + 0.5 - start) / side
        t = np.clip(np.minimum(place, 1 - place) / FEATHER, 0, 1)
        return t * t * t * (10 + t * (6 * t - 15))  # Perlin 2002: slope and curvature are 0 at both ends

    return (ramp(top, bottom, y)[:, None] * ramp(left, right, x)[None])[..., None]


def _enlarged(change, top, bottom, left, right):
    """The change in a part of the photo, at the photo's resolution: float32 (rows, columns, 3)."""
    x, y, side = change.square
    delta = change.delta
    if side < len(delta):
        delta = cv2.resize(delta, (side, side), interpolation=cv2.INTER_AREA)
    zoom = len(delta) / side
    place = np.array([[zoom, 0, (left - x + 0.5) * zoom - 0.5], [0, zoom, (top - y + 0.5) * zoom - 0.5]])
    return cv2.warpAffine(delta, place, (right - left, bottom - top), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)
