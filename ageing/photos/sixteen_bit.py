"""16-bit pixels of PNG and TIFF files, read and written by OpenCV and tifffile: Pillow has 8-bit colour only."""

import dataclasses
import io
import logging
import zlib

import cv2
import numpy as np
from PIL import Image

from ageing.errors import UserError
from ageing.photos import exif

# OpenCV would print its own warnings about damaged files. They are reported as one UserError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# TIFF tags, and values of theirs.
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES = 254, 256, 257, 258, 259, 262, 277, 284
EXTRA, FORMAT = 338, 339
PIECES = (273, 279), (324, 325)         # places and lengths: of strips, of tiles
BLACK_IS_ZERO, COLOUR, INKS = 1, 2, 5
UNSIGNED = (1, 4)                       # 4: not stated
DEFLATE = (8, 32946)                    # two numbers of one method
BY_TIFFFILE = (1, 32773, *DEFLATE)      # uncompressed, PackBits, deflate: the others need a codec package
ASSOCIATED, UNASSOCIATED = 1, 2         # extra samples: alpha that the colours are multiplied with, or not
UNREADABLE = "16-bit pixels that cannot be read here; save it as RGB or with 8 bits first"


@dataclasses.dataclass(frozen=True)
class TiffLayout:
    """How the pixels of a TIFF's first picture are stored. bits, formats, extra: a value a channel, as its tags.

    pieces: [(place, length)] of the bytes.
    """

    width: int
    height: int
    bits: tuple
    formats: tuple
    photometric: int
    compression: int
    planes: int
    extra: tuple
    is_preview: bool
    pieces: list

    @property
    def is_deep(self):
        """Whether `read_tiff` reads it: 16 bits of grey or colour."""
        return set(self.bits) == {16} and self.photometric in (BLACK_IS_ZERO, COLOUR)


def tiff_layout(path):
    """The TiffLayout of a file, or None if it is no TIFF."""
    with open(path, "rb") as file:
        head = file.read(4)
        if head[:2] not in (b"II", b"MM"):
            return None
        if b"+" in head:
            raise UserError(f"{path}: a BigTIFF cannot be read here; save it as a usual TIFF first")
        tags = exif.read(file, exif.STORAGE_TAGS.__contains__)
    width, height, photometric = (tags.number(number) for number in (WIDTH, HEIGHT, PHOTOMETRIC))
    if not (isinstance(width, int) and isinstance(height, int) and isinstance(photometric, int)):
        return None
    samples = tags.number(SAMPLES) or 1
    bits = tags.numbers(BITS) or (1,)
    if len(bits) != samples:
        bits = bits[:1] * min(samples, 16)
    pieces = [piece for places, lengths in PIECES
              for piece in zip(tags.numbers(places), tags.numbers(lengths), strict=False)]
    return TiffLayout(width, height, bits, tags.numbers(FORMAT) or (1,), photometric, tags.number(COMPRESSION) or 1,
                      tags.number(PLANES) or 1, tags.numbers(EXTRA), bool((tags.number(SUBFILE) or 0) & 1), pieces)


def check_layout(path, layout):
    """Raises UserError if the pixels of a TIFF have a kind that neither `read_tiff` nor Pillow reads right."""
    kind, deep, channels = None, set(layout.bits) == {16}, len(layout.bits)
    if layout.is_preview:
        kind = "a preview in place of the picture (a raw file?)"
    elif not set(layout.formats) <= set(UNSIGNED):
        kind = "signed or floating-point pixels"
    elif max(layout.bits) > 16 or 8 < max(layout.bits) < 16:
        kind = f"{max(layout.bits)}-bit pixels"
    elif deep and not layout.is_deep and (layout.photometric != INKS or layout.planes == 2):
        kind = "16-bit pixels of this colour model"
    elif layout.is_deep and layout.planes == 2 and channels > 1 and layout.compression not in BY_TIFFFILE:
        kind = "16-bit colour planes in this compression"
    elif layout.is_deep and channels not in ((3, 4) if layout.photometric == COLOUR else (1, 2)):
        kind = f"16-bit pixels of {channels} channels"
    if kind:
        raise UserError(f"{path}: {kind} cannot be read here; save it as RGB or grey with 8 or 16 bits first")


def read_tiff(path, layout):
    """(uint16 (H, W) or (H, W, C), mode "L", "LA", "RGB" or "RGBA") of a deep TIFF, as stored, not turned.

    Raises errors of many kinds if it is damaged.
    """
    _check_pieces(path, layout)
    pixels = (_by_tifffile if layout.compression in BY_TIFFFILE else _by_opencv)(path)
    channels = len(layout.bits)
    shape = (layout.height, layout.width) + ((channels,) if channels > 1 else ())
    if pixels.size != np.prod(shape, dtype=np.int64):
        raise UserError(f"{path}: {UNREADABLE}")
    return _alpha_applied(pixels.reshape(shape), layout)


def _check_pieces(path, layout):
    """Raises UserError if the strips or tiles of a TIFF lie beyond its end, or unfold to more than all channels."""
    most = 2 * len(layout.bits) * max(layout.width, 1024) * max(layout.height, 1024)  # a tile may be larger
    size = path.stat().st_size
    with open(path, "rb") as file:
        for place, length in layout.pieces:
            if place + length > size:
                raise UserError(f"{path}: a damaged image (it ends before its pixels do)")
            if layout.compression in DEFLATE:
                file.seek(place)
                unfold = zlib.decompressobj()
                unfold.decompress(file.read(length), most)
                if unfold.unconsumed_tail:
                    raise UserError(f"{path}: a damaged image (its pixels unfold to more than its size)")


def _by_tifffile(path):
    """uint16 pixels of the first page, channels last, in this machine's byte order."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # damaged files are reported as one UserError
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        pixels = page.asarray(maxworkers=1)
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels.reshape(page.samplesperpixel, page.imagelength, page.imagewidth), 0, -1)
    return np.ascontiguousarray(pixels, np.uint16)


def _by_opencv(path):
    """uint16 pixels (H, W) or (H, W, 3 or 4) of a PNG or TIFF. Raises UserError."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16:
        raise UserError(f"{path}: {UNREADABLE}")
    return pixels if pixels.ndim == 2 else _swap(pixels)


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


def read_png(path):
    """(uint16 (H, W) or (H, W, C), mode "L", "RGB" or "RGBA") of a PNG with 16 bits a channel. Raises UserError."""
    pixels = _by_opencv(path)
    return pixels, "L" if pixels.ndim == 2 else {3: "RGB", 4: "RGBA"}[pixels.shape[2]]


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
    data, head = memoryview(data), 8 + 25  # signature and IHDR
    with open(path, "wb") as file:
        file.write(data[:head])
        for kind, chunk in _png_chunks(small.getvalue()):
            if kind not in (b"IHDR", b"IDAT", b"IEND"):
                file.write(chunk)
        file.write(data[head:])


def _png_chunks(png):
    """(kind, whole chunk) of each chunk of a PNG's bytes."""
    place = 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place:place + 4], "big")
        yield png[place + 4:place + 8], png[place:end]
        place = end


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
