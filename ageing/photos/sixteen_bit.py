"""16-bit pixels of PNG and TIFF files, read and written by OpenCV and tifffile: Pillow has 8-bit colour only."""

import dataclasses
import io
import logging
import os
import zlib

import cv2
import numpy as np
from PIL import Image

from ageing.errors import UserError
from ageing.photos import exif
from ageing.photos.repair import png_chunks

# OpenCV would print its own warnings about damaged files. They are reported as one UserError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# TIFF tags, and values of theirs.
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES = 254, 256, 257, 258, 259, 262, 266, 277
STRIP_OFFSETS, STRIP_COUNTS, PLANES, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 273, 279, 284, 324, 325, 338, 339
LAYOUT_TAGS = {SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, STRIP_OFFSETS, STRIP_COUNTS,
               PLANES, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT}
MORE_LAYOUT_TAGS = {278, 317, 322, 323}     # rows a strip, predictor, size of tiles
WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR, INKS = 0, 1, 2, 5
UNSIGNED = (1, 4)                       # 4: not stated
DEFLATE = (8, 32946)                    # two numbers of one method
BY_TIFFFILE = (1, 32773, *DEFLATE)      # uncompressed, PackBits, deflate: the others need a codec package
ASSOCIATED, UNASSOCIATED = 1, 2         # extra samples: alpha that the colours are multiplied with, or not


@dataclasses.dataclass(frozen=True)
class TiffLayout:
    """How the pixels of a TIFF's first picture are stored. bits, formats, extra: a value a channel, as its tags."""

    width: int
    height: int
    bits: tuple
    formats: tuple
    photometric: int
    compression: int
    planes: int
    fill_order: int
    extra: tuple
    is_preview: bool

    @property
    def is_deep(self):
        """Whether `read_tiff` reads it: 16 bits of grey or colour."""
        return set(self.bits) == {16} and self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR)


    @property
    def is_for_opencv(self):
        """Whether OpenCV reads it right: compressed, channels side by side."""
        return self.compression not in (1, 32773) and (self.planes == 1 or len(self.bits) == 1) and len(self.bits) != 2


def tiff_layout(path):
    """The TiffLayout of a file, or None if it is no TIFF. Raises UserError if pixels lie beyond its end."""
    with open(path, "rb") as file:
        if file.read(2) not in (b"II", b"MM"):
            return None
        tags = exif.read(file, LAYOUT_TAGS.__contains__)
        end = os.fstat(file.fileno()).st_size
    width, height, photometric = (tags.number(number) for number in (WIDTH, HEIGHT, PHOTOMETRIC))
    if not (isinstance(width, int) and isinstance(height, int) and isinstance(photometric, int)):
        return None
    samples = (*tags.numbers(SAMPLES), 1)[0]
    bits, formats = tags.numbers(BITS) or (1,), tags.numbers(FORMAT) or (1,)
    if set(bits) == {16}:
        for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS)):
            if any(a + n > end for a, n in zip(tags.numbers(offsets), tags.numbers(counts), strict=False)):
                raise UserError(f"{path}: a damaged image (it ends before its pixels do)")
    if len(bits) != samples:
        bits = bits[:1] * min(samples, 16)
    compression, planes, fill_order = (tags.number(number) or 1 for number in (COMPRESSION, PLANES, FILL_ORDER))
    subfile = (*tags.numbers(SUBFILE), 0)[0]
    return TiffLayout(width, height, bits, formats, photometric, compression, planes, fill_order, tags.numbers(EXTRA),
                      is_preview=bool(subfile & 1))


def check_layout(path, layout):
    """Raises UserError if the pixels of a TIFF have a kind that neither `read_tiff` nor Pillow reads right."""
    kind, deep, channels = None, set(layout.bits) == {16}, len(layout.bits)
    if layout.is_preview:
        kind = "a preview in place of the picture (a raw file?)"
    elif not set(layout.formats) <= set(UNSIGNED):
        kind = "signed or floating-point pixels"
    elif max(layout.bits) > 16:
        kind = f"{max(layout.bits)}-bit pixels"
    elif deep and not layout.is_deep and (layout.photometric != INKS or layout.planes == 2):
        kind = "16-bit pixels of this colour model"
    elif layout.is_deep and layout.planes == 2 and channels > 1 and layout.compression not in BY_TIFFFILE:
        kind = "16-bit colour planes in this compression"
    elif layout.is_deep and channels not in ((3, 4) if layout.photometric == COLOUR else (1, 2)):
        kind = f"16-bit pixels of {channels} channels"
    elif deep and layout.fill_order != 1:
        kind = "16-bit pixels with reversed bits"
    if kind:
        raise UserError(f"{path}: {kind} cannot be read here; save it as RGB or grey with 8 or 16 bits first")


def read_tiff(path, layout):
    """(uint16 (H, W) or (H, W, C), mode "L", "LA", "RGB" or "RGBA") of a deep TIFF, as stored, not turned.

    Raises errors of many kinds if it is damaged.
    """
    if layout.compression in BY_TIFFFILE and not layout.is_for_opencv:
        if layout.compression in DEFLATE:
            _check_unfolds(path, layout)
        pixels = _by_tifffile(path)
    else:
        pixels = _decoded(np.fromfile(path, np.uint8))
        if pixels is not None and pixels.ndim == 3:
            pixels = _swap(pixels)
    channels = len(layout.bits)
    shape = (layout.height, layout.width) + ((channels,) if channels > 1 else ())
    if pixels is None or pixels.dtype != np.uint16 or pixels.size != np.prod(shape, dtype=np.int64):
        raise UserError(f"{path}: 16-bit pixels that cannot be read here; save it as RGB or with 8 bits first")
    pixels = pixels.reshape(shape)
    if layout.photometric == WHITE_IS_ZERO:
        grey = pixels if channels == 1 else pixels[..., 0]
        np.subtract(65535, grey, out=grey)
    return _alpha_applied(pixels, layout)


def _check_unfolds(path, layout):
    """Raises UserError if a strip or tile of a deflated TIFF unfolds to more than a whole channel set."""
    most = 2 * len(layout.bits) * max(layout.width, 1024) * max(layout.height, 1024)  # a tile may be larger
    with open(path, "rb") as file:
        tags = exif.read(file, LAYOUT_TAGS.__contains__)
        for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS)):
            for offset, count in zip(tags.numbers(offsets), tags.numbers(counts), strict=False):
                file.seek(offset)
                unfold = zlib.decompressobj()
                unfold.decompress(file.read(count), most)
                if unfold.unconsumed_tail:
                    raise UserError(f"{path}: a damaged image (its pixels unfold to more than its size)")


def _by_tifffile(path):
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # damaged files are reported as one UserError
    try:
        return _first_page(tifffile.TiffFile(path))
    except Exception:  # it also fails on odd tags that say nothing about these pixels
        with open(path, "rb") as file:
            data = exif.with_tags(file.read(), (LAYOUT_TAGS | MORE_LAYOUT_TAGS).__contains__)
        return _first_page(tifffile.TiffFile(io.BytesIO(data)))


def _first_page(file):
    """uint16 pixels of an open tifffile.TiffFile, channels last, in this machine's byte order. Closes it."""
    with file:
        page = file.pages[0]
        pixels = page.asarray(maxworkers=1)
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels.reshape(page.samplesperpixel, page.imagelength, page.imagewidth), 0, -1)
    return np.ascontiguousarray(pixels, np.uint16)


def _alpha_applied(pixels, layout):
    """(pixels, mode): without extra channels that are no alpha, and with colours that are not multiplied with it."""
    colours = 3 if layout.photometric == COLOUR else 1
    mode = "RGB" if colours == 3 else "L"
    if len(layout.bits) == colours:
        return pixels, mode
    kind = layout.extra[0] if layout.extra else UNASSOCIATED
    if kind not in (ASSOCIATED, UNASSOCIATED):
        return np.ascontiguousarray(pixels[..., :3] if colours == 3 else pixels[..., 0]), mode
    if kind == ASSOCIATED:
        for row in pixels:  # row by row: no copy of the whole in between
            alpha = np.maximum(row[:, -1:], 1).astype(np.uint64)
            row[:, :-1] = np.minimum((row[:, :-1] * np.uint64(65535) + alpha // 2) // alpha, 65535)
    return pixels, mode + "A"


def is_deep_png(image):
    """Whether an open image, not yet loaded, is a PNG with 16 bits a channel."""
    return image.format == "PNG" and any(";16" in str(tile[3]) for tile in image.tile)


def read_png(path, data, stored, transparent):
    """(uint16 (H, W) or (H, W, C), mode "L", "LA", "RGB" or "RGBA") of a PNG's bytes. Raises UserError.

    stored: Pillow's mode for it. transparent: a number or three of 16 bits, the colour that is transparent, or None.
    """
    pixels = _decoded(np.frombuffer(data, np.uint8))
    if pixels is None or pixels.dtype != np.uint16:
        raise UserError(f"{path}: 16-bit pixels that cannot be read here; save it as RGB or with 8 bits first")
    if pixels.ndim == 3:
        pixels = _swap(pixels)
    if stored == "I;16" and pixels.ndim == 3:
        return np.ascontiguousarray(pixels[..., [0, -1]]), "LA"
    return _with_transparent_colour(pixels, transparent)


def _with_transparent_colour(pixels, colour):
    """(pixels, mode): with an alpha channel if there is a transparent `colour`."""
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return pixels, "RGBA"
    mode = "L" if pixels.ndim == 2 else "RGB"
    if not isinstance(colour, (int, tuple)):
        return pixels, mode
    shown = pixels != colour if mode == "L" else (pixels != np.array(colour)).any(2)
    return np.dstack([pixels, shown.astype(np.uint16) * np.uint16(65535)]), mode + "A"


def _decoded(data):
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)


def twelve_to_sixteen_bits(pixels):
    """uint16 pixels of 0 to 4095 as 0 to 65535."""
    return pixels << 4 | pixels >> 8


def to_eight_bits(pixels):
    """uint16 pixels as uint8: 257 levels become one."""
    out = np.empty(pixels.shape, np.uint8)
    return np.floor_divide(pixels, 257, out=out, casting="unsafe")  # no 16-bit copy in between


def write_png(path, pixels, options):
    """Write uint16 (H, W, C) `pixels`: grey and alpha, RGB or RGBA. options: Pillow's for a PNG.

    The pixels are encoded by OpenCV; the other chunks are those that Pillow writes for a PNG of one pixel.
    """
    if pixels.shape[2] == 2:  # OpenCV writes no grey with alpha
        pixels = np.dstack([pixels[..., :1]] * 3 + [pixels[..., 1:]])
    done, data = cv2.imencode(".png", _swap(pixels))
    _swap(pixels)
    if not done:
        raise ValueError("16-bit pixels could not be encoded")
    small = io.BytesIO()
    Image.new("RGB", (1, 1)).save(small, "PNG", **options)
    kept = b"".join(chunk for kind, chunk in png_chunks(small.getvalue()) if kind not in (b"IHDR", b"IDAT", b"IEND"))
    data = memoryview(data)
    head = 8 + 25  # signature and IHDR
    with open(path, "wb") as file:
        for part in (data[:head], kept, data[head:]):
            file.write(part)


def write_tiff(path, pixels, options):
    """Write uint16 `pixels`: (H, W, C), grey and alpha, RGB or RGBA. options: icc_profile, dpi, compression or none."""
    import tifffile

    channels = pixels.shape[2]
    dpi = options.get("dpi")
    squeezed = options.get("compression") in ("tiff_adobe_deflate", "tiff_deflate")
    tifffile.imwrite(path, pixels, photometric="rgb" if channels > 2 else "minisblack", planarconfig="contig",
                     metadata=None, software=False, iccprofile=options.get("icc_profile"),
                     extrasamples=["unassalpha"] if channels in (2, 4) else None,
                     compression="zlib" if squeezed else None, maxworkers=1,
                     resolution=dpi or None, resolutionunit="INCH" if dpi else None)


def _swap(pixels):
    """BGR(A) to RGB(A) or back, in place."""
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=pixels)
