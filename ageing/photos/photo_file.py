"""Read a photo upright, and write an edited copy of it in the same format, with the same pixel type and metadata.

    photo = read("photo.jpg")
    save("photo_50s.jpg", photo, photo.edited(bands(photo.native.shape, changes)))

Every file that is written says in its metadata that faces in it were edited.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from ageing.errors import UserError, reason
from ageing.photos import metadata, sixteen_bit
from ageing.storage import replacing

# Formats whose metadata has room for the mark, with their suffix. Photos of other formats are written as PNG.
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
# Pillow's modes that each of them can be written with.
WRITABLE = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("L", "LA", "RGB", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA"),
            "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"), "AVIF": ("RGB", "RGBA")}
# Pillow's modes, and the mode in which photos of each are edited.
EDITED_AS = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "1": "L", "La": "LA", "RGBa": "RGBA",
             "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
# From pixels as they are stored to upright ones, by EXIF orientation.
TURNS = {2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
         5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
         8: lambda x: np.rot90(x)}


@dataclasses.dataclass
class Photo:
    """A photo in memory, upright.

    native: uint8 or uint16 (H, W) or (H, W, C), channels in the order of `mode` ("L", "LA", "RGB", "RGBA", "CMYK");
    rgb: uint8 (H, W, 3), the input of detector and generator; format: Pillow's name; meta: what `save` writes back;
    frames: how many pictures the file holds, of which this is the first.
    """

    native: np.ndarray
    rgb: np.ndarray
    mode: str
    format: str
    meta: dict
    frames: int = 1

    def edited(self, bands):
        """A copy of `native` with `bands` added, see blending.bands. All other values stay the same."""
        out = self.native.copy()
        scale = 257 if out.dtype == np.uint16 else 1
        for rows, columns, delta in bands:
            part = out[rows, columns]
            if self.mode == "CMYK":  # R = (255 - C)(255 - K) / 255: less ink where it gets lighter; K stays
                delta = -delta * (255 / np.maximum(255 - part[..., 3:].astype(np.float32), 1))
            elif self.mode in ("L", "LA"):
                delta = delta @ LUMA
            colour = part if self.mode == "L" else part[..., 0] if self.mode == "LA" else part[..., :3]
            colour[...] = np.clip(np.rint(colour + delta * scale), 0, 255 * scale)
        return out

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
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    if not path.stat().st_size:
        raise UserError(f"{path}: an empty file")
    Image.MAX_IMAGE_PIXELS = None  # the limit is `megapixels`, whose message names the option that raises it
    with Image.open(path) as image:
        width, height = image.size
        if width * height > megapixels * 1e6:
            raise UserError(f"{path}: {width} x {height} is more than {megapixels:g} megapixels; "
                            "raise the limit with --max-megapixels")
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        deep = sixteen_bit.is_deep(image)
        image.load()  # raises if the file is damaged
        orientation, exif = metadata.read_exif(image)
        if not deep:
            native, mode = _pixels(image, path)
        meta = _meta(image, path) | {"exif": exif}
        form = {"MPO": "JPEG"}.get(image.format, image.format)
    if deep:  # outside of the block above, which holds Pillow's copy of the pixels
        native, mode = sixteen_bit.read(path)
    native = np.ascontiguousarray(TURNS.get(orientation, lambda x: x)(native))
    return Photo(native, _rgb(native, mode), mode, form, meta, frames)


def _pixels(image, path):
    """(array, mode) of an open image of up to eight bits."""
    if image.mode.startswith("I;16"):  # of a format that is not written with 16 bits
        return (np.array(image) >> 8).astype(np.uint8), "L"
    if image.mode not in EDITED_AS:
        raise UserError(f"{path}: pixels of kind {image.mode} have no known range; save it with 8 or 16 bits first")
    mode = EDITED_AS[image.mode]
    if "transparency" in image.info and mode in ("L", "RGB"):
        mode += "A"
    return np.array(image if image.mode == mode else image.convert(mode)), mode


def _rgb(native, mode):
    if native.dtype == np.uint16:
        native = sixteen_bit.to_eight_bits(native)
    if mode in ("L", "LA"):
        grey = native if mode == "L" else native[..., 0]
        return np.repeat(grey[..., None], 3, axis=2)
    if mode == "CMYK":
        return np.array(Image.fromarray(native, "CMYK").convert("RGB"))
    return native if mode == "RGB" else np.ascontiguousarray(native[..., :3])


def _meta(image, path):
    """What `save` needs of an open image in addition to its EXIF: other metadata, and how it was encoded."""
    info = image.info
    meta = {name: info.get(name) for name in ("icc_profile", "dpi", "comment", "progressive", "compression")}
    meta |= {"xmp": metadata.read_xmp(image), "text": getattr(image, "text", {})}
    if image.mode == "LAB":
        meta["icc_profile"] = None
    if image.format == "WEBP":
        meta["lossless"] = _is_lossless_webp(path)
    if image.format in ("JPEG", "MPO"):
        meta |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
    return meta


def _is_lossless_webp(path):
    with open(path, "rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            kind, size = header[:4], int.from_bytes(header[4:], "little")
            if kind in (b"VP8 ", b"VP8L"):
                return kind == b"VP8L"
            file.seek(16 if kind == b"ANMF" else size + size % 2, 1)  # a frame's chunks follow its 16-byte header
    return False


def output_format(photo, suffix=None):
    """(Pillow's format, suffix) to write `photo` with: those of `suffix`, else its own, else PNG. Raises UserError."""
    if suffix is None:
        form = photo.format if photo.format in FORMATS else "PNG"
        return form, FORMATS[form]
    form = format_of(suffix)
    if form not in FORMATS:
        raise UserError(f"{suffix}: faces are written as {', '.join(FORMATS.values())} only: other formats cannot say "
                        "in their metadata that they were edited")
    return form, suffix


def format_of(suffix):
    """Pillow's name of the format of files with this suffix, or None."""
    return Image.registered_extensions().get(suffix.lower())


def save(path, photo, native):
    """Write `native`, an edited copy of photo.native, to `path`, with the photo's metadata and the mark.

    The suffix decides the format. Raises UserError if the file cannot be written.
    """
    form, _ = output_format(photo, Path(path).suffix)
    try:
        _save(path, form, photo, native)
    except UserError:
        raise
    except Exception as error:  # Pillow's writers raise errors of as many kinds as its readers
        raise UserError(f"{path}: cannot be written as {form} ({' '.join(str(error).split())[:80]}); "
                        "choose another format with -o") from error


def save_sheet(path, pixels):
    """Write uint8 RGB `pixels`, a picture that shows edited faces, to `path`, with the mark."""
    save(path, Photo(pixels, pixels, "RGB", "", {"exif": Image.Exif()}), pixels)


def _save(path, form, photo, native):
    deep = native.dtype == np.uint16
    if deep and form not in ("PNG", "TIFF"):
        native, deep = sixteen_bit.to_eight_bits(native), False
    options = _options(form, photo.meta, form == photo.format)
    with replacing(path) as temporary:
        if deep and photo.mode != "L":
            write = {"PNG": sixteen_bit.write_png, "TIFF": sixteen_bit.write_tiff}[form]
            write(temporary, native, options)
            return
        image = Image.fromarray(native, None if deep else photo.mode)
        if image.mode not in WRITABLE[form]:
            if image.mode != "RGBA":
                options.pop("icc_profile", None)  # it describes grey or inks
            image = image.convert("RGBA" if image.mode == "LA" and "RGBA" in WRITABLE[form] else "RGB")
        image.save(temporary, form, **options)


def _options(form, meta, same):
    """Pillow's options for writing a file of format `form`. same: the photo came in this format."""
    exif, xmp = meta["exif"], metadata.marked_xmp(meta.get("xmp"))
    metadata.mark_exif(exif)
    options = {name: meta[name] for name in ("icc_profile", "dpi") if meta.get(name)}
    if form == "PNG":
        return options | {"exif": exif.tobytes(), "pnginfo": metadata.png_text(meta.get("text", {}), xmp)}
    if form == "TIFF":
        if same and meta.get("compression") in ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd"):
            options["compression"] = meta["compression"]
        return options | {"exif": metadata.tiff_tags(exif, xmp)}
    options |= {"exif": exif.tobytes(), "xmp": xmp}
    if form == "JPEG":
        return options | _jpeg_options(meta, same)
    options.pop("dpi", None)
    if form == "WEBP":
        options |= {"lossless": bool(same and meta.get("lossless")), "exact": True}
    return options | {"quality": 95}


def _jpeg_options(meta, same):
    options = {"progressive": meta.get("progressive", False)}
    if meta.get("comment"):
        options["comment"] = meta["comment"]
    if not (same and meta.get("qtables")):
        return options | {"quality": 95, "subsampling": 0}
    if meta.get("subsampling", -1) >= 0:
        options["subsampling"] = meta["subsampling"]
    return options | {"qtables": meta["qtables"]}  # the original's: unchanged pixels are written almost as they were
