"""What the browser gets of a photo: its pixels on the screen's scale, and layers: what generators change in each face.

The browser scales the layers and adds them up, as blending.blend does: so a moved slider asks for nothing.
The first answer: four bytes with the length of the description (little-endian), the description in JSON, spaces up to
a multiple of four bytes, then the pixels and the arrays, with the layer that is shown first. Of each array the
description says at which byte after its own end it begins. Further layers follow alone, see `layer`.
"""

import dataclasses
import io
import json

import cv2
import numpy as np
from PIL import Image, ImageCms

from ageing.faces import blending
from ageing.photos import sixteen_bit

SIDE = 1600                             # pixels of the longer side: more than many screens have, for a closer look
LEVELS = 64                             # steps of a grey level in which changes are sent: int16 holds 511 levels
WEIGHTS = 65_535                        # the largest feather, sent as uint16


def packed(photo, faces, placements, changes, side=SIDE):
    """bytes of the answer for a photo_file.Photo.

    faces: [detector.Face]; placements: [alignment.Placement]; changes: {layer: [Change]}, one for each face.
    side: pixels of the longer side; smaller photos keep their size.
    """
    size, zoom = _scaled(photo.rgb.shape, side)
    arrays, described = bytearray(_shown(photo, size)), []

    def start(array):
        begin = len(arrays)
        arrays.extend(array.astype(array.dtype.newbyteorder("<")).tobytes())
        arrays.extend(bytes(-len(arrays) % 4))
        return begin

    for i, (face, placement) in enumerate(zip(faces, placements, strict=True)):
        place, weights, deltas = _on_screen(placement, {name: c[i].delta for name, c in changes.items()}, zoom,
                                           size)
        described.append({"box": (np.reshape(face.box, (2, 2)) * zoom.T).ravel().tolist(), "aligned": placement.aligned,
                          "place": place, "weights": start(weights),
                          "deltas": {name: start(delta) for name, delta in deltas.items()}})
    head = json.dumps({"size": size, "levels": LEVELS, "weights": WEIGHTS, "faces": described}).encode()
    head += b" " * (-len(head) % 4)
    return b"".join([len(head).to_bytes(4, "little"), head, arrays])


def layer(shape, changes, side=SIDE):
    """bytes of one more layer for a photo of `shape` (H, W, ...) that was `packed` with the same `side`.

    changes: [Change], one for each face: the arrays, one after the other, each of the size of its face's first one.
    """
    size, zoom = _scaled(shape, side)
    return b"".join(_on_screen(change.placement, {0: change.delta}, zoom, size)[2][0].astype("<i2").tobytes()
                    for change in changes)


def _scaled(shape, side):
    """(width, height) of a photo of `shape` on the screen; float64 (2, 1): their ratios to those of the photo."""
    height, width = shape[:2]
    scale = min(1, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return size, np.array([[size[0] / width], [size[1] / height]])


def _shown(photo, size):
    """uint8 RGBA (h, w, 4): the photo as a screen shows it, in sRGB where it names another colour space."""
    rgb = photo.rgb if photo.rgb.shape[1::-1] == size else cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA)
    shown = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    shown[..., :3] = _in_srgb(rgb, photo)
    if photo.mode in ("LA", "RGBA"):
        alpha = photo.native[..., -1]
        alpha = alpha if alpha.dtype == np.uint8 else sixteen_bit.to_eight_bits(alpha)
        shown[..., 3] = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return shown


def _in_srgb(rgb, photo):
    """Pixels of a photo with a colour profile, in sRGB; as they are without one, or with one that cannot be used."""
    profile = photo.meta.icc_profile
    if not profile or photo.mode not in ("RGB", "RGBA"):
        return rgb
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        changed = ImageCms.profileToProfile(Image.fromarray(rgb), source, ImageCms.createProfile("sRGB"),
                                            ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except Exception:  # a damaged profile: littleCMS raises errors of several kinds
        return rgb
    return np.asarray(changed)


def _on_screen(placement, deltas, zoom, size):
    """((left, top, width, height), feather uint16 (h, w), {layer: change int16 (h, w, 3)}) of one face."""
    placement = dataclasses.replace(placement, matrix=placement.matrix * zoom)
    left, top, right, bottom = placement.within(size[1], size[0])
    right, bottom = max(left, right), max(top, bottom)
    if not (right - left and bottom - top):
        return (left, top, 0, 0), np.zeros(0, np.uint16), {name: np.zeros(0, np.int16) for name in deltas}
    here = top, bottom, left, right
    patches = {name: blending.Patch(blending.Change(placement, delta)) for name, delta in deltas.items()}
    weights = next(iter(patches.values())).feather(*here)   # the same for each layer
    layers = {name: np.rint(np.clip(patch.warped(*here) * LEVELS, -32_768, 32_767)).astype(np.int16)
              for name, patch in patches.items()}
    return (left, top, right - left, bottom - top), np.rint(weights * WEIGHTS).astype(np.uint16), layers
