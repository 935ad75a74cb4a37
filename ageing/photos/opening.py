"""Open image files with Pillow: checks before the pixels are decoded, HEIF on demand, odd metadata left out."""

import contextlib
import dataclasses
import os
import re

import numpy as np
from PIL import Image

from ageing.errors import UserError, kind_of
from ageing.photos import exif, repair, sixteen_bit

Image.MAX_IMAGE_PIXELS = None   # the limit is `megapixels`, whose message names the option that raises it
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


@dataclasses.dataclass
class Loaded:
    """An image with its pixels. data: the bytes that it is read from, or None: the file's own.

    deep: a PNG with 16 bits a channel. upright: the decoder has applied the orientation.
    """

    image: Image.Image
    data: bytes | None
    deep: bool
    upright: bool


def load(path, megapixels):
    """The Loaded of a file, without metadata on which Pillow fails. Raises errors of many kinds if it is damaged."""
    image = None
    try:
        image = Image.open(path)
        return _checked(path, image, None, megapixels)
    except UserError:
        raise
    except Exception:
        if image is not None and image.format != "TIFF":  # Pillow reads the metadata of a TIFF after its pixels
            raise
        if image is not None:
            image.close()
        if _is_heif(path):
            return _checked(path, _opened_heif(path), None, megapixels)
        found = repair.open_without_odd_metadata(path)
        if found is None:
            raise
        return _checked(path, *found, megapixels)


def _checked(path, image, data, megapixels):
    """The Loaded of an open image, after checks."""
    if image.format in UNSAFE:
        raise UserError(f"{path}: not an image that can be read here")
    check_size(path, *image.size, megapixels)
    _check_scans(path, image, data)
    deep = sixteen_bit.is_deep_png(image)
    upright = image.format == "HEIF" or (
        image.format == "TIFF" and image.getexif().get(exif.ORIENTATION) in range(2, 9))
    with _without_messages_of_libtiff(image.format == "TIFF"):
        image.load()
    return Loaded(image, data, deep, upright)


def _is_heif(path):
    """Whether a file has the brand of an HEIF image: ISO/IEC 23008-12."""
    with open(path, "rb") as file:
        head = file.read(64)
    return head[4:8] == b"ftyp" and b"avif" not in head and any(brand in head[8:] for brand in HEIF_BRANDS)


def _opened_heif(path):
    try:
        import pillow_heif
    except ImportError as error:
        raise UserError(f"{path}: HEIC and HEIF need one more package; "
                        "install it with pip install pillow-heif") from error
    pillow_heif.register_heif_opener()
    return Image.open(path)


def deep_heif(path):
    """uint16 pixels, upright, of an HEIF with 10 or 12 bits, of which Pillow gets 8."""
    import pillow_heif

    return np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=False))


def check_size(path, width, height, megapixels):
    """Raises UserError if a photo is too large."""
    if width * height > megapixels * 1e6:
        raise UserError(f"{path}: {width} x {height} is more than {megapixels:g} megapixels; "
                        "raise the limit with --max-megapixels")


def _check_scans(path, image, data):
    """Raises UserError if a progressive JPEG has so many scans that decoding takes minutes: the usual number is 10."""
    if image.format not in ("JPEG", "MPO") or not image.info.get("progressive"):
        return
    scans, place = 0, 2
    data = path.read_bytes() if data is None else data
    while (found := MARKER.search(data, place)) and found[1] != b"\xd9":  # the end: a video may follow
        scans += found[1] == b"\xda"
        if scans > MOST_SCANS:
            raise UserError(f"{path}: a damaged image (more than {MOST_SCANS} scans)")
        place = found.end() + int.from_bytes(data[found.end():found.end() + 2], "big")


@contextlib.contextmanager
def _without_messages_of_libtiff(wanted):
    """Close stderr for a while, if `wanted`: libtiff writes there what is told in one line afterwards."""
    try:
        kept = os.dup(2) if wanted else None
    except OSError:  # there is no stderr
        kept = None
    if kept is None:
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
