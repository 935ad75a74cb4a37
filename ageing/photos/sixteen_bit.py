"""16-bit pixels of PNG and TIFF files, read by OpenCV, written by OpenCV and tifffile: Pillow has 8-bit colour only."""

import io

import cv2
import numpy as np
from PIL import Image

from ageing.errors import UserError
from ageing.photos import metadata

# OpenCV would print its own warnings about damaged files. They are reported as one UserError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def is_deep(image):
    """Whether an open image, not yet loaded, is a PNG or TIFF with 16 bits a channel."""
    raw = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in image.tile if tile[3]]
    return image.format in ("PNG", "TIFF") and any(";16" in str(mode) for mode in raw)


def read(path):
    """(uint16 (H, W) or (H, W, C), mode "L", "RGB" or "RGBA"), as stored, not turned. Raises UserError."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16:
        raise UserError(f"{path}: 16-bit pixels that cannot be read here; save it as RGB or with 8 bits first")
    if pixels.ndim == 2:
        return pixels, "L"
    return _swap(pixels), {3: "RGB", 4: "RGBA"}[pixels.shape[2]]


def to_eight_bits(pixels):
    """uint16 pixels as uint8: 257 levels become one."""
    out = np.empty(pixels.shape, np.uint8)
    return np.floor_divide(pixels, 257, out=out, casting="unsafe")  # no 16-bit copy in between


def write_png(path, pixels, options):
    """Write uint16 RGB(A) `pixels`. options: Pillow's for a PNG.

    The pixels are encoded by OpenCV; the other chunks are those that Pillow writes for a PNG of one pixel.
    """
    done, data = cv2.imencode(".png", _swap(pixels))
    _swap(pixels)
    if not done:
        raise ValueError("16-bit pixels could not be encoded")
    small = io.BytesIO()
    Image.new("RGB", (1, 1)).save(small, "PNG", **options)
    kept = b"".join(chunk for kind, chunk in _chunks(small.getvalue()) if kind not in (b"IHDR", b"IDAT", b"IEND"))
    data = memoryview(data)
    head = 8 + 25  # signature and IHDR
    with open(path, "wb") as file:
        for part in (data[:head], kept, data[head:]):
            file.write(part)


def write_tiff(path, pixels, options):
    """Write uint16 RGB(A) `pixels`. options: Pillow's for a TIFF.

    Of the EXIF only texts are kept: tifffile cannot write the rest.
    """
    import tifffile

    tags = options["exif"]
    texts = {tag: value if isinstance(value, bytes) else value.encode("latin-1", "replace")
             for tag, value in tags.items() if isinstance(value, (str, bytes)) and tag != metadata.XMP_TAG}
    software, xmp = texts.pop(metadata.SOFTWARE), tags[metadata.XMP_TAG]
    dpi = options.get("dpi")
    tifffile.imwrite(path, pixels, photometric="rgb", iccprofile=options.get("icc_profile"), software=software,
                     metadata=None, extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
                     resolution=tuple(map(float, dpi)) if dpi else None, resolutionunit="INCH" if dpi else None,
                     extratags=[*((tag, 2, 0, text, True) for tag, text in texts.items()),
                                (metadata.XMP_TAG, 1, len(xmp), xmp, True)])


def _swap(pixels):
    """BGR(A) to RGB(A) or back, in place."""
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=pixels)


def _chunks(png):
    """(kind, whole chunk) of each chunk of a PNG's bytes."""
    place = 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place:place + 4], "big")
        yield png[place + 4:place + 8], png[place:end]
        place = end
