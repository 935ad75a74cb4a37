"""Open image files with Pillow: checks before the pixels are decoded, HEIF on demand."""

import contextlib
import os
import re

import numpy as np
from PIL import Image, PngImagePlugin

from ageing.errors import UserError, kind_of
from ageing.photos import exif

Image.MAX_IMAGE_PIXELS = None   # the limit is `megapixels`, whose message names the option that raises it
# Pillow reads compressed texts and colour profiles of up to 1 MiB; some editors write larger ones.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20
PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20
UNSAFE = ("EPS", "WMF")         # Pillow runs other programs, or Windows, to read them
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MOST_SCANS = 100                # of a progressive JPEG
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")    # of a JPEG's segment that has a length, or its end


def check_file(path):
    """Raises UserError if `path` is no file with something in it."""
    kind = kind_of(path)
    if kind is None:
        raise UserError(f"{path}: no such file")
    if kind != "file":
        raise UserError(f"{path}: not a file")
    if not path.stat().st_size:
        raise UserError(f"{path}: an empty file")


def load(path, megapixels):
    """(Pillow's image with its pixels, whether the decoder turned it upright, whether it is a PNG of 16 bits).

    Raises errors of many kinds if the file is damaged.
    """
    if _is_heif(path):
        _heif(path).register_heif_opener()
    image = Image.open(path)
    if image.format in UNSAFE:
        raise UserError(f"{path}: not an image that can be read here")
    check_size(path, *image.size, megapixels)
    _check_scans(path, image)
    is_deep_png = image.format == "PNG" and any(";16" in str(tile[3]) for tile in image.tile)
    is_upright = image.format == "HEIF" or (
        image.format == "TIFF" and image.getexif().get(exif.ORIENTATION) in range(2, 9))
    with _without_stderr() if image.format == "TIFF" else contextlib.nullcontext():
        image.load()
    return image, is_upright, is_deep_png


def _is_heif(path):
    """Whether a file has the brand of an HEIF image: ISO/IEC 23008-12."""
    with open(path, "rb") as file:
        head = file.read(64)
    return head[4:8] == b"ftyp" and b"avif" not in head and any(brand in head[8:] for brand in HEIF_BRANDS)


def _heif(path):
    """The package that reads HEIF. Raises UserError if it is missing."""
    try:
        import pillow_heif
    except ImportError as error:
        raise UserError(f"{path}: HEIC and HEIF need one more package; "
                        "install it with pip install pillow-heif") from error
    return pillow_heif


def deep_heif(path):
    """uint16 pixels, upright, of an HEIF with 10 or 12 bits, of which Pillow gets 8."""
    return np.asarray(_heif(path).open_heif(path, convert_hdr_to_8bit=False))


def check_size(path, width, height, megapixels):
    """Raises UserError if a photo is too large."""
    if width * height > megapixels * 1e6:
        raise UserError(f"{path}: {width} x {height} is more than {megapixels:g} megapixels; "
                        "raise the limit with --max-megapixels")


def _check_scans(path, image):
    """Raises UserError if a progressive JPEG has so many scans that decoding takes minutes: the usual number is 10."""
    if image.format not in ("JPEG", "MPO") or not image.info.get("progressive"):
        return
    scans, place, data = 0, 2, path.read_bytes()
    while (marker := MARKER.search(data, place)) and marker[1] != b"\xd9":  # the end: a video may follow
        scans += marker[1] == b"\xda"
        if scans > MOST_SCANS:
            raise UserError(f"{path}: a damaged image (more than {MOST_SCANS} scans)")
        place = marker.end() + int.from_bytes(data[marker.end():marker.end() + 2], "big")


@contextlib.contextmanager
def _without_stderr():
    """Close stderr for a while: libtiff writes there what is told in one line afterwards."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
