"""Colours of a clip's frames: as RGB for the networks, and changes added to the frame's own Y, Cb and Cr.

A change of R, G and B is a linear one of Y, Cb and Cr. So it is added there, and pixels outside of the faces stay as
they are, to the bit, whatever the matrix, the range and the depth.
"""

import dataclasses

import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from ageing.errors import UserError
from ageing.faces import blending
from ageing.hdr import HLG, PQ, TO_BT709, Curve

# FFmpeg's numbers of matrices (ITU-T H.273): red's and blue's share of Y, and what the converter calls them.
BT709, UNSPECIFIED, BT601, BT2020 = 1, 2, 6, 9
MATRICES = {
    BT709: (0.2126, 0.0722, Colorspace.ITU709),
    5: (0.299, 0.114, Colorspace.ITU601),
    BT601: (0.299, 0.114, Colorspace.ITU601),
    7: (0.212, 0.087, Colorspace.SMPTE240M),
    BT2020: (0.2627, 0.0593, Colorspace.BT2020),
}
RGB = 0             # the matrix of frames that hold red, green and blue
LIMITED, FULL = 1, 2
# The converter's default makes pixels a grey level darker.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
HD = 720            # rows from which a clip that does not say it is taken for BT.709, as players do


@dataclasses.dataclass(frozen=True)
class Colour:
    """How a clip's frames hold colour. matrix: a key of MATRICES. full: the range. transfer: FFmpeg's number."""

    matrix: int
    full: bool
    transfer: int

    @property
    def is_hdr(self):
        return self.transfer in (PQ, HLG)


def of(frame, path):
    """The Colour in which a decoded frame is edited. Raises UserError, naming `path`, if it is not known."""
    matrix = frame.colorspace
    rgb = matrix == RGB or frame.format.is_rgb
    if matrix == UNSPECIFIED or rgb:
        matrix = BT709 if frame.height >= HD else BT601
    dolby = any(data.type.name == "DOVI_METADATA" for data in frame.side_data)
    if matrix not in MATRICES or (dolby and frame.color_trc not in (PQ, HLG)):
        raise UserError(f"{path}: its colours are of a kind that is not known here (Dolby Vision's own, or matrix "
                        f"{frame.colorspace}); convert it to SDR first")
    full = not rgb and (frame.color_range == FULL or frame.format.name.startswith("yuvj"))
    return Colour(matrix, full, frame.color_trc)


def rgb_of(frame, colour, size):
    """uint8 RGB (H, W, 3) of a decoded frame, resized to `size` (width, height). HDR is reduced to SDR."""
    kind = "rgb48le" if colour.is_hdr else "rgb24"
    picture = frame.reformat(*size, format=kind, src_colorspace=MATRICES[colour.matrix][2],
                             src_color_range=ColorRange.JPEG if colour.full or frame.format.is_rgb else ColorRange.MPEG,
                             dst_color_range=ColorRange.JPEG).to_ndarray()
    if colour.is_hdr:
        picture = cv2.transform(np.take(Curve(colour.transfer).table, picture), TO_BT709)
    return np.ascontiguousarray(picture)


def writable(frame, colour, size, pixel_format):
    """A copy of a decoded frame in this pixel format and size (width, height), with its time and colour tags."""
    from av import VideoFrame

    same = frame.format.name.replace("yuvj", "yuv") == pixel_format and (frame.width, frame.height) == size
    if same:
        copy = VideoFrame(*size, pixel_format)
        for target, source in zip(planes_of(copy), planes_of(frame), strict=True):
            target[...] = source
    else:
        kind, code = ColorRange.JPEG if colour.full else ColorRange.MPEG, MATRICES[colour.matrix][2]
        copy = frame.reformat(*size, format=pixel_format, src_colorspace=code, dst_colorspace=code, interpolation=EXACT,
                              src_color_range=ColorRange.JPEG if frame.format.is_rgb else kind, dst_color_range=kind)
    copy.colorspace = frame.colorspace if frame.colorspace != RGB else colour.matrix
    copy.color_range = FULL if colour.full else LIMITED if frame.format.is_rgb else frame.color_range
    copy.color_trc, copy.color_primaries = frame.color_trc, frame.color_primaries
    copy.pts, copy.time_base, copy.duration = frame.pts, frame.time_base, frame.duration
    return copy


def planes_of(frame):
    """[array (rows, columns)] of the Y, Cb and Cr (and alpha) of a planar frame: they share its memory."""
    planes = []
    for plane, component in zip(frame.planes, frame.format.components, strict=False):
        kind = np.uint16 if component.bits > 8 else np.uint8
        rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
        planes.append(rows[:component.height, :component.width])
    return planes


def add(frame, changes, strength, colour):
    """Add [blending.Change] to a frame that `writable` made, in place. Their placements lie in its pixels."""
    planes, depth = planes_of(frame)[:3], frame.format.components[0].bits
    luma, chroma = scales(depth, colour.full)
    to_yuv = rgb_to_yuv(colour.matrix) * np.array([[luma], [chroma], [chroma]], np.float32)
    low, high = (0, 2 ** depth - 1) if colour.full else (16 << depth - 8, 235 << depth - 8)
    for rows, columns, delta in blending.photo_deltas(planes[0].shape, changes, strength):
        if colour.is_hdr:
            delta = Curve(colour.transfer).unreduced(delta, signal(planes, rows, columns, colour, depth))
        deltas = np.moveaxis(delta @ to_yuv.T, 2, 0)
        _add(planes[0][rows, columns], deltas[0], low, high)
        for plane, one in zip(planes[1:], deltas[1:], strict=True):
            part, reduced = halved(plane, planes[0].shape, rows, columns, one)
            _add(part, reduced, 0 if colour.full else low, high if colour.full else 240 << depth - 8)


def _add(part, delta, low, high):
    """Add in place, without leaving the range, where the pixel does not lie outside of it already."""
    part[...] = np.clip(np.rint(part + delta), np.minimum(part, low), np.maximum(part, high))


def halved(plane, shape, rows, columns, delta):
    """(the part of a Cb or Cr plane for these rows and columns of Y, `delta` (h, w) reduced to its size)."""
    spans, padding = [], []
    for span, coarse, fine in zip((rows, columns), plane.shape, shape, strict=True):
        step = 1 if coarse == fine else 2
        begin, end = span.start // step, -(-span.stop // step)
        spans.append(slice(begin, end))
        padding.append((span.start - begin * step, end * step - span.stop))
    delta, part = np.pad(delta, padding, mode="edge"), plane[tuple(spans)]
    if part.shape != delta.shape:
        delta = cv2.resize(delta, part.shape[::-1], interpolation=cv2.INTER_AREA)
    return part, delta


def scales(depth, full):
    """Codes of Y, and of Cb and Cr, for one grey level of 255."""
    return ((2 ** depth - 1) / 255,) * 2 if full else (219 / 255 * 2 ** (depth - 8), 224 / 255 * 2 ** (depth - 8))


def rgb_to_yuv(matrix):
    """float32 (3, 3): rows for Y, Cb and Cr; RGB of 0 to 1 gives Y of 0 to 1, Cb and Cr of -0.5 to 0.5."""
    red, blue, _ = MATRICES[matrix]
    y = np.array([red, 1 - red - blue, blue])
    return np.stack([y, (np.array([0, 0, 1]) - y) / (2 - 2 * blue), (np.array([1, 0, 0]) - y) / (2 - 2 * red)]
                    ).astype(np.float32)


def signal(planes, rows, columns, colour, depth):
    """float32 (h, w, 3): the R, G and B signals, 0 to 1, in a part of a frame."""
    luma, chroma = (255 * scale for scale in scales(depth, colour.full))
    y = (planes[0][rows, columns] - np.float32(0 if colour.full else 16 << depth - 8)) / luma
    yuv = [y]
    for plane in planes[1:]:
        step = [1 if coarse == fine else 2 for coarse, fine in zip(plane.shape, planes[0].shape, strict=True)]
        index = np.ix_(*(np.arange(part.start, part.stop) // n for part, n in zip((rows, columns), step, strict=True)))
        yuv.append((plane[index] - np.float32(128 << depth - 8)) / chroma)
    return np.stack(yuv, 2) @ np.linalg.inv(rgb_to_yuv(colour.matrix)).T
