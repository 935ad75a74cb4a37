"""A folder of face pictures: list the files, decode them to one size."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from ageing.errors import UserError, kind_of, printable, reason
from ageing.forehead import WORN, spot_contrast
from ageing.utkface import age_of, cell_of

SMALLEST = 32       # pixels per side; a smaller picture shows no skin
MEGAPIXELS = 150    # a larger picture is a damaged or malicious file, or fills the memory
Image.MAX_IMAGE_PIXELS = None  # in place of MEGAPIXELS it would warn from 89 on
IN_MEMORY = 4e9     # bytes of decoded faces of one domain: 20,000 faces of 256 px
# The background of transparent pictures. Mid-grey is 0 in a network's [-1, 1]. Black or white would add a strong edge
# around dark or fair hair, and a discriminator tells the domains apart by that if one of them holds more cut-outs.
BACKGROUND = (128, 128, 128)
# Pillow's decoders for what cameras, phones, scanners and editors write. None of them starts another program.
FORMATS = {"JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000", "BMP", "GIF", "PPM", "TGA"}
FILL = ("fill it with `python prepare_utkface.py ARCHIVE`, or train on your own pictures: put them into "
        "DIR/train/YOUNG and DIR/train/OLD (optional: DIR/validation/YOUNG and OLD) and set data.path=DIR "
        "data.domain_A=YOUNG data.domain_B=OLD")


class Unusable(UserError):
    """A picture that cannot be trained on. why: "tiny", "huge" or "unreadable"."""

    def __init__(self, path, why):
        super().__init__(f"{path}: {why} image")
        self.why = why


@dataclasses.dataclass(frozen=True)
class Domain:
    """Decoded faces: images uint8 (N, size, size, 3), cells (N,) and ages (N,) in years, both -1 if unknown.

    skipped: {reason: n}. cropped: how many of the pictures were not square.
    """

    images: np.ndarray
    cells: np.ndarray
    ages: np.ndarray
    skipped: dict
    cropped: int

    def __len__(self):
        return len(self.images)

    @property
    def summary(self):
        """For example "40 faces, 3 cropped to the centre square, skipped 2 tiny, 1 .txt"."""
        cropped = f", {self.cropped} cropped to the centre square" if self.cropped else ""
        return f"{len(self)} faces{cropped}" + (f", skipped {_told(self.skipped)}" if self.skipped else "")


def list_images(folder):
    """Image files in `folder`, sorted by name. Raises UserError if the folder is missing or has none."""
    return _listed(folder)[0]


def contents(folder):
    """([paths of the image files], {suffix or kind: how many others}) of `folder`, sorted by name.

    Hidden files are left out. Raises UserError if the folder cannot be read.
    """
    paths, others, folders = [], Counter(), 0
    try:
        with os.scandir(folder) as entries:
            for entry in sorted((e for e in entries if e.name[0] != "."), key=lambda e: e.name):
                path = Path(folder, entry.name)
                suffix = path.suffix.lower()
                if _is(entry.is_dir):
                    folders += 1
                elif suffix not in picture_suffixes():
                    others[printable(suffix) or "without a suffix"] += 1
                elif _is(entry.is_file):  # opening a pipe would wait for its writer
                    paths.append(path)
                else:
                    others["unreadable"] += 1
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {reason(error)}") from error
    if folders:
        others["folder" + "s" * (folders > 1)] = folders
    return paths, others


def _is(kind):
    """False for a link into a folder that may not be entered, or to itself."""
    try:
        return kind()
    except OSError:
        return False


def _listed(folder):
    if kind_of(folder) != "folder":
        raise UserError(f"{Path(folder).absolute()}: no such folder; {FILL}")
    paths, others = contents(folder)
    if not paths:
        raise UserError(f"{folder}: no images in it{f', only {_told(others)}' if others else ''}; {FILL}")
    return paths, others


@functools.cache
def _formats():
    """Those of FORMATS that can be read: HEIF if pillow-heif is installed."""
    with contextlib.suppress(ImportError):
        import pillow_heif
        pillow_heif.register_heif_opener()
    Image.init()
    return sorted(FORMATS & Image.OPEN.keys())


@functools.cache
def picture_suffixes():
    """The suffixes of files that are read."""
    formats = _formats()  # before Image tells its suffixes: it may add some
    return {suffix for suffix, form in Image.registered_extensions().items() if form in formats} | {".mpo"}


def decode(file, size):
    """(uint8 RGB (size, size, 3), whether it was cropped): the centre square of the picture in `file`, upright.

    file: a path or an open file. Transparent pixels show BACKGROUND. Raises Unusable.
    """
    try:
        with Image.open(file, formats=_formats()) as stored:
            if stored.width * stored.height > MEGAPIXELS * 1e6:
                raise Unusable(file, "huge")
            if min(stored.size) < SMALLEST:
                raise Unusable(file, "tiny")
            stored.draft("RGB", (size, size))  # a JPEG decodes at the power of two above `size`, which is faster
            stored.load()
            with contextlib.suppress(Exception):  # damaged EXIF data raise errors of many kinds
                ImageOps.exif_transpose(stored, in_place=True)
            image = _opaque(_of_eight_bits(stored))
    except Unusable:
        raise
    except Exception as error:  # so do damaged files
        raise Unusable(file, "unreadable") from error
    side, cropped = min(image.size), image.width != image.height
    if cropped:
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image), cropped


def _of_eight_bits(image):
    """`image` with at most 8 bits a channel. ValueError if Pillow reads the others wrongly."""
    if image.format == "TIFF" and max(bits := image.tag_v2.get(258, (1,))) > 8:
        white_is_zero, planes = image.tag_v2[262] == 0, image.tag_v2.get(284, 1) > 1
        if set(bits) != {16} or white_is_zero or planes:
            raise ValueError(f"a TIFF of {bits} bits")
    if image.mode in ("I", "F"):
        raise ValueError("nothing says which number is white")
    if image.mode.startswith("I;16"):  # grey; of colours Pillow reads the upper 8 bits by itself
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def _opaque(image):
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image).convert("RGB")


def load_domain(folder, size, progress=True, skip_marked=False):
    """The Domain in `folder`, decoded at `size` pixels. Broken files and files of other kinds are skipped and counted.

    skip_marked: also skip faces that wear a mark on the forehead. Raises UserError if no file can be read.
    """
    paths, others = _listed(folder)
    images = _room((len(paths), size, size, 3))
    good, skipped, cropped = [], Counter(), 0

    def read(path):
        try:
            image, was_cropped = decode(path, size)
        except Unusable as error:
            return "tiny" if error.why == "tiny" else "unreadable"
        if skip_marked and spot_contrast(image) >= WORN:
            return "with a mark on the forehead"
        return image, was_cropped

    with concurrent.futures.ThreadPoolExecutor() as pool:
        bar = tqdm(pool.map(read, paths), total=len(paths), desc=f"decoding {folder} at {size}px", unit="img",
                   leave=False, disable=None if progress else True)
        for path, result in zip(paths, bar, strict=True):
            if isinstance(result, str):
                skipped[result] += 1
            else:
                images[len(good)], was_cropped = result
                cropped += was_cropped
                good.append(path)
    if not good:
        raise UserError(f"{folder}: none of its {len(paths)} images could be read ({_told(skipped + others)}); {FILL}")
    skipped += others
    cells, ages = (np.array([of(path.name) for path in good]) for of in (cell_of, age_of))
    return Domain(images[:len(good)], cells, ages, dict(skipped), cropped)


def _room(shape):
    """An array for pixels. Above IN_MEMORY it lies in a temporary file, and the system keeps in memory what fits."""
    if np.prod(shape) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would kill the program later
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
            return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise UserError(f"{tempfile.gettempdir()}: no room for {np.prod(shape) / 1e9:.1f} GB of decoded faces "
                        f"({reason(error)}); free space, or set TMPDIR to a folder on another disk") from error


def fixed_faces(folder, size, n):
    """The same n faces at every call, uint8 (n, size, size, 3): those whose names hash lowest. Broken ones are skipped.

    Raises UserError if none can be read.
    """
    faces = []
    for path in sorted(list_images(folder), key=lambda p: hashlib.sha256(os.fsencode(p.name)).digest()):
        if len(faces) == n:
            break
        try:
            faces.append(decode(path, size)[0])
        except Unusable:
            continue
    if not faces:
        raise UserError(f"{folder}: none of its images could be read; {FILL}")
    return np.stack(faces)


def _told(counts):
    """{reason: n} as text."""
    return ", ".join(f"{n} {why}" for why, n in counts.items())
