"""Photos as people have them: read with orientation applied, written back as they came but for the edited faces.

Every written file says in its metadata that it was edited, and how.
"""

import dataclasses
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from files import UserError, reason, replacing

MARK = "Face ageing with CycleGAN: faces in this picture were changed by a neural network"
# IPTC's word for a photo that a generative model changed; newsrooms and platforms look for it.
XMP = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
       b'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
       b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
       b'compositeWithTrainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>')

# Formats that carry the mark, by the suffix they get. All others are written as PNG.
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
WRITABLE = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("L", "LA", "RGB", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA"),
            "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"), "AVIF": ("RGB", "RGBA")}
# Modes of Pillow and what they are edited as.
KEPT_MODES = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "1": "L", "La": "LA", "RGBa": "RGBA",
              "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB",
              "I;16": "L", "I;16B": "L", "I;16L": "L"}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
ORIENTATION = ExifTags.Base.Orientation


@dataclasses.dataclass
class Photo:
    """native: uint8 or uint16 (H, W) or (H, W, C) in the order of `mode` ("L", "LA", "RGB", "RGBA", "CMYK");
    rgb: uint8 (H, W, 3), what detector and generator see; format: Pillow's name; meta: what `save` writes back."""

    native: np.ndarray
    rgb: np.ndarray
    mode: str
    format: str
    meta: dict
    frames: int = 1

    def edited(self, strips):
        """A copy of `native` with `strips` added, see faces.strips. All other values stay, to the bit."""
        out = self.native.copy()
        scale = 257 if out.dtype == np.uint16 else 1
        for rows, columns, change in strips:
            part = out[rows, columns]
            if self.mode == "CMYK":  # R = (255 - C)(255 - K) / 255: ink goes down where light goes up, black stays
                change = -change * (255 / np.maximum(255 - part[..., 3:].astype(np.float32), 1))
            elif self.mode in ("L", "LA"):
                change = change @ LUMA
            colour = part if self.mode == "L" else part[..., 0] if self.mode == "LA" else part[..., :3]
            colour[...] = np.clip(np.rint(colour + change * scale), 0, 255 * scale)
        return out

    def rgb_of(self, native):
        """uint8 RGB of an edited copy."""
        return self.rgb if native is self.native else _rgb(native, self.mode)


def read(path, megapixels=150):
    """The Photo at `path`, upright. Raises UserError, naming the file, if it is missing, broken, too large or no image.

    Of an animation or a document of several pages only the first picture is read.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path, megapixels)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image that can be read here") from error
    except Exception as error:  # damaged files raise anything, from KeyError to zlib.error
        text = reason(error) if isinstance(error, OSError) else str(error) or type(error).__name__
        raise UserError(f"{path}: a damaged image ({' '.join(text.split())[:80]})") from error


def _read(path, megapixels):
    if path.is_file() and not path.stat().st_size:
        raise UserError(f"{path}: an empty file")
    Image.MAX_IMAGE_PIXELS = None  # our own limit, which names the option that raises it
    with Image.open(path) as image:
        width, height = image.size
        if width * height > megapixels * 1e6:
            raise UserError(f"{path}: {width} x {height} is more than {megapixels:g} megapixels; "
                            "raise the limit with --max-megapixels")
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        deep = image.format in ("PNG", "TIFF") and any("16" in str(tile[3]) for tile in image.tile)
        form = image.format
        meta = {"lossless": _is_lossless_webp(path) if image.format == "WEBP" else True}
        if image.format in ("JPEG", "MPO"):
            from PIL import JpegImagePlugin
            meta |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
        if image.format == "TIFF":
            meta["compression"] = image.info.get("compression")
        orientation = image.getexif().get(ORIENTATION, 1)
        exif = _described(image.getexif())
        image.load()
        text = getattr(image, "text", {})
        if image.mode in ("P", "PA"):
            image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
        if image.mode not in KEPT_MODES:
            raise UserError(f"{path}: pixels of kind {image.mode} have no known range; save it with 8 or 16 bits first")
        upright = ImageOps.exif_transpose(image)
        info = upright.info
        meta |= {"exif": exif, "icc_profile": info.get("icc_profile"), "xmp": info.get("xmp"),
                 "dpi": info.get("dpi"), "comment": info.get("comment"), "text": text,
                 "progressive": bool(info.get("progressive"))}
        if deep:
            native, mode = _read_deep(path, orientation)
        else:
            mode = KEPT_MODES[upright.mode]
            native = np.array(upright.convert(mode))
        return Photo(native, _rgb(native, mode), mode, {"MPO": "JPEG"}.get(form, form), meta, frames)


# What a TIFF says of how its pixels are stored; what it says of the photo stays.
_STRUCTURE = {254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347,
              529, 530, 531, 532, 700, 34675, ORIENTATION}


def _described(tags):
    """A copy of EXIF `tags` that outlives its file, without orientation and thumbnail (it shows the unedited face).

    Empty if they are damaged: a photo is worth more than its EXIF.
    """
    kept = Image.Exif()
    parts = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    try:
        for tag, value in tags.items():
            if tag not in _STRUCTURE and tag not in parts:
                kept[tag] = value
        for part in parts:
            if found := tags.get_ifd(part):
                if len(str(found.get(ExifTags.Base.MakerNote, ""))) > 30_000:
                    del found[ExifTags.Base.MakerNote]  # a JPEG has room for 64 KiB of EXIF in all
                kept.get_ifd(part).update(found)
                kept[part] = dict(found)  # Pillow writes a TIFF's from here, the other formats' from there
        kept.tobytes()
    except Exception:  # as varied as the ways to damage a file
        return Image.Exif()
    return kept


def _read_deep(path, orientation):
    """16-bit pixels and their mode: Pillow halves the depth of colour."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise ValueError("16-bit pixels that cannot be decoded")
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][:pixels.shape[2]]]
    upright = np.ascontiguousarray(_TURNS.get(orientation, lambda x: x)(pixels))
    return upright, "L" if upright.ndim == 2 else {3: "RGB", 4: "RGBA"}[upright.shape[2]]


_TURNS = {2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
          5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
          8: lambda x: np.rot90(x)}


def _rgb(native, mode):
    pixels = (native // 257).astype(np.uint8) if native.dtype == np.uint16 else native
    if mode in ("L", "LA"):
        grey = pixels if mode == "L" else pixels[..., 0]
        return np.repeat(grey[..., None], 3, axis=2)
    if mode == "CMYK":
        return np.array(Image.fromarray(pixels, "CMYK").convert("RGB"))
    return pixels if mode == "RGB" else np.ascontiguousarray(pixels[..., :3])


def _is_lossless_webp(path):
    with open(path, "rb") as file:
        return b"VP8L" in file.read(64)


def output_format(photo, suffix=None):
    """(Pillow's format, suffix) to write `photo` as: its own, or that of `suffix`; PNG where the mark has no place."""
    if suffix is None:
        form = photo.format if photo.format in FORMATS else "PNG"
        return form, FORMATS[form]
    form = Image.registered_extensions().get(suffix.lower())
    if form not in FORMATS:
        raise UserError(f"{suffix}: faces are written as {', '.join(FORMATS.values())} only: other formats cannot say "
                        "in their metadata that they were edited")
    return form, suffix


def save(path, photo, native):
    """Write `native`, an edited copy of photo.native, to `path`, with the photo's metadata and the mark.

    The suffix decides the format. Raises UserError if it cannot be written.
    """
    form, _ = output_format(photo, Path(path).suffix)
    try:
        _save(path, form, photo, native)
    except UserError:
        raise
    except Exception as error:  # Pillow's writers raise as many kinds as its readers
        raise UserError(f"{path}: cannot be written as {form} ({' '.join(str(error).split())[:80]}); "
                        "choose another format with -o") from error


def _save(path, form, photo, native):
    deep = native.dtype == np.uint16
    if deep and form not in ("PNG", "TIFF"):
        native, deep = (native // 257).astype(np.uint8), False
    with replacing(path) as temporary:
        if deep and photo.mode != "L":
            _save_deep(temporary, form, photo, native)
            return
        image = Image.fromarray(native, None if deep else photo.mode)
        if image.mode not in WRITABLE[form]:
            image = image.convert("RGBA" if image.mode == "LA" and "RGBA" in WRITABLE[form] else "RGB")
        image.save(temporary, form, **_options(form, photo.meta, form == photo.format))


def save_marked(path, pixels):
    """Write uint8 RGB `pixels`, a sheet of edited faces, to `path`, with the mark."""
    photo = Photo(pixels, pixels, "RGB", "", {"exif": Image.Exif()})
    save(path, photo, pixels)


def _options(form, meta, same):
    """Pillow's options for `save`. same: the file came in this format."""
    exif = meta["exif"]
    before = str(exif.get(ExifTags.Base.Software, "")).strip("\0 ")
    if MARK not in before:
        exif[ExifTags.Base.Software] = MARK + (f"; before: {before}" if before else "")
    options = {name: meta[name] for name in ("icc_profile", "dpi") if meta.get(name)}
    xmp = meta.get("xmp") or XMP
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    if form == "JPEG":
        options |= {"exif": exif.tobytes(), "xmp": xmp, "progressive": meta.get("progressive", False)}
        # The original's tables write the pixels that did not change almost as they were.
        options |= _jpeg_tables(meta) if same and meta.get("qtables") else {"quality": 95, "subsampling": 0}
        if meta.get("comment"):
            options["comment"] = meta["comment"]
    elif form == "PNG":
        text = PngImagePlugin.PngInfo()
        for key, value in {**meta.get("text", {}), "Software": MARK}.items():
            if key != "XML:com.adobe.xmp":
                text.add_itxt(key, str(value)) if not str(value).isascii() else text.add_text(key, str(value))
        text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        options |= {"exif": exif.tobytes(), "pnginfo": text}
    elif form == "TIFF":
        exif[700] = xmp
        options |= {"exif": exif}
        if same and meta.get("compression") in ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd"):
            options["compression"] = meta["compression"]
    elif form == "WEBP":
        lossless = same and meta.get("lossless")
        options |= {"exif": exif.tobytes(), "xmp": xmp, "quality": 95, "lossless": bool(lossless), "exact": True}
        options.pop("dpi", None)
    else:
        options |= {"exif": exif.tobytes(), "xmp": xmp, "quality": 95}
        options.pop("dpi", None)
    return options


def _jpeg_tables(meta):
    tables = {"qtables": meta["qtables"]}
    if meta.get("subsampling", -1) >= 0:
        tables["subsampling"] = meta["subsampling"]
    return tables


def _save_deep(path, form, photo, native):
    """16-bit colour, which Pillow cannot write."""
    options = _options(form, photo.meta, True)
    profile = options.get("icc_profile")
    if form == "TIFF":
        import tifffile

        tags = photo.meta["exif"]
        texts = [(tag, 2, 0, str(tags[tag]), True) for tag in (0x10E, 0x10F, 0x110, 0x13B, 0x8298) if tag in tags]
        tifffile.imwrite(path, native, photometric="rgb", iccprofile=profile, software=tags[ExifTags.Base.Software],
                         metadata=None, extrasamples=["unassalpha"] if native.shape[2] == 4 else None,
                         extratags=[*texts, (700, 1, len(tags[700]), tags[700], True)])
        return
    blobs = {cv2.IMAGE_METADATA_EXIF: photo.meta["exif"].tobytes().removeprefix(b"Exif\0\0")}
    if profile:
        blobs[cv2.IMAGE_METADATA_ICCP] = profile
    swapped = np.ascontiguousarray(native[..., [2, 1, 0, 3][:native.shape[2]]])
    done, data = cv2.imencodeWithMetadata(".png", swapped, list(blobs),
                                          [np.frombuffer(blob, np.uint8) for blob in blobs.values()])
    if not done:
        raise UserError(f"{path}: 16-bit pixels could not be written")
    Path(path).write_bytes(data.tobytes())
