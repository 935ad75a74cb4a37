"""Blend into a photo what a generator changes in its faces. Pixels outside of the faces' placements stay as they are.

    older = edit(photo, placements, Translator("saved_models/g_AB.onnx"))

photo, older: uint8 RGB (H, W, 3); placements: [alignment.Placement].
"""

import dataclasses

import cv2
import numpy as np

from ageing.faces import alignment, toning

# Share of the placement's side over which a change fades in from the rim. 0.2 costs a year of ageing. Square corners
# change more of the background and gain no year. Fading at the outline of a median face costs half a year.
FEATHER = 0.1
LEAST_FEATHER = 4   # pixels of the photo: a tiny face would get a rim that is hard
COLOURLESS = 4      # grey levels: a face whose channels differ less than this on average is black and white
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601: grey of RGB
BAND = 256          # rows blended at a time; bounds the memory that a large photo takes


@dataclasses.dataclass(frozen=True)
class Change:
    """What a generator does to one face: its alignment.Placement; delta float32 (S, S, 3) in grey levels."""

    placement: alignment.Placement
    delta: np.ndarray

    def moved(self, left, top):
        """The same change in the part of the photo that begins at (left, top)."""
        return dataclasses.replace(self, placement=self.placement.moved(left, top))


def edit(photo, placements, translator, strength=1.0):
    """A copy of `photo`, uint8 RGB (H, W, 3), with `placements` translated. strength 0 returns its pixels exactly."""
    return blend(photo, changes_of(photo, placements, translator), strength)


def changes_of(photo, placements, translator):
    """[Change], one for each of `placements` in uint8 RGB `photo`.

    translator: an object with `size` and `change(crops)`, see translator.Translator.
    The change of a black-and-white face is made grey, that of a toned one goes along its tone: generators learn from
    colour photos and would tint them.
    """
    if not placements:
        return []
    crops = np.stack([alignment.cut(photo, placement.matrix, translator.size) for placement in placements])
    colourless = np.ptp(crops, axis=3).mean(axis=(1, 2)) <= COLOURLESS
    tones = {} if colourless.all() else toning.tones_of(crops)
    greys = crops.mean(axis=3, dtype=np.float32)
    toned = [number for number in tones if not colourless[number]]
    crops[toned] = np.rint(greys[toned])[..., None]
    deltas = translator.change(crops)
    deltas[colourless] = deltas[colourless].mean(axis=3, keepdims=True)
    for number in toned:
        grey, tone = greys[number], tones[number]
        deltas[number] = tone(grey + deltas[number].mean(axis=2)) - tone(grey)
    return [Change(placement, delta) for placement, delta in zip(placements, deltas, strict=True)]


def blend(pixels, changes, strength=1.0, mode="RGB"):
    """A copy of `pixels` with `changes` added. strength 0 returns the pixels exactly.

    pixels: uint8 or uint16, (H, W) or (H, W, C) in the order of `mode`: "L", "LA", "RGB", "RGBA" or "CMYK". Alpha and
    black ink stay.
    """
    return add(pixels, photo_deltas(pixels.shape, changes, strength), mode)


def add(pixels, deltas, mode="RGB"):
    """A copy of `pixels` with `deltas` added, which are (rows, columns, float32 (h, w, 3) in grey levels of 255)."""
    edited = pixels.copy()
    scale = 257 if edited.dtype == np.uint16 else 1
    for rows, columns, delta in deltas:
        part = edited[rows, columns]
        if mode == "CMYK":  # R = (255 - C)(255 - K) / 255: less ink where it gets lighter
            delta = -delta * (255 / np.maximum(255 - part[..., 3:].astype(np.float32), 1))
        elif mode in ("L", "LA"):
            delta = delta @ LUMA
        colour = part if mode == "L" else part[..., 0] if mode == "LA" else part[..., :3]
        colour[...] = np.clip(np.rint(colour + delta * scale), 0, 255 * scale)
    return edited


def photo_deltas(shape, changes, strength=1.0):
    """What to add to a photo of `shape` (H, W, ...), one band of rows after the other.

    Yields (rows, columns, float32 (h, w, 3) in grey levels), rows and columns as slices. Each change is scaled by
    `strength`, warped to the photo's pixels and feathered towards the rim of its placement. Where they overlap, the
    result is the mean of the changes weighted by their feathers, with the largest feather: changes do not add up.
    """
    height, width = shape[:2]
    patches = [(Patch(change), *change.placement.within(height, width)) for change in changes]
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        here = [(patch, x, right) for patch, x, y, right, low in patches if y < bottom and low > top and x < right]
        if not here:
            continue
        first, last = min(x for _, x, _ in here), max(right for _, _, right in here)
        total = np.zeros((bottom - top, last - first, 3), np.float32)
        weights = np.zeros((bottom - top, last - first, 1), np.float32)
        largest = np.zeros_like(weights)
        for patch, x, right in here:
            weight = patch.feather(top, bottom, x, right)
            part = slice(x - first, right - first)
            total[:, part] += weight * patch.warped(top, bottom, x, right)
            weights[:, part] += weight
            np.maximum(largest[:, part], weight, out=largest[:, part])
        total *= strength * largest / np.maximum(weights, 1e-6)
        yield slice(top, bottom), slice(first, last), total


class Patch:
    """A change, prepared to be drawn into parts of the photo."""

    def __init__(self, change):
        self.fade = min(max(FEATHER, LEAST_FEATHER / change.placement.side), 0.5)
        self.inverse = cv2.invertAffineTransform(change.placement.matrix)  # from the photo to the unit square
        side = max(1, round(change.placement.side))
        # The warp has no filter: a placement that is smaller than the delta gets a smaller delta.
        self.delta = change.delta if side >= len(change.delta) else cv2.resize(change.delta, (side, side),
                                                                               interpolation=cv2.INTER_AREA)

    def warped(self, top, bottom, left, right):
        """The change in a part of the photo, at the photo's resolution: float32 (rows, columns, 3)."""
        place = self.inverse.copy()
        place[:, 2] += place[:, :2] @ (left, top)
        place = alignment.between_centres(place * len(self.delta))
        return cv2.warpAffine(self.delta, place, (right - left, bottom - top), borderMode=cv2.BORDER_REPLICATE,
                              flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)

    def feather(self, top, bottom, left, right):
        """Weights float32 (rows, columns, 1) of a part of the photo: 0 outside of the placement, 1 well inside.

        The weight depends on the distance from the centre in the norm of order 4: the placement with rounded corners.
        """
        x, y = np.arange(left, right) + 0.5, np.arange(top, bottom)[:, None] + 0.5
        distance = np.float32(0)
        for of_x, of_y, start in self.inverse:
            place = (2 * of_x * x + 2 * start - 1).astype(np.float32) + (2 * of_y * y).astype(np.float32)
            distance = distance + np.square(np.square(place))
        t = np.clip((1 - np.sqrt(np.sqrt(distance))) / (2 * self.fade), 0, 1)
        return (t * t * t * (10 + t * (6 * t - 15)))[..., None]  # Perlin 2002: slope and curvature are 0 at both ends
