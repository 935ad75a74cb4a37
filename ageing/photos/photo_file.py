"""Read a photo upright, and write an edited copy of it in the same format, with the same pixel type and metadata.

    photo = read("photo.jpg")
    save("photo_50s.jpg", photo, blending.blend(photo.native, changes, mode=photo.mode))

Every file that is written says in its metadata that faces in it were edited.
"""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from ageing.errors import UserError, reason
from ageing.photos import colour_profile, metadata, opening, sixteen_bit
from ageing.photos.metadata import Metadata
from ageing.storage import replacing

# Formats whose metadata has room for the mark, with their suffix. Photos of other formats are written as PNG.
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
# Pillow's modes that each of them can be written with.
WRITABLE = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("L", "LA", "RGB", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA"),
            "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"), "AVIF": ("RGB", "RGBA")}
# Pillow's options for each of them, where the photo's own `encoding` says nothing else.
DEFAULTS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95, "exact": True}, "AVIF": {"quality": 95}}
TIFF_COMPRESSIONS = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd")     # the lossless ones
# Formats of pictures that move, with Pillow's options. WebP: a lower quality, or more key frames, leaves out the small
# changes between them, and the picture jerks.
MOVING = {".webp": ("WEBP", {"quality": 95, "method": 2, "kmin": 0, "kmax": 1000}), ".gif": ("GIF", {})}
# Pillow's modes, and the mode in which photos of each are edited.
EDITED_AS = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "1": "L", "La": "LA", "RGBa": "RGBA",
             "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}
# From pixels as they are stored to upright ones, by EXIF orientation.
TURNS = {2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
         5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
         8: lambda x: np.rot90(x)}


@dataclasses.dataclass
class Photo:
    """A photo in memory, upright.

    native: uint8 or uint16 (H, W) or (H, W, C), channels in the order of `mode` ("L", "LA", "RGB", "RGBA", "CMYK");
    rgb: uint8 (H, W, 3), the input of detector and generator; format: Pillow's name; meta: what `save` writes back,
    the colour profile too; encoding: Pillow's options that write this format as the photo's file is written; notes:
    short texts on what of the file is not read, or not kept in what was saved.
    """

    native: np.ndarray
    rgb: np.ndarray
    mode: str
    format: str
    meta: Metadata = dataclasses.field(default_factory=Metadata)
    encoding: dict = dataclasses.field(default_factory=dict)
    notes: list = dataclasses.field(default_factory=list)

    def note(self, text):
        """Add a text to `notes`, once."""
        if text not in self.notes:
            self.notes.append(text)

    def rgb_of(self, native):
        """uint8 RGB (H, W, 3) of an edited copy of `native`."""
        return _rgb(native, self.mode)


def read(path, megapixels=150):
    """The Photo at `path`. Of an animation or a document of several pages only the first picture is read.

    Raises UserError, naming the file, if it is missing, damaged, no image, or has more than `megapixels`.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path, megapixels)
    except UserError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image that can be read here") from error
    except Exception as error:  # damaged files raise errors of many kinds, from KeyError to zlib.error
        if isinstance(error, OSError) and error.errno:
            raise UserError(f"{path}: cannot be read ({reason(error)})") from error
        text = " ".join(str(error).split())[:80] or type(error).__name__
        raise UserError(f"{path}: a damaged image ({text})") from error


def _read(path, megapixels):
    opening.check_file(path)
    page = sixteen_bit.tiff_page(path)
    if page is not None:
        sixteen_bit.check_page(path, page)
        if sixteen_bit.is_deep(page):  # Pillow would read 8 of the 16 bits
            opening.check_size(path, page.imagewidth, page.imagelength, megapixels)
            native, mode = sixteen_bit.read_tiff(path, page)
            encoding = {"compression": "tiff_adobe_deflate"} if page.compression in sixteen_bit.DEFLATE else {}
            meta, orientation, not_kept = metadata.read(path)
            if not meta.icc_profile:
                colour_profile.settle(native, mode, meta, colour_profile.by_exif(meta))
            return _photo(native, mode, "TIFF", encoding, meta, orientation, not_kept, notes=[])
    image, is_upright, is_deep_png = opening.load(path, megapixels)
    with image:
        form = {"MPO": "JPEG"}.get(image.format, image.format)
        pixels = None if is_deep_png else _pixels(image, path)
        meta, orientation, not_kept = metadata.read(path, image)
        space = colour_profile.stated(image, path, meta)
        encoding = _encoding(image, path)
    native, mode = pixels or sixteen_bit.read_png(path)  # here, because the block above holds a copy
    if space.hdr and form == "HEIF":
        native = opening.deep_heif(path)
    native, notes = colour_profile.settle(native, mode, meta, space)
    if page is not None and sixteen_bit.bits(page) == 16:
        notes.append("its 16 bits a channel became 8")
    return _photo(native, mode, form, encoding, meta, orientation, not_kept, notes, is_upright)


def _photo(native, mode, form, encoding, meta, orientation, not_kept, notes, is_upright=False):
    """The upright Photo of pixels as they are stored, or already upright."""
    turned = orientation in TURNS
    native = np.ascontiguousarray(TURNS[orientation](native) if turned and not is_upright else native)
    height, width = native.shape[:2]
    if not height or not width:
        raise ValueError("no pixels")
    not_kept += meta.describe_edited(width, height, turned)
    if meta.pictures > 1:
        notes.append(f"only the first of its {meta.pictures} pictures is read")
    if not_kept:
        notes.append("not kept: " + ", ".join(dict.fromkeys(not_kept)))
    return Photo(native, _rgb(native, mode), mode, form, meta, encoding, notes)


def _pixels(image, path):
    """(array, mode) of a loaded image, uint8."""
    if image.mode.startswith("I;16"):  # of a format that is not written with 16 bits
        return (np.array(image) >> 8).astype(np.uint8), "L"
    if image.mode not in EDITED_AS:
        raise UserError(f"{path}: pixels of kind {image.mode} have no known range; save it with 8 or 16 bits first")
    mode = EDITED_AS[image.mode]
    if "transparency" in image.info and mode in ("L", "RGB"):
        mode += "A"
    return np.array(image if image.mode == mode else image.convert(mode)), mode


def _encoding(image, path):
    """Pillow's options to write a loaded image as its file is written."""
    if image.format == "WEBP":
        return {"lossless": re.search(rb"VP8[ L]", path.read_bytes())[0] == b"VP8L"}  # the first chunk of pixels
    if image.format == "TIFF" and image.info.get("compression") in TIFF_COMPRESSIONS:
        return {"compression": image.info["compression"]}
    if image.format not in ("JPEG", "MPO"):
        return {}
    tables, same = image.quantization, {"progressive": image.info.get("progressive", False)}
    if tables and len(tables) <= 4 and set(tables) == set(range(len(tables))):
        # The original's, so unchanged pixels are written almost as they were. -1 stands for "by these tables".
        same |= {"qtables": tables, "quality": -1, "subsampling": JpegImagePlugin.get_sampling(image)}
    return same


def _rgb(native, mode):
    if native.dtype == np.uint16:
        native = sixteen_bit.to_eight_bits(native)
    if mode in ("L", "LA"):
        grey = native if mode == "L" else native[..., 0]
        return np.repeat(grey[..., None], 3, axis=2)
    if mode == "CMYK":
        return np.array(Image.fromarray(native, "CMYK").convert("RGB"))
    return native if mode == "RGB" else np.ascontiguousarray(native[..., :3])


def output_format(photo, suffix=None):
    """(Pillow's format, suffix) to write `photo` with: those of `suffix`, else its own, else PNG. Raises UserError.

    HEIF becomes JPEG: what its users expect, and a tenth of a PNG's size.
    """
    if suffix is None:
        form = photo.format if photo.format in FORMATS else "PNG"
        if photo.format == "HEIF" and photo.mode in WRITABLE["JPEG"]:
            form = "JPEG"
        return form, FORMATS[form]
    form = format_of(suffix)
    if form not in FORMATS:
        raise UserError(f"{suffix}: faces are written as {', '.join(FORMATS.values())} only: other formats cannot say "
                        "in their metadata that they were edited")
    return form, suffix


def target_suffix(photo, source):
    """The suffix of outputs for `photo`, read from the path `source`: its own if it names their format (.jpeg)."""
    form, suffix = output_format(photo)
    own = Path(source).suffix
    return own if format_of(own) == form else suffix


def format_of(suffix):
    """Pillow's name of the format of files with this suffix, or None."""
    return Image.registered_extensions().get(suffix.lower())


def save(path, photo, native):
    """Write `native`, an edited copy of photo.native, to `path`, with the photo's metadata and the mark.

    The suffix decides the format. What the format has no room for is added to photo.notes.
    Raises UserError if the file cannot be written.
    """
    form, _ = output_format(photo, Path(path).suffix)
    try:
        _save(path, form, photo, native)
    except UserError:
        raise
    except Exception as error:  # Pillow's writers raise errors of as many kinds as its readers
        raise UserError(f"{path}: cannot be written as {form} ({' '.join(str(error).split())[:80]}); "
                        "choose another format with -o") from error


def save_sheet(path, pixels, photo=None):
    """Write uint8 RGB `pixels`, a picture that shows faces of `photo`, to `path`, with its profile and the mark."""
    save(path, Photo(pixels, pixels, "RGB", "", Metadata(icc_profile=_profile_of_rgb(photo))), pixels)


def moving_format(suffix):
    """(Pillow's format, its options) of moving pictures with this suffix. Raises UserError."""
    if suffix.lower() not in MOVING:
        raise UserError(f"{suffix}: a moving picture is written as {' or '.join(MOVING)}")
    return MOVING[suffix.lower()]


def save_moving(path, pictures, milliseconds, photo):
    """Write [uint8 RGB], pictures of faces of `photo`, each shown for its `milliseconds`, in a loop, with the mark."""
    form, options = moving_format(Path(path).suffix)
    frames = [Image.fromarray(picture) for picture in pictures]
    if form == "GIF":  # one palette, so that nothing flickers where nothing changes; its last place is for such pixels
        palette = Image.fromarray(np.hstack(pictures[::8])).quantize(255)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
        marked = {"comment": metadata.EDITED_MARK}
    else:
        marked = Metadata(icc_profile=_profile_of_rgb(photo)).options(form, photo.note)
    with replacing(path) as temporary:
        frames[0].save(temporary, form, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0,
                       **options, **marked)


def _profile_of_rgb(photo):
    """The colour profile of photo.rgb."""
    return photo.meta.icc_profile if photo is not None and photo.mode in ("RGB", "RGBA") else None


def _save(path, form, photo, native):
    deep = native.dtype == np.uint16
    if deep and form not in ("PNG", "TIFF"):
        native, deep = sixteen_bit.to_eight_bits(native), False
        photo.note("its 16 bits a channel became 8")
    encoding = photo.encoding if form == photo.format else {}
    options = DEFAULTS.get(form, {}) | encoding | photo.meta.options(form, photo.note)
    with replacing(path) as temporary:
        if deep and photo.mode != "L":
            write = {"PNG": sixteen_bit.write_png, "TIFF": sixteen_bit.write_tiff}[form]
            write(temporary, native, options)
        else:
            image = Image.fromarray(native, None if deep else photo.mode)
            if image.mode not in WRITABLE[form]:
                if image.mode != "RGBA":
                    options.pop("icc_profile", None)  # it describes grey or inks
                image = image.convert("RGBA" if image.mode == "LA" and "RGBA" in WRITABLE[form] else "RGB")
            image.save(temporary, form, **options)
        if form == "TIFF":
            photo.meta.add_to_tiff(temporary)
