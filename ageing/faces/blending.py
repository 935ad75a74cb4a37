"""Blend into a photo what a generator changes in its faces. Pixels outside of the faces' outlines stay as they are.

    older = edit(photo, placements, Translator("saved_models/g_AB.onnx"))

photo, older: uint8 RGB (H, W, 3); placements: [alignment.Placement].
"""

import dataclasses

import cv2
import numpy as np

from ageing.faces import alignment, toning

# The change fades in from the face's outline inwards: 90 % of it is reached after 1.2 times this share of the
# placement's side. Chosen by eye on ten sharp portraits: no seam shows from 0.03 on, and more leaves a young rim.
SOFTNESS = 0.07
LEAST_SOFTNESS = 2  # pixels of the photo: a tiny face would get an edge that is hard
MASK = 128          # pixels per side of the weights, which are enlarged with the change
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
    """A copy of `photo`, uint8 RGB (H, W, 3), with `placements` translated. strength 0 returns its pixels exactly.

    Faces that are not aligned, in profile or half covered, are left as they are.
    """
    aligned = [placement for placement in placements if placement.aligned]
    return blend(photo, changes_of(photo, aligned, translator), strength)


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
    `strength`, warped to the photo's pixels and feathered towards the face's outline. Where they overlap, the
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
        self.weights = mask(change.placement)
        self.inverse = cv2.invertAffineTransform(change.placement.matrix)  # from the photo to the unit square
        side = max(1, round(change.placement.side))
        # The warp has no filter: a placement that is smaller than the delta gets a smaller delta.
        self.delta = change.delta if side >= len(change.delta) else cv2.resize(change.delta, (side, side),
                                                                               interpolation=cv2.INTER_AREA)

    def warped(self, top, bottom, left, right):
        """The change in a part of the photo, at the photo's resolution: float32 (rows, columns, 3)."""
        return self._drawn(self.delta, top, bottom, left, right, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)

    def feather(self, top, bottom, left, right):
        """Weights float32 (rows, columns, 1) of a part of the photo: 0 outside of the face's outline, 1 well inside."""
        return self._drawn(self.weights, top, bottom, left, right, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[..., None]

    def _drawn(self, picture, top, bottom, left, right, interpolation, border):
        """What lies in the placement, (S, S, ...), drawn into a part of the photo."""
        place = self.inverse.copy()
        place[:, 2] += place[:, :2] @ (left, top)
        place = alignment.between_centres(place * len(picture))
        return cv2.warpAffine(picture, place, (right - left, bottom - top), borderMode=border,
                              flags=interpolation | cv2.WARP_INVERSE_MAP)


def mask(placement):
    """How much of a change is drawn in each part of the Placement: float32 (MASK, MASK). 0 outside of its outline."""
    points = np.rint((placement.outline * MASK - 0.5) * 256).astype(np.int32)   # in 256ths of a pixel
    face = cv2.fillPoly(np.zeros((MASK, MASK), np.uint8), [points], 255, cv2.LINE_AA, shift=8).astype(np.float32)
    softness = min(max(SOFTNESS, LEAST_SOFTNESS / placement.side), 0.2)
    # Blurred, a straight edge has the value 1/2 where it was. Beyond the placement there is no change, so no face.
    soft = cv2.GaussianBlur(face / 255, (0, 0), softness * MASK, borderType=cv2.BORDER_CONSTANT)
    t = np.clip(2 * soft - 1, 0, 1)
    return t * t * t * (10 + t * (6 * t - 15))  # Perlin 2002: slope and curvature are 0 at both ends
