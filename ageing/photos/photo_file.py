"""Read a photo upright, and write an edited copy of it in the same format, with the same pixel type and metadata.

    photo = read("photo.jpg")
    save("photo_50s.jpg", photo, blending.apply(photo.native, changes, mode=photo.mode))

Every file that is written says in its metadata that faces in it were edited.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from ageing.errors import UserError, reason
from ageing.photos import colour_tags, metadata, opening, sixteen_bit
from ageing.photos import exif as exif_tags
from ageing.photos import xmp as xmp_packets
from ageing.photos.previews import holds_picture
from ageing.storage import replacing

# Formats whose metadata has room for the mark, with their suffix. Photos of other formats are written as PNG.
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
# Pillow's modes that each of them can be written with.
WRITABLE = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("L", "LA", "RGB", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA"),
            "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"), "AVIF": ("RGB", "RGBA")}
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
    rgb: uint8 (H, W, 3), the input of detector and generator; format: Pillow's name; meta: what `save` writes back;
    notes: short texts on what of the file is not read, or not kept in what was saved.
    """

    native: np.ndarray
    rgb: np.ndarray
    mode: str
    format: str
    meta: dict
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
    layout = sixteen_bit.tiff_layout(path)
    if layout is not None:
        sixteen_bit.check_layout(path, layout)
        if layout.is_deep:
            return _read_deep_tiff(path, layout, megapixels)
    found = opening.load(path, megapixels)
    with found.image as image:
        if not found.deep:
            native, mode = _pixels(image, path, layout)
        meta, orientation, missing = _meta(image, path)
        space = colour_tags.stated(image, path, meta)
        frames = _frames(image, path)
        notes = ["its 16 bits a channel became 8"] if layout is not None and set(layout.bits) == {16} else []
        form = {"MPO": "JPEG"}.get(image.format, image.format)
        stored, transparent = image.mode, image.info.get("transparency")
    if found.deep:  # outside of the block above, which holds Pillow's copy of the pixels
        data = path.read_bytes() if found.data is None else found.data
        native, mode = sixteen_bit.read_png(path, data, stored, transparent)
    if found.data is not None:
        missing.append("damaged metadata")
    if space.hdr:
        if form == "HEIF":
            native = opening.deep_heif(path)
        native, space = colour_tags.reduced(native, mode, space)
        meta["icc_profile"] = None
        notes.append("its HDR became SDR")
    meta["icc_profile"] = meta["icc_profile"] or colour_tags.profile(space, grey=mode in ("L", "LA"))
    return _photo(native, mode, form, meta, orientation, frames, missing, notes, found.upright)


def _read_deep_tiff(path, layout, megapixels):
    """The Photo in a TIFF with 16 bits a channel: Pillow would read 8 of them."""
    opening.check_size(path, layout.width, layout.height, megapixels)
    native, mode = sixteen_bit.read_tiff(path, layout)
    with open(path, "rb") as file:
        orientation, exif, missing = metadata.read_exif(None, file)
        other = exif_tags.read(file, lambda number: number in (metadata.XMP_TAG, metadata.ICC_TAG)).tags
        frames = exif_tags.count_pages(file)
    xmp, profile = (other[tag].data if tag in other else None for tag in (metadata.XMP_TAG, metadata.ICC_TAG))
    meta = {"exif": exif, "xmp": xmp, "icc_profile": profile, "dpi": exif.dpi()}
    if layout.compression in sixteen_bit.DEFLATE:
        meta["compression"] = "tiff_adobe_deflate"
    return _photo(native, mode, "TIFF", meta, orientation, frames, missing, [])


def _photo(native, mode, form, meta, orientation, frames, missing, notes, upright=False):
    """The upright Photo of pixels as they are stored, or already `upright`. missing: [what is not kept]."""
    if orientation is None and not upright:
        orientation = metadata.xmp_orientation(meta["xmp"])
    turned = orientation in TURNS
    native = np.ascontiguousarray(TURNS[orientation](native) if turned and not upright else native)
    height, width = native.shape[:2]
    if not height or not width:
        raise ValueError("no pixels")
    meta["xmp"], more = xmp_packets.marked(meta["xmp"], width, height, turned)
    if turned:
        meta["exif"].remove(lambda number, tag: number in metadata.PLACES)
    meta["exif"] = metadata.marked_exif(meta["exif"], width, height)
    meta["dpi"] = _sane(meta["dpi"])
    if frames > 1:
        notes.append(f"only the first of its {frames} pictures is read")
    if missing or more:
        notes.append("not kept: " + ", ".join(dict.fromkeys([*missing, *sorted(more)])))
    return Photo(native, _rgb(native, mode), mode, form, meta, notes)


def _frames(image, path):
    """How many pictures a file holds. Layers of a PSD are none; those of a JPEG are told by metadata.other_claims."""
    if image.format in ("MPO", "PSD"):
        return 1
    if image.format == "TIFF":
        with open(path, "rb") as file:
            return exif_tags.count_pages(file)
    return getattr(image, "n_frames", 1)


def _pixels(image, path, layout):
    """(array, mode) of a loaded image of up to eight bits, or of grey with more. layout: of a TIFF."""
    if layout is not None and set(layout.bits) == {12}:
        return sixteen_bit.twelve_to_sixteen_bits(np.array(image).astype(np.uint16)), "L"
    if image.format == "PPM" and image.mode == "I":  # Pillow scales it to 16 bits
        return np.array(image).astype(np.uint16), "L"
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
    """(what `save` needs of a loaded image in addition to its pixels, orientation or None, [what is not kept])."""
    info = image.info
    meta = {name: info.get(name) for name in ("icc_profile", "dpi", "comment", "progressive", "compression")}
    if image.format == "TIFF":
        with open(path, "rb") as file:
            orientation, meta["exif"], missing = metadata.read_exif(image, file)
            xmp = exif_tags.read(file, lambda number: number == metadata.XMP_TAG).tags.get(metadata.XMP_TAG)
            meta["xmp"] = xmp.data if xmp else None
    else:
        orientation, meta["exif"], missing = metadata.read_exif(image)
        meta["xmp"] = metadata.xmp_of(image)
    missing += metadata.other_claims(image)
    parts = {"text": metadata.texts_of(image), "resources": metadata.photoshop_resources(image),
             "comment": {"": meta["comment"] or b""}}
    kept = {name: {key: value for key, value in part.items() if not holds_picture(value)}
            for name, part in parts.items()}
    if kept != parts:
        missing.append(metadata.PICTURE_INSIDE)
    meta |= kept | {"comment": kept["comment"].get("")}
    if image.mode == "LAB":
        meta["icc_profile"] = None
    if image.format == "HEIF":
        orientation = image.info.get("original_orientation")
    if image.format == "WEBP":
        meta["lossless"] = _is_lossless_webp(path)
    if image.format in ("JPEG", "MPO"):
        meta |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
    return meta, orientation, missing


def _sane(dpi):
    """(horizontal, vertical) pixels an inch as numbers that every format can hold, or None."""
    try:
        dpi = tuple(float(value) for value in dpi)
        return dpi if len(dpi) == 2 and all(0.5 < value < 65_535 for value in dpi) else None
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


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
    profile = photo.meta.get("icc_profile") if photo is not None and photo.mode in ("RGB", "RGBA") else None
    save(path, Photo(pixels, pixels, "RGB", "", {"icc_profile": profile}), pixels)


def _save(path, form, photo, native):
    deep = native.dtype == np.uint16
    if deep and form not in ("PNG", "TIFF"):
        native, deep = sixteen_bit.to_eight_bits(native), False
        photo.note("its 16 bits a channel became 8")
    exif = metadata.marked_exif(photo.meta.get("exif") or exif_tags.Exif(), native.shape[1], native.shape[0])
    options = _options(form, photo, exif)
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
            tags = exif.copy()
            tags.tags[metadata.XMP_TAG] = exif_tags.Tag(exif_tags.BYTE, _xmp_of(photo))
            exif_tags.add_to_tiff(temporary, tags, replaced=exif_tags.RESOLUTION_TAGS if "dpi" not in options else ())


def _xmp_of(photo):
    return photo.meta.get("xmp") or metadata.new_xmp()


def _options(form, photo, exif):
    """Pillow's options for writing a file of format `form`. exif: with the mark."""
    meta, same, xmp = photo.meta, form == photo.format, _xmp_of(photo)
    options = {name: meta[name] for name in ("icc_profile", "dpi") if meta.get(name)}
    if form != "JPEG" and metadata.IPTC_RESOURCE in meta.get("resources", {}):
        photo.note(f"its IPTC caption is not kept in {form}")
    if form == "TIFF":
        if same and exif_tags.X_RESOLUTION in exif.tags:
            options.pop("dpi", None)  # the tags say it exactly
        if same and meta.get("compression") in ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd"):
            options["compression"] = meta["compression"]
        return options
    if form == "PNG":
        texts = metadata.png_text(meta.get("text", {}), xmp)
        return options | {"exif": exif.tobytes()[0], "pnginfo": texts}
    if form == "JPEG":
        return options | _jpeg_metadata(photo, exif, xmp) | _jpeg_options(meta, same)
    options.pop("dpi", None)
    options |= {"exif": exif.tobytes()[0], "xmp": xmp}
    if form == "WEBP":
        options |= {"lossless": bool(same and meta.get("lossless")), "exact": True}
    return options | {"quality": 95}


def _jpeg_metadata(photo, exif, xmp):
    """Options that fit into a JPEG's segments. What does not fit is noted."""
    found, without = exif.tobytes(metadata.JPEG_ROOM)
    xmp, less = xmp_packets.shrunk(xmp, metadata.XMP_ROOM)
    resources = photo.meta.get("resources", {})
    options = {"exif": found, "xmp": xmp, "extra": metadata.jpeg_segment(resources)}
    comment = photo.meta.get("comment")
    if comment and len(comment) <= metadata.JPEG_ROOM:
        options["comment"] = comment
    large = [f"{without} EXIF tag{'s' * (without > 1)}"] * bool(without)
    large += [f"{less} XMP {'properties' if less > 1 else 'property'}"] * bool(less)
    large += ["IPTC caption"] * bool(resources and not options["extra"])
    large += ["comment"] * bool(comment and "comment" not in options)
    if len(photo.meta.get("icc_profile") or b"") > metadata.LONGEST_JPEG_PROFILE:
        options["icc_profile"] = None
        large.append("colour profile")
    if large:
        photo.note(f"too large for a JPEG: {', '.join(large)}")
    return options


def _jpeg_options(meta, same):
    options = {"progressive": meta.get("progressive", False)}
    tables = meta.get("qtables")
    if not (same and tables and set(tables) == set(range(len(tables))) and len(tables) <= 4):
        return options | {"quality": 95, "subsampling": 0}
    if meta.get("subsampling", -1) >= 0:
        options["subsampling"] = meta["subsampling"]
    return options | {"qtables": tables}  # the original's: unchanged pixels are written almost as they were
