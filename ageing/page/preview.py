"""What the browser gets of a photo: its pixels on the screen's scale, and what each generator changes in each face.

The browser scales the changes and adds them up, as blending.apply does: so a moved slider asks for nothing.
One answer holds everything: four bytes with the length of the description (little-endian), the description in JSON,
zeros up to a multiple of four bytes, then the arrays, of which the description says where they begin.
"""

import io
import json

import cv2
import numpy as np
from PIL import Image, ImageCms

from ageing.faces import alignment, blending
from ageing.photos import sixteen_bit

LEAST_SIDE, LARGEST_SIDE = 320, 1600    # pixels of the longer side; the browser asks for what its screen has
LEVELS = 64                             # steps of a grey level in which changes are sent: int16 holds 511 levels
WEIGHTS = 65_535                        # the largest feather, sent as uint16


def packed(photo, faces, frames, changes, side):
    """bytes of the answer for a photo_file.Photo.

    faces: [detector.Face]; frames: [alignment.Frame], one for each; changes: {direction: [Change], one for each}.
    side: pixels of the longer side; smaller photos keep their size.
    """
    height, width = photo.rgb.shape[:2]
    scale = min(1, min(max(side, LEAST_SIDE), LARGEST_SIDE) / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    zoom = np.array([[size[0] / width], [size[1] / height]])
    arrays = [_shown(photo, size)]
    described = []
    for i, (face, frame) in enumerate(zip(faces, frames, strict=True)):
        left, top, right, bottom = (float(v) for v in (np.reshape(face.box, (2, 2)) * zoom.T).ravel())
        here = {"box": [left, top, right, bottom], "aligned": frame.aligned}
        place, weights, deltas = _on_screen(frame, {d: c[i].delta for d, c in changes.items()}, zoom, size)
        here["place"] = place
        here["weights"], here["deltas"] = len(arrays), {}
        arrays.append(weights)
        for direction, delta in deltas.items():
            here["deltas"][direction] = len(arrays)
            arrays.append(delta)
        described.append(here)
    return _joined({"width": width, "height": height, "shown": size, "levels": LEVELS, "weights": WEIGHTS,
                    "faces": described}, arrays)


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


def _on_screen(frame, deltas, zoom, size):
    """((left, top, width, height), feather uint16 (h, w), {direction: change int16 (h, w, 3)}) of one face."""
    frame = alignment.Frame(frame.matrix * zoom, frame.aligned)
    left, top, right, bottom = alignment.clip(frame.bounds, size[1], size[0])
    right, bottom = max(left, right), max(top, bottom)
    if not (right - left and bottom - top):
        return (left, top, 0, 0), np.zeros(0, np.uint16), {d: np.zeros(0, np.int16) for d in deltas}
    weights, layers = None, {}
    for direction, delta in deltas.items():
        patch = blending.Patch(blending.Change(frame, delta))
        if weights is None:
            weights = np.rint(patch.feather(top, bottom, left, right) * WEIGHTS).astype(np.uint16)
        warped = np.clip(patch.warped(top, bottom, left, right) * LEVELS, -32_768, 32_767)
        layers[direction] = np.rint(warped).astype(np.int16)
    return (left, top, right - left, bottom - top), weights, layers


def _joined(description, arrays):
    """bytes of the answer. Where the description holds the number of an array, "starts" says at which byte it begins.

    They are counted from the end of the description.
    """
    parts, starts, length = [], [], 0
    for array in arrays:
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        padding = -len(data) % 4
        starts.append(length)
        parts += [data, bytes(padding)]
        length += len(data) + padding
    head = json.dumps(description | {"starts": starts}).encode()
    head += b" " * (-len(head) % 4)
    return b"".join([len(head).to_bytes(4, "little"), head, *parts])
