"""Metadata of a photo: what of its EXIF and XMP outlives editing, and the mark that says that faces were edited."""

import re
import warnings

from PIL import ExifTags, Image, PngImagePlugin

# Written into every output, and read back to tell earlier outputs from photos.
EDITED_MARK = "Face ageing with CycleGAN: faces in this picture were changed by a neural network"
# The IPTC's term for a photo that a generative model changed; newsrooms and platforms look for it.
XMP_MARK = (b'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
            b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
            b'compositeWithTrainedAlgorithmicMedia"/>')
XMP_EMPTY = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
             b'</rdf:RDF></x:xmpmeta>')
XMP_TAG = 700                   # of a TIFF
XMP_KEY = "XML:com.adobe.xmp"   # of a text chunk of a PNG

SOFTWARE, ORIENTATION = ExifTags.Base.Software, ExifTags.Base.Orientation
# TIFF tags that say how the pixels are stored, and Photoshop's layers, which show the unedited face.
STORAGE_TAGS = {254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339,
                347, 529, 530, 531, 532, XMP_TAG, 34377, 34675, 37724, ORIENTATION}
LONGEST_MAKER_NOTE = 30_000     # characters; a JPEG has room for 64 KiB of EXIF in all


def read_exif(image):
    """(orientation 1 to 8, Exif to write back) of an open image, without the thumbnail, which shows the unedited face.

    (1, empty) if the EXIF is damaged: the photo can be edited all the same.
    """
    kept = Image.Exif()
    parts = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    try:
        tags = image.getexif()
        for tag, value in tags.items():
            if tag not in STORAGE_TAGS and tag not in parts:
                kept[tag] = _as_read(value)
        for part in parts:
            if found := {tag: _as_read(value) for tag, value in tags.get_ifd(part).items()}:
                if len(str(found.get(ExifTags.Base.MakerNote, ""))) > LONGEST_MAKER_NOTE:
                    del found[ExifTags.Base.MakerNote]
                kept.get_ifd(part).update(found)
                kept[part] = found  # Pillow writes a TIFF's from here, the other formats' from get_ifd
        kept.tobytes()
        return tags.get(ORIENTATION, 1), kept
    except Exception:  # damaged EXIF raises errors of many kinds
        return 1, Image.Exif()


def read_xmp(image):
    """The XMP of an open image as bytes, its orientation set to upright; None or empty if it has none."""
    xmp = image.info.get("xmp")
    if not xmp:
        return xmp
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb"\g<1>1", xmp)  # `photo_file.read` turns the pixels


def is_marked(path):
    """Whether the file at `path` has the mark. Only its header is read. False if it is not an image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                exif = image.info.get("exif", b"")
                tags = image.getexif() if image.format == "TIFF" else {}
                return (EDITED_MARK.encode() in exif or EDITED_MARK in str(image.info.get("Software", ""))
                        or EDITED_MARK in str(tags.get(SOFTWARE, "")))
    except Exception:  # a damaged file: whoever reads it as a photo reports that
        return False


def mark_exif(exif):
    """Set the mark in an Exif, before the name of the software that stood there. A mark is set once."""
    before = exif.get(SOFTWARE, "")
    before = (before.decode("latin-1") if isinstance(before, bytes) else str(before)).strip("\0 ")
    if EDITED_MARK not in before:
        exif[SOFTWARE] = _as_read(EDITED_MARK + (f"; before: {before}" if before else ""))


def marked_xmp(xmp):
    """XMP bytes with the IPTC's mark. xmp: bytes, or None or empty for new ones."""
    xmp = xmp or XMP_EMPTY
    if b"DigitalSourceType" not in xmp:
        xmp = xmp.replace(b"</rdf:RDF>", XMP_MARK + b"</rdf:RDF>", 1)
    return xmp


def png_text(texts, xmp):
    """A PNG's text chunks: `texts` {key: value} of the photo, the mark and the XMP bytes."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in {**texts, "Software": EDITED_MARK}.items():
        if key != XMP_KEY:
            chunks.add_itxt(key, str(value)) if not str(value).isascii() else chunks.add_text(key, str(value))
    chunks.add_itxt(XMP_KEY, xmp.decode("utf-8", "replace"))
    return chunks


def tiff_tags(exif, xmp):
    """The tags of a TIFF: a copy of `exif`, with the XMP bytes."""
    tags = Image.Exif()
    tags.load(exif.tobytes())
    tags[XMP_TAG] = xmp
    return tags


def _as_read(value):
    """Text that is not ASCII as the bytes it was read from: Pillow would write question marks."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value
