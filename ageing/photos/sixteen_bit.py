"""16-bit pixels of PNG and TIFF files, read and written by OpenCV and tifffile: Pillow has 8-bit colour only."""

import io
import logging
import zlib

import cv2
import numpy as np
from PIL import Image

from ageing.errors import UserError

# OpenCV would print its own warnings about damaged files. They are reported as one UserError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# Values of a TIFF's tags.
BLACK_IS_ZERO, COLOUR, INKS = 1, 2, 5
UNSIGNED = (1, 4)                       # 4: not stated
DEFLATE = (8, 32946)                    # two numbers of one method
BY_TIFFFILE = (1, 32773, *DEFLATE)      # uncompressed, PackBits, deflate: the others need a codec package
ASSOCIATED, UNASSOCIATED = 1, 2         # extra samples: alpha that the colours are multiplied with, or not
UNREADABLE = "16-bit pixels that cannot be read here; save it as RGB or with 8 bits first"


def tiff_page(path):
    """tifffile's TiffPage of a TIFF's first picture: how its pixels are stored. None if the file is no TIFF."""
    with open(path, "rb") as file:
        head = file.read(4)
    if head not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    if b"+" in head:
        raise UserError(f"{path}: a BigTIFF cannot be read here; save it as a usual TIFF first")
    with _tifffile().TiffFile(path) as file:
        return file.pages[0]


def _tifffile():
    import tifffile  # takes a tenth of a second

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # damaged files are reported as one UserError
    return tifffile


def bits(page):
    """Bits a channel."""
    return max(np.ravel(page.bitspersample))


def is_deep(page):
    """Whether `read_tiff` reads a TiffPage: 16 bits of grey or colour."""
    return bits(page) == 16 and page.photometric in (BLACK_IS_ZERO, COLOUR)


def check_page(path, page):
    """Raises UserError if the pixels of a TiffPage have a kind that neither `read_tiff` nor Pillow reads right."""
    kind, channels, in_planes = None, page.samplesperpixel, page.planarconfig == 2 and page.samplesperpixel > 1
    if page.subfiletype & 1:
        kind = "a preview in place of the picture (a raw file?)"
    elif not set(np.ravel(page.sampleformat)) <= set(UNSIGNED):
        kind = "signed or floating-point pixels"
    elif bits(page) > 8 and bits(page) != 16:
        kind = f"{bits(page)}-bit pixels"
    elif bits(page) == 16 and not is_deep(page) and (page.photometric != INKS or in_planes):
        kind = "16-bit pixels of this colour model"
    elif is_deep(page) and in_planes and page.compression not in BY_TIFFFILE:
        kind = "16-bit colour planes in this compression"
    elif is_deep(page) and channels not in ((3, 4) if page.photometric == COLOUR else (1, 2)):
        kind = f"16-bit pixels of {channels} channels"
    if kind:
        raise UserError(f"{path}: {kind} cannot be read here; save it as RGB or grey with 8 or 16 bits first")


def read_tiff(path, page):
    """(uint16 (H, W) or (H, W, C), mode "L", "LA", "RGB" or "RGBA") of a deep TIFF, as stored, not turned.

    Raises errors of many kinds if it is damaged.
    """
    _check_data(path, page)
    pixels = (_by_tifffile if page.compression in BY_TIFFFILE else _by_opencv)(path)
    shape = (page.imagelength, page.imagewidth) + (page.samplesperpixel,) * (page.samplesperpixel > 1)
    if pixels.size != np.prod(shape, dtype=np.int64):
        raise UserError(f"{path}: {UNREADABLE}")
    return _alpha_applied(pixels.reshape(shape), page)


def _check_data(path, page):
    """Raises UserError if the strips or tiles of a TIFF lie beyond its end, or unfold to more than all channels."""
    most = 2 * page.samplesperpixel * max(page.imagewidth, 1024) * max(page.imagelength, 1024)  # a tile may be larger
    size = path.stat().st_size
    with open(path, "rb") as file:
        for place, length in zip(page.dataoffsets, page.databytecounts, strict=False):
            if place + length > size:
                raise UserError(f"{path}: a damaged image (it ends before its pixels do)")
            if page.compression in DEFLATE:
                file.seek(place)
                unfold = zlib.decompressobj()
                unfold.decompress(file.read(length), most)
                if unfold.unconsumed_tail:
                    raise UserError(f"{path}: a damaged image (its pixels unfold to more than its size)")


def _by_tifffile(path):
    """uint16 pixels of the first page, channels last, in this machine's byte order."""
    with _tifffile().TiffFile(path) as file:
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


def _alpha_applied(pixels, page):
    """(pixels, mode): without extra channels that are no alpha, and with colours that are not multiplied with it."""
    colours = 3 if page.photometric == COLOUR else 1
    mode = "RGB" if colours == 3 else "L"
    if page.samplesperpixel == colours:
        return pixels, mode
    kind = page.extrasamples[0] if page.extrasamples else UNASSOCIATED
    if kind not in (ASSOCIATED, UNASSOCIATED):
        return np.ascontiguousarray(pixels[..., :3] if colours == 3 else pixels[..., 0]), mode
    if kind == ASSOCIATED:
        for row in pixels:  # row by row: no copy of the whole in between
            alpha = np.maximum(row[:, -1:], 1).astype(np.uint64)
            row[:, :-1] = np.minimum((row[:, :-1] * np.uint64(65535) + alpha // 2) // alpha, 65535)
    return pixels, mode + "A"


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
    channels = pixels.shape[2]
    dpi = options.get("dpi")
    squeezed = options.get("compression") in ("tiff_adobe_deflate", "tiff_deflate")
    _tifffile().imwrite(path, pixels, photometric="rgb" if channels > 2 else "minisblack",
                        planarconfig="contig", metadata=None, software=False, iccprofile=options.get("icc_profile"),
                     extrasamples=["unassalpha"] if channels in (2, 4) else None,
                     compression="zlib" if squeezed else None, maxworkers=1,
                     resolution=dpi or None, resolutionunit="INCH" if dpi else None)


def _swap(pixels):
    """BGR(A) to RGB(A) or back, in place."""
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=pixels)
