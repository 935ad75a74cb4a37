"""Small photos of all kinds, and what is in the file after editing one."""

import numpy as np
from PIL import ExifTags, Image, ImageCms

from ageing.faces.blending import add
from ageing.faces.detector import Face
from ageing.photos import photo_file

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RNG = np.random.default_rng(1)
RGB = RNG.integers(30, 200, (40, 60, 3), np.uint8)
BANDS = [(slice(10, 20), slice(15, 40), np.full((10, 25, 3), 25, np.float32))]


def face(left, top, right, bottom):
    return Face((left, top, right, bottom), 1.0)


def gradient(height, width):
    """uint8 RGB (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    channels = x * 200 // width + 20, y * 200 // height + 20, (x + y) * 100 // (height + width)
    return np.stack(channels, 2).astype(np.uint8)


def exif(**more):
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "Camera & Sons"
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:24 12:00:00"
    tags[ExifTags.IFD.Exif] = dict(tags.get_ifd(ExifTags.IFD.Exif))
    for name, value in more.items():
        tags[getattr(ExifTags.Base, name)] = value
    return tags


def picture(mode):
    """An image of Pillow's `mode`."""
    image = Image.fromarray(RGB)
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray(RNG.integers(0, 255, (40, 60), np.uint8))
        image = image.convert("L" if mode == "LA" else "RGB")
        image.putalpha(alpha)
        return image
    return image.quantize(64) if mode == "P" else image.convert(mode)


def round_trip(path, out=None, bands=BANDS):
    """(the Photo at `path`, the Photo read from the file that is written after editing it)."""
    photo = photo_file.read(path)
    out = out or path.with_name(f"out{path.suffix}")
    photo_file.save(out, photo, add(photo.native, bands, photo.mode))
    return photo, photo_file.read(out)


def stored_as(upright, orientation):
    """Pixels as a file with this EXIF orientation stores them."""
    turn = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: np.swapaxes(x, 0, 1),
            6: lambda x: np.rot90(x, 1), 7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2), 8: lambda x: np.rot90(x, -1)}
    return np.ascontiguousarray(turn[orientation](upright))
