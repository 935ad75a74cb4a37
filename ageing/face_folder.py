"""A folder of face pictures: list the files, decode them to one size."""

import concurrent.futures
import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ageing.errors import UserError, reason
from ageing.forehead import WORN, spot_contrast
from ageing.utkface import cell_of

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}
SMALLEST = 32  # pixels per side; a smaller picture shows no skin
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises for a broken file


class TooSmall(ValueError):
    """A picture below SMALLEST."""


@dataclasses.dataclass(frozen=True)
class Domain:
    """Decoded faces of one age: images uint8 (N, size, size, 3), cells (N,), -1 if unknown, skipped {reason: n}."""

    images: np.ndarray
    cells: np.ndarray
    skipped: dict

    def __len__(self):
        return len(self.images)


def list_images(folder):
    """Image files in `folder`, sorted by name. Raises UserError if the folder is missing or has none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder.absolute()}: no such folder; make it with `python prepare_utkface.py ARCHIVE`")
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {reason(error)}") from error
    if not paths:
        raise UserError(f"{folder}: no images in it; fill it with `python prepare_utkface.py ARCHIVE`")
    return paths


def decode(path, size):
    """The image at `path` as uint8 RGB (size, size, 3). Raises one of UNREADABLE if it is broken or tiny."""
    with Image.open(path) as image:
        if min(image.size) < SMALLEST:
            raise TooSmall(f"smaller than {SMALLEST} pixels")
        image.draft("RGB", (size, size))  # a JPEG decodes at the power of two above `size`, which is faster
        image = image.convert("RGB")
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(image)


def load_domain(folder, size, progress=True, skip_marked=False):
    """The Domain in `folder`, decoded at `size` pixels. Broken files are skipped and counted.

    skip_marked: also skip faces that wear a mark on the forehead. Raises UserError if no file can be read.
    """
    paths = list_images(folder)
    images = np.empty((len(paths), size, size, 3), np.uint8)
    good, skipped = [], Counter()

    def read(path):
        try:
            image = decode(path, size)
        except UNREADABLE as error:
            return "tiny" if isinstance(error, TooSmall) else "unreadable"
        return "with a mark on the forehead" if skip_marked and spot_contrast(image) >= WORN else image

    with concurrent.futures.ThreadPoolExecutor() as pool:
        bar = tqdm(pool.map(read, paths), total=len(paths), desc=f"decoding {folder} at {size}px", unit="img",
                   leave=False, disable=None if progress else True)
        for path, result in zip(paths, bar, strict=True):
            if isinstance(result, str):
                skipped[result] += 1
            else:
                images[len(good)] = result
                good.append(path)
    if not good:
        raise UserError(f"{folder}: none of its {len(paths)} images could be read; "
                        "fill it again with prepare_utkface.py")
    return Domain(images[:len(good)], np.array([cell_of(p.name) for p in good]), dict(skipped))


def fixed_faces(folder, size, n):
    """The same n faces at every call, uint8 (n, size, size, 3): those whose names hash lowest. Broken ones are skipped.

    Raises UserError if none can be read.
    """
    faces = []
    for path in sorted(list_images(folder), key=lambda p: hashlib.sha256(p.name.encode()).digest()):
        if len(faces) == n:
            break
        try:
            faces.append(decode(path, size))
        except UNREADABLE:
            continue
    if not faces:
        raise UserError(f"{folder}: none of its images could be read; fill it again with prepare_utkface.py")
    return np.stack(faces)
