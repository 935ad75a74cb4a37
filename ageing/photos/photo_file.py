"""Photos as people have them: read with orientation applied, written back as they came but for the edited faces.

Every written file says in its metadata that it was edited, and how.
"""

import dataclasses
import io
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from files import UserError, reason, replacing

# What OpenCV has to say of a damaged file is said here, in one line.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MARK = "Face ageing with CycleGAN: faces in this picture were changed by a neural network"
# IPTC's word for a photo that a generative model changed; newsrooms and platforms look for it.
XMP_MARK = (b'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
            b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
            b'compositeWithTrainedAlgorithmicMedia"/>')
XMP_EMPTY = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
             b'</rdf:RDF></x:xmpmeta>')

# Formats that carry the mark, by the suffix they get. All others are written as PNG.
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
WRITABLE = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("L", "LA", "RGB", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA"),
            "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"), "AVIF": ("RGB", "RGBA")}
# Modes of Pillow and what they are edited as.
KEPT_MODES = {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "1": "L", "La": "LA", "RGBa": "RGBA",
              "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}
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
        return _rgb(native, self.mode)


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
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image that can be read here") from error
    except Exception as error:  # damaged files raise anything, from KeyError to zlib.error
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
    Image.MAX_IMAGE_PIXELS = None  # our own limit, which names the option that raises it
    with Image.open(path) as image:
        width, height = image.size
        if width * height > megapixels * 1e6:
            raise UserError(f"{path}: {width} x {height} is more than {megapixels:g} megapixels; "
                            "raise the limit with --max-megapixels")
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        raw = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in image.tile if tile[3]]
        deep = image.format in ("PNG", "TIFF") and any(";16" in str(r) for r in raw)
        image.load()  # damage shows here
        orientation, exif = _described(image)
        if not deep:
            native, mode = _pixels(image, path)
        meta = _meta(image, path) | {"exif": exif}
        form = {"MPO": "JPEG"}.get(image.format, image.format)
    if deep:  # the file is closed: Pillow's copy of the pixels is gone
        native, mode = _deep_pixels(path)
    native = np.ascontiguousarray(_TURNS.get(orientation, lambda x: x)(native))
    return Photo(native, _rgb(native, mode), mode, form, meta, frames)


def _pixels(image, path):
    """(array, mode) of an image of up to eight bits."""
    if image.mode.startswith("I;16"):  # of a format that is not written with 16 bits
        return (np.array(image) >> 8).astype(np.uint8), "L"
    if image.mode not in KEPT_MODES:
        raise UserError(f"{path}: pixels of kind {image.mode} have no known range; save it with 8 or 16 bits first")
    mode = KEPT_MODES[image.mode]
    if "transparency" in image.info and mode in ("L", "RGB"):
        mode += "A"
    return np.array(image if image.mode == mode else image.convert(mode)), mode


def _meta(image, path):
    """What `save` needs of the original beside its EXIF."""
    info = image.info
    xmp = info.get("xmp")
    if xmp:
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        xmp = re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb"\g<1>1", xmp)  # the pixels are upright now
    meta = {name: info.get(name) for name in ("icc_profile", "dpi", "comment", "progressive", "compression")}
    meta |= {"xmp": xmp, "text": getattr(image, "text", {})}
    if image.mode == "LAB":
        meta["icc_profile"] = None
    if image.format == "WEBP":
        meta["lossless"] = _is_lossless_webp(path)
    if image.format in ("JPEG", "MPO"):
        from PIL import JpegImagePlugin
        meta |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
    return meta


# What a TIFF says of how its pixels are stored, and Photoshop's layers, which show the unedited face.
_STRUCTURE = {254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339,
              347, 529, 530, 531, 532, 700, 34377, 34675, 37724, ORIENTATION}


def _described(image):
    """(orientation, EXIF that outlives its file) of an image, without the thumbnail, which shows the unedited face.

    1 and empty if they are damaged: a photo is worth more than its EXIF.
    """
    kept = Image.Exif()
    parts = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    try:
        tags = image.getexif()
        for tag, value in tags.items():
            if tag not in _STRUCTURE and tag not in parts:
                kept[tag] = _bytes(value)
        for part in parts:
            if found := {tag: _bytes(value) for tag, value in tags.get_ifd(part).items()}:
                if len(str(found.get(ExifTags.Base.MakerNote, ""))) > 30_000:
                    del found[ExifTags.Base.MakerNote]  # a JPEG has room for 64 KiB of EXIF in all
                kept.get_ifd(part).update(found)
                kept[part] = found  # Pillow writes a TIFF's from here, the other formats' from there
        kept.tobytes()
        return tags.get(ORIENTATION, 1), kept
    except Exception:  # as varied as the ways to damage a file
        return 1, Image.Exif()


def _bytes(value):
    """Text that is not ASCII as the bytes it was read from, or Pillow writes question marks."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _deep_pixels(path):
    """16-bit pixels and their mode: Pillow halves the depth of colour."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16:
        raise UserError(f"{path}: 16-bit pixels that cannot be read here; save it as RGB or with 8 bits first")
    if pixels.ndim == 2:
        return pixels, "L"
    return _swap(pixels), {3: "RGB", 4: "RGBA"}[pixels.shape[2]]


def _swap(pixels):
    """BGR(A) to RGB(A) or back, in place."""
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=pixels)


_TURNS = {2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
          5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
          8: lambda x: np.rot90(x)}


def _rgb(native, mode):
    if native.dtype == np.uint16:
        native = _eight_bits(native)
    if mode in ("L", "LA"):
        grey = native if mode == "L" else native[..., 0]
        return np.repeat(grey[..., None], 3, axis=2)
    if mode == "CMYK":
        return np.array(Image.fromarray(native, "CMYK").convert("RGB"))
    return native if mode == "RGB" else np.ascontiguousarray(native[..., :3])


def _eight_bits(native):
    out = np.empty(native.shape, np.uint8)
    return np.floor_divide(native, 257, out=out, casting="unsafe")  # without a 16-bit copy in between


def _is_lossless_webp(path):
    with open(path, "rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            kind, size = header[:4], int.from_bytes(header[4:], "little")
            if kind in (b"VP8 ", b"VP8L"):
                return kind == b"VP8L"
            file.seek(16 if kind == b"ANMF" else size + size % 2, 1)  # the chunks of a frame stand in it
    return False


def output_format(photo, suffix=None):
    """(Pillow's format, suffix) to write `photo` as: its own, or that of `suffix`; PNG where the mark has no place."""
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


def is_marked(path):
    """Whether the file at `path` bears MARK; only its header is read. False if it is no image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                exif = image.info.get("exif", b"")
                tags = image.getexif() if image.format == "TIFF" else {}
                return (MARK.encode() in exif or MARK in str(image.info.get("Software", ""))
                        or MARK in str(tags.get(ExifTags.Base.Software, "")))
    except Exception:  # damaged: reading it will say so
        return False


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
        native, deep = _eight_bits(native), False
    options = _options(form, photo.meta, form == photo.format)
    with replacing(path) as temporary:
        if deep and photo.mode != "L":
            {"PNG": _save_deep_png, "TIFF": _save_deep_tiff}[form](temporary, photo, native, options)
            return
        image = Image.fromarray(native, None if deep else photo.mode)
        if image.mode not in WRITABLE[form]:
            if image.mode != "RGBA":
                options.pop("icc_profile", None)  # it is of grey or of inks
            image = image.convert("RGBA" if image.mode == "LA" and "RGBA" in WRITABLE[form] else "RGB")
        image.save(temporary, form, **options)


def save_marked(path, pixels):
    """Write uint8 RGB `pixels`, a sheet of edited faces, to `path`, with the mark."""
    photo = Photo(pixels, pixels, "RGB", "", {"exif": Image.Exif()})
    save(path, photo, pixels)


def _options(form, meta, same):
    """Pillow's options for `save`. same: the file came in this format."""
    exif = meta["exif"]
    before = exif.get(ExifTags.Base.Software, "")
    before = (before.decode("latin-1") if isinstance(before, bytes) else str(before)).strip("\0 ")
    if MARK not in before:
        exif[ExifTags.Base.Software] = _bytes(MARK + (f"; before: {before}" if before else ""))
    options = {name: meta[name] for name in ("icc_profile", "dpi") if meta.get(name)}
    xmp = meta.get("xmp") or XMP_EMPTY
    if b"DigitalSourceType" not in xmp:
        xmp = xmp.replace(b"</rdf:RDF>", XMP_MARK + b"</rdf:RDF>", 1)
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
        options["exif"] = tags = Image.Exif()
        tags.load(exif.tobytes())
        tags[700] = xmp
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


def _save_deep_png(path, photo, native, options):
    """16-bit colour, which Pillow cannot write: OpenCV's pixels, and the other chunks of a one-pixel PNG by Pillow."""
    done, data = cv2.imencode(".png", _swap(native))
    _swap(native)
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


def _chunks(png):
    """(kind, whole chunk) of each chunk of a PNG's bytes."""
    place = 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place:place + 4], "big")
        yield png[place + 4:place + 8], png[place:end]
        place = end


def _save_deep_tiff(path, photo, native, options):
    """16-bit colour, which Pillow cannot write. Of the EXIF only texts are kept: tifffile has no room for the rest."""
    import tifffile

    tags = options["exif"]
    texts = {tag: _ascii(value) for tag, value in tags.items() if isinstance(value, (str, bytes)) and tag != 700}
    software = texts.pop(ExifTags.Base.Software)
    dpi = options.get("dpi")
    tifffile.imwrite(path, native, photometric="rgb", iccprofile=options.get("icc_profile"), software=software,
                     metadata=None, extrasamples=["unassalpha"] if native.shape[2] == 4 else None,
                     resolution=tuple(map(float, dpi)) if dpi else None, resolutionunit="INCH" if dpi else None,
                     extratags=[*((tag, 2, 0, text, True) for tag, text in texts.items()),
                                (700, 1, len(tags[700]), tags[700], True)])


def _ascii(value):
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")
