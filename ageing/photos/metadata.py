"""Metadata of a photo: what of it outlives editing, and the mark that says that faces were edited.

The output has one picture, upright, without signature: what claims more is not kept.
"""

import logging
import re
import struct
import warnings

from PIL import Image, PngImagePlugin

from ageing.photos import exif as exif_tags
from ageing.photos import xmp as xmp_packets
from ageing.photos.previews import holds_picture

# Pillow reads compressed texts and colour profiles of up to 1 MiB; some editors write larger ones.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20
PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20
logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)  # damaged files are reported as one UserError

# Written into every output, and read back to tell earlier outputs from photos.
EDITED_MARK = "Face ageing with CycleGAN: faces in this picture were changed by a neural network"
XMP_TAG, ICC_TAG, C2PA_TAG = 700, 34675, 52545     # of a TIFF
XMP_KEY = "XML:com.adobe.xmp"                       # of a text chunk of a PNG
RAW_PROFILE = "raw profile type "                   # begins the keys of texts in which ImageMagick keeps other metadata
# Tags that say how the pixels are stored.
STORAGE_TAGS = {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290,
                291, 292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325, 332, 334, 336, 338, 339, 340, 341,
                347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 32997, 32998}
# Tags with other pictures of the unedited face (thumbnails, Photoshop's resources and layers, pages inside, previews in
# maker notes, raw files), or that are kept in another way.
DROPPED_TAGS = {exif_tags.ORIENTATION, 330, XMP_TAG, 34377, ICC_TAG, exif_tags.MAKER_NOTE, 37724, 50341, C2PA_TAG,
                *range(0x5012, 0x5034), *range(50706, 51200)}
PLACES = (0x9214, 0xA214)       # subject area and location: they do not hold once the picture is turned
PICTURE_INSIDE = "metadata with a picture inside"
LONGEST_SOFTWARE = 1_000        # bytes of the name that stood in the mark's place
# Photoshop's resources of a JPEG that are kept: IPTC, copyright flag, its address, the IPTC's checksum.
IPTC_RESOURCE = 0x0404
KEPT_RESOURCES = (IPTC_RESOURCE, 0x040A, 0x040B, 0x0425)
JPEG_ROOM = 65_533              # bytes of a JPEG's segment
XMP_ROOM = JPEG_ROOM - 29       # less its name
LONGEST_JPEG_PROFILE = 255 * (JPEG_ROOM - 14)   # bytes; it may fill 255 segments


def is_kept(number):
    """Whether the EXIF or TIFF tag of this number is copied to the output."""
    return number not in STORAGE_TAGS and number not in DROPPED_TAGS


def read_exif(image, tiff=None):
    """(orientation or None, Exif to write back, [what is not kept]) of a loaded image.

    tiff: its open file, if it is a TIFF. Tags that cannot be read are left out, each by itself.
    """
    def wanted(number):
        return is_kept(number) or number in (exif_tags.ORIENTATION, C2PA_TAG)

    if tiff is not None:
        exif = exif_tags.read(tiff, wanted)
    else:
        exif = exif_tags.parse(_exif_bytes(image), wanted)
    orientation = exif.orientation()
    missing = [f"{exif.lost} damaged EXIF tag{'s' * (exif.lost > 1)}"] if exif.lost else []
    exif.tags.pop(exif_tags.ORIENTATION, None)
    if exif.tags.pop(C2PA_TAG, None):
        missing.append("content credentials")
    if exif.remove(lambda number, tag: holds_picture(tag.data)):
        missing.append(PICTURE_INSIDE)
    if exif.remove(lambda number, tag: number == exif_tags.MICRO_VIDEO):
        missing.append("motion video")
    return orientation, exif, missing


def _exif_bytes(image):
    data = image.info.get("exif")
    if data is None and (text := image.info.get("Raw profile type exif")):  # as ImageMagick writes it into a PNG
        with_header = "".join(text.split("\n")[3:])
        try:
            data = bytes.fromhex(with_header)
        except ValueError:
            data = None
    return data or exif_tags.Exif().tobytes()[0]


def xmp_of(image):
    """The XMP of an image as bytes; None or empty if it has none."""
    xmp = image.info.get("xmp") or image.info.get(XMP_KEY)
    return xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp


def xmp_orientation(xmp):
    """1 to 8: the orientation that XMP bytes state, 1 if none."""
    found = re.search(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""", xmp or b"")
    return int(found[1]) if found else 1


def texts_of(image):
    """{key: text} of a PNG's text chunks, without metadata of other formats, which are read and written elsewhere."""
    return {key: text for key, text in getattr(image, "text", {}).items()
            if key != XMP_KEY and not key.lower().startswith(RAW_PROFILE)}


def other_claims(image):
    """[what an image has beside EXIF and XMP that is not kept]: of signatures and second pictures."""
    missing = []
    if any(key.lower() in (RAW_PROFILE + "iptc", RAW_PROFILE + "8bim") for key in getattr(image, "text", ())):
        missing.append("IPTC caption")
    if any(name == "APP11" and b"jumb" in data[:64] for name, data in getattr(image, "applist", ())) or any(
            chunk[0] == b"caBX" for chunk in getattr(image, "private_chunks", ())):
        missing.append("content credentials")
    if any(name == "APP2" and data.startswith(b"urn:iso:std:iso:ts:21496") for name, data in
           getattr(image, "applist", ())):
        missing.append("HDR gain map")
    if any("gainmap" in str(kind).lower() for kind in image.info.get("aux", ())):  # of an HEIF
        missing.append("HDR gain map")
    if image.info.get("depth_images"):
        missing.append("depth map")
    if image.format == "MPO" and not missing:
        entries = getattr(image, "mpinfo", {}).get(0xB002, ())
        kinds = [str(entry.get("Attribute", {}).get("MPType", "")) for entry in entries[1:]]
        if not all("Thumbnail" in kind for kind in kinds):
            missing.append("second picture (gain map or stereo view)")
    return missing


def photoshop_resources(image):
    """{number: bytes} of those Photoshop resources of a JPEG that are kept."""
    found = image.info.get("photoshop") if image.format in ("JPEG", "MPO") else None
    found = found if isinstance(found, dict) else {}
    return {number: found[number] for number in KEPT_RESOURCES if isinstance(found.get(number), bytes)}


def jpeg_segment(resources):
    """The bytes of a JPEG segment with Photoshop resources; empty if there are none or it would be too long."""
    data = b"Photoshop 3.0\0"
    for number, value in resources.items():
        data += b"8BIM" + struct.pack(">HHL", number, 0, len(value)) + value + bytes(len(value) % 2)
    if not resources or len(data) > JPEG_ROOM:
        return b""
    return b"\xff\xed" + struct.pack(">H", len(data) + 2) + data


def is_marked(path):
    """Whether the file at `path` has the mark. Only its header is read. False if it is not an image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if EDITED_MARK in str(image.info.get("Software", "")):
                    return True
                if image.format != "TIFF":
                    return EDITED_MARK.encode() in image.info.get("exif", b"")
        with open(path, "rb") as file:
            software = exif_tags.read(file, lambda number: number == exif_tags.SOFTWARE).tags.get(exif_tags.SOFTWARE)
        return software is not None and EDITED_MARK.encode() in software.data
    except Exception:  # a damaged file: whoever reads it as a photo reports that
        return False


def marked_exif(exif, width, height):
    """A copy of `exif` with the mark before the name of the software that stood there, and the picture's size.

    A mark is set once.
    """
    exif = exif.copy()
    before = exif.tags.get(exif_tags.SOFTWARE)
    before = before.data.strip(b"\0 ")[:LONGEST_SOFTWARE] if isinstance(before, exif_tags.Tag) else b""
    if EDITED_MARK.encode() not in before:
        mark = EDITED_MARK.encode()
        exif.put(exif_tags.SOFTWARE, exif_tags.TEXT, mark + (b"; before: " + before if before else b""))
    for number, value in ((exif_tags.PIXEL_WIDTH, width), (exif_tags.PIXEL_HEIGHT, height)):
        if number in exif.tags.get(exif_tags.EXIF, {}):
            exif.put(number, exif_tags.LONG, value, inside=exif_tags.EXIF)
    return exif


def png_text(texts, xmp):
    """A PNG's text chunks: `texts` {key: value} of the photo, the mark and the XMP bytes."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in {**texts, "Software": EDITED_MARK}.items():
        text, long = str(value), len(value) > 1000
        if text.isascii() and not isinstance(value, PngImagePlugin.iTXt):
            chunks.add_text(key, text, zip=long)
        else:
            chunks.add_itxt(key, text, getattr(value, "lang", None) or "", getattr(value, "tkey", None) or "", zip=long)
    chunks.add_itxt(XMP_KEY, xmp.decode("utf-8", "replace"))
    return chunks


def new_xmp():
    """XMP bytes with nothing but the mark."""
    return xmp_packets.marked(None, 0, 0)[0]
