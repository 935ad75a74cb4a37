"""Metadata of a photo on their way: `read` them, keep what outlives editing as `Metadata`, write them as `options`.

The output has one picture, upright, without signature: what claims more is not kept. Nor is any other picture inside
of metadata, because it shows the face as it was before.
"""

import dataclasses
import logging
import re
import struct
import warnings

from PIL import Image, PngImagePlugin

from ageing.photos import exif as exif_tags
from ageing.photos import xmp as xmp_packets

logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)  # damaged files are reported as one UserError

# Written into every output, and read back to tell earlier outputs from photos.
EDITED_MARK = "Face ageing with CycleGAN: faces in this picture were changed by a neural network"
XMP_TAG, ICC_TAG, C2PA_TAG = 700, 34675, 52545     # of a TIFF
XMP_KEY = "XML:com.adobe.xmp"                       # of a text chunk of a PNG
RAW_PROFILE = "raw profile type "                   # begins the keys of texts in which ImageMagick keeps other metadata
# Tags that say how the pixels of a TIFF are stored.
STORAGE_TAGS = {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290,
                291, 292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325, 332, 334, 336, 338, 339, 340, 341,
                347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 32997, 32998}
# Tags with other pictures of the unedited face (thumbnails, Photoshop's resources and layers, pages inside, previews in
# maker notes, raw files), or that are kept in another way.
DROPPED_TAGS = {exif_tags.ORIENTATION, 330, XMP_TAG, 34377, ICC_TAG, exif_tags.MAKER_NOTE, 37724, 50341, C2PA_TAG,
                *range(0x5012, 0x5034), *range(50706, 51200)}
READ_TAGS = {exif_tags.ORIENTATION, XMP_TAG, ICC_TAG, C2PA_TAG}     # of these, to be told or kept in another way
PLACES = (0x9214, 0xA214)       # subject area and location: they do not hold once the picture is turned
# How JPEG, PNG, GIF, WebP, HEIF and AVIF begin: as they are, in base64 (of texts, also in UTF-16), and in hexadecimal.
# The last line: base64 of a JPEG one or two bytes into what is encoded, and of a TIFF. So few letters may be a word.
PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF.{4}WEBP|ftyp(?:hei|mif|avif)"
                     rb"|/\0?9\0?j\0?/|iVBORw0KGgo|UklGR|R0lGOD[dl]|ffd8ff(?:e|c|db|fe)|FFD8FF(?:E|C|DB|FE)"
                     rb"|(?:[Pfv/]/Y/|/2P[89+/]|SUkqA|TU0AK)[A-Za-z0-9+/\s]{60}", re.DOTALL)
LONGEST_SOFTWARE = 1_000        # bytes of the name that stood in the mark's place
# Photoshop's resources of a JPEG that are kept: IPTC, copyright flag, its address, the IPTC's checksum.
IPTC_RESOURCE = 0x0404
KEPT_RESOURCES = (IPTC_RESOURCE, 0x040A, 0x040B, 0x0425)
JPEG_ROOM = 65_533              # bytes of a JPEG's segment
XMP_ROOM = JPEG_ROOM - 29       # less its name
LONGEST_JPEG_PROFILE = 255 * (JPEG_ROOM - 14)   # bytes; it may fill 255 segments


def mark_exif(exif):
    """`exif` with the mark before the name of the software that stood there. A mark is set once."""
    before = exif.tags.get(exif_tags.SOFTWARE)
    before = before.data.strip(b"\0 ")[:LONGEST_SOFTWARE] if isinstance(before, exif_tags.Tag) else b""
    if EDITED_MARK.encode() not in before:
        mark = EDITED_MARK.encode() + (b"; before: " + before if before else b"")
        exif.put(exif_tags.SOFTWARE, exif_tags.TEXT, mark)
    return exif


@dataclasses.dataclass
class Metadata:
    """What is written into an output. As it is made, it has nothing but the mark.

    exif: without orientation. xmp: bytes. icc_profile: bytes, see colour_profile. dpi: across, down. texts: {key: text}
    of a PNG. resources: {Photoshop's number: bytes} of a JPEG, with the IPTC caption. comment: bytes of a JPEG.
    pictures: how many the file holds.
    """

    exif: exif_tags.Exif = dataclasses.field(default_factory=lambda: mark_exif(exif_tags.Exif()))
    xmp: bytes = xmp_packets.NEW
    icc_profile: bytes | None = None
    dpi: tuple | None = None
    texts: dict = dataclasses.field(default_factory=dict)
    resources: dict = dataclasses.field(default_factory=dict)
    comment: bytes = b""
    pictures: int = 1

    def describe_edited(self, width, height, turned):
        """Set the mark, and what is true of the upright picture. Returns [what is not kept]."""
        if turned:
            self.exif.remove(lambda number, tag: number in PLACES)
        for number, value in ((exif_tags.PIXEL_WIDTH, width), (exif_tags.PIXEL_HEIGHT, height)):
            if number in self.exif.tags.get(exif_tags.EXIF, {}):
                self.exif.put(number, exif_tags.LONG, value, inside=exif_tags.EXIF)
        mark_exif(self.exif)
        self.xmp, not_kept = xmp_packets.of_edited(self.xmp, width, height, turned)
        if holds_picture(self.xmp):  # in a property that is not known to hold one
            self.xmp, not_kept = xmp_packets.NEW, {"XMP, which has a picture inside"}
        return sorted(not_kept)

    def options(self, form, note):
        """Pillow's options for a file of format `form`. note(text): is told what it has no room for.

        Tags of a TIFF are not among them: see `add_to_tiff`.
        """
        options = {name: value for name in ("icc_profile", "dpi") if (value := getattr(self, name))}
        if form != "JPEG" and IPTC_RESOURCE in self.resources:
            note(f"its IPTC caption is not kept in {form}")
        if form == "TIFF":
            return options
        options |= {"exif": self.exif.tobytes(), "xmp": self.xmp}
        if form == "PNG":
            options["pnginfo"] = _png_texts(self.texts, self.xmp)
        return options | (self._jpeg_options(options["exif"], note) if form == "JPEG" else {})

    def _jpeg_options(self, exif, note):
        """What fits into a JPEG's segments; of EXIF and XMP that do not fit only the mark."""
        pieces = {"EXIF": ("exif", exif, JPEG_ROOM, Metadata().exif.tobytes()),
                  "XMP": ("xmp", self.xmp, XMP_ROOM, xmp_packets.NEW),
                  "IPTC caption": ("extra", _photoshop_segment(self.resources), JPEG_ROOM + 4, b""),
                  "comment": ("comment", self.comment, JPEG_ROOM, b""),
                  "colour profile": ("icc_profile", self.icc_profile or b"", LONGEST_JPEG_PROFILE, b"")}
        too_large = [what for what, (_, value, room, _) in pieces.items() if len(value) > room]
        if too_large:
            note(f"too large for a JPEG: {', '.join(too_large)}")
        return {name: instead if what in too_large else value for what, (name, value, _, instead) in pieces.items()}

    def add_to_tiff(self, path):
        """Add EXIF's tags and XMP to the TIFF file at `path`."""
        exif_tags.add_to_tiff(path, self.exif.tags | {XMP_TAG: exif_tags.Tag(exif_tags.BYTE, self.xmp)})


def read(path, image=None):
    """(Metadata without the mark, orientation, [what is not kept]) of a photo. It is turned if orientation is 2 to 8.

    image: as Pillow loaded it, None for a TIFF that it cannot load. An EXIF tag that cannot be read costs no other.
    """
    info = image.info if image else {}
    if image is None or image.format == "TIFF":
        with open(path, "rb") as file:
            exif = exif_tags.read(file, _is_read)
        xmp, profile = (tag and tag.data for tag in (exif.tags.get(XMP_TAG), exif.tags.get(ICC_TAG)))
        metadata = Metadata(exif, xmp, profile, exif.dpi(), pictures=exif.pages)
    else:
        exif = exif_tags.parse(_exif_of(info), _is_read)
        resources = {number: data for number, data in info.get("photoshop", {}).items() if number in KEPT_RESOURCES}
        metadata = Metadata(exif, _xmp_of(info), info.get("icc_profile"), info.get("dpi"), _texts_of(image), resources,
                            info.get("comment") or b"", _pictures(image))
    if not (metadata.dpi and all(0.5 < float(value) < 65_535 for value in metadata.dpi)):  # not all formats can hold it
        metadata.dpi = None
    orientation = exif.orientation() or xmp_packets.orientation(metadata.xmp)
    if image and image.format == "HEIF":
        orientation = info.get("original_orientation")
    return metadata, orientation, _left_out(metadata) + (_other_claims(image) if image else [])


def _left_out(metadata):
    """[what is not kept] of Metadata that were just read, which is removed here."""
    exif = metadata.exif
    not_kept = [f"{exif.lost} damaged EXIF tag{'s' * (exif.lost > 1)}"] if exif.lost else []
    if C2PA_TAG in exif.tags:
        not_kept.append("content credentials")
    for number in READ_TAGS & exif.tags.keys():
        del exif.tags[number]
    pictures = exif.remove(lambda number, tag: holds_picture(tag.data))
    for values in (metadata.texts, metadata.resources):
        for key in [key for key, value in values.items() if holds_picture(value)]:
            del values[key]
            pictures = True
    if holds_picture(metadata.comment):
        metadata.comment, pictures = b"", True
    if pictures:
        not_kept.append("metadata with a picture inside")
    if exif.remove(lambda number, tag: number == exif_tags.MICRO_VIDEO):
        not_kept.append("motion video")
    return not_kept


def _pictures(image):
    """How many pictures a file holds. Layers of a PSD are none; those of a JPEG are told by `_other_claims`."""
    return 1 if image.format in ("MPO", "PSD") else getattr(image, "n_frames", 1)


def _is_read(number):
    """Whether an EXIF or TIFF tag is read. All that are not in READ_TAGS are copied to the output."""
    return number in READ_TAGS or (number not in STORAGE_TAGS and number not in DROPPED_TAGS)


def holds_picture(data):
    """Whether bytes or a text hold a picture."""
    return PICTURE.search(data.encode("utf-8", "replace") if isinstance(data, str) else data) is not None


def _exif_of(info):
    data = info.get("exif")
    if data is None and (text := info.get("Raw profile type exif")):  # as ImageMagick writes it into a PNG
        try:
            data = bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            data = None
    return data or exif_tags.Exif().tobytes()


def _xmp_of(info):
    xmp = info.get("xmp") or info.get(XMP_KEY)
    return xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp


def _texts_of(image):
    """{key: text} of a PNG's text chunks, without metadata of other formats, which are read and written elsewhere."""
    return {key: text for key, text in getattr(image, "text", {}).items()
            if key != XMP_KEY and not key.lower().startswith(RAW_PROFILE)}


def _other_claims(image):
    """[what an image has beside EXIF and XMP that is not kept]: of signatures and second pictures."""
    claims = []
    segments = getattr(image, "applist", ())
    if any(key.lower() in (RAW_PROFILE + "iptc", RAW_PROFILE + "8bim") for key in getattr(image, "text", ())):
        claims.append("IPTC caption")
    if any(name == "APP11" and b"jumb" in data[:64] for name, data in segments) or any(
            chunk[0] == b"caBX" for chunk in getattr(image, "private_chunks", ())):
        claims.append("content credentials")
    if any(name == "APP2" and data.startswith(b"urn:iso:std:iso:ts:21496") for name, data in segments) or any(
            "gainmap" in str(kind).lower() for kind in image.info.get("aux", ())):  # of an HEIF
        claims.append("HDR gain map")
    if image.info.get("depth_images"):
        claims.append("depth map")
    if image.format == "MPO" and not claims:
        entries = getattr(image, "mpinfo", {}).get(0xB002, ())
        kinds = [str(entry.get("Attribute", {}).get("MPType", "")) for entry in entries[1:]]
        if not all("Thumbnail" in kind for kind in kinds):
            claims.append("second picture (gain map or stereo view)")
    return claims


def is_marked(path):
    """Whether the file at `path` has the mark. Only its header is read. False if it is not an image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                tags = getattr(image, "tag_v2", {})     # of a TIFF
                return EDITED_MARK in str([image.info.get("Software"), image.info.get("exif"),
                                           image.info.get("comment"), tags.get(exif_tags.SOFTWARE)])
    except Exception:  # a damaged file: whoever reads it as a photo reports that
        return False


def _photoshop_segment(resources):
    """The bytes of a JPEG segment with Photoshop resources; empty if there are none."""
    data = b"Photoshop 3.0\0"
    for number, value in resources.items():
        data += b"8BIM" + struct.pack(">HHL", number, 0, len(value)) + value + bytes(len(value) % 2)
    return b"\xff\xed" + struct.pack(">H", min(len(data) + 2, 0xFFFF)) + data if resources else b""


def _png_texts(texts, xmp):
    """A PNG's text chunks: `texts` {key: value} of the photo, the mark and the XMP bytes."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in {**texts, "Software": EDITED_MARK}.items():
        chunks.add_text(key, value, zip=len(value) > 1000)
    chunks.add_itxt(XMP_KEY, xmp.decode("utf-8", "replace"))
    return chunks
