"""Copies of image files without the metadata on which Pillow fails, so that the picture can be read all the same."""

import io
import re
import struct
import zlib

from PIL import Image, PngImagePlugin

from ageing.photos import exif, metadata

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
METADATA_MARKERS = {*range(0xE1, 0xEE), 0xEF, 0xFE}     # of a JPEG: APP0 and APP14 say how pixels are stored
LONGEST_EXIF = 1 << 20
JPEG_NAMES = {b"Exif\0\0": "exif", b"http://ns.adobe.com/xap/1.0/\0": "xmp"}


def open_without_odd_metadata(path):
    """(image, bytes that it is read from) of the file at `path`, or None if the metadata are not what is wrong with it.

    EXIF and XMP are kept where they can be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    rebuild = _avif if data[4:8] == b"ftyp" else REBUILD.get(data[:2])
    if rebuild is None:
        return None
    try:
        rest, info = rebuild(data)
        image = Image.open(io.BytesIO(rest))
    except Exception:
        return None
    if rebuild is _avif:
        info = _with_orientation(info, image.getexif().get(exif.ORIENTATION, 1))
    image.info |= info
    return image, rest


def _jpeg(data):
    """Only colour profile and the segments that say how pixels are stored; EXIF and XMP beside it."""
    kept, info, place = [data[:2]], {}, 2
    while data[place:place + 1] == b"\xff" and (marker := data[place + 1]) != 0xDA:
        end = place + 2 + struct.unpack_from(">H", data, place + 2)[0]
        segment = data[place + 4:end]
        is_metadata = marker in METADATA_MARKERS
        if not is_metadata or (segment.startswith(b"ICC_PROFILE\0") and len(segment) > 14):
            kept.append(data[place:end])
        for name, key in JPEG_NAMES.items():
            if marker == 0xE1 and segment.startswith(name):
                info[key] = info.get(key, b"") + segment[len(name):]
        place = end
    return b"".join(kept) + data[place:], info


def _png(data):
    """Without texts and profiles that are damaged or unfold to more than the reader's bounds."""
    kept, room = [PNG_SIGNATURE], PngImagePlugin.MAX_TEXT_MEMORY
    for kind, chunk in png_chunks(data):
        if kind[0] & 32:  # a lower-case letter: not needed for the pixels
            length = _unfolded(kind, chunk)
            if length is None or length > room:
                continue
            room -= length
        kept.append(chunk)
    return b"".join(kept), {}


def _unfolded(kind, chunk):
    """How many bytes a PNG's chunk unfolds to; None if it is damaged or they are more than the reader's bound."""
    body, checksum = chunk[8:-4], chunk[-4:]
    if zlib.crc32(chunk[4:-4]).to_bytes(4, "big") != checksum:
        return None
    rest = body.partition(b"\0")[2]
    if kind in (b"zTXt", b"iCCP"):
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]
    else:
        return len(body)
    unfold = zlib.decompressobj()
    try:
        length = len(unfold.decompress(packed, PngImagePlugin.MAX_TEXT_CHUNK))
    except zlib.error:
        return None
    return None if unfold.unconsumed_tail else length


def _tiff(data):
    """Only the tags that say how the pixels are stored. Those of EXIF are read from the file itself."""
    return exif.with_tags(data, lambda number: number in metadata.STORAGE_TAGS or number == metadata.ICC_TAG), {}


def _avif(data):
    """Without EXIF, which stands beside it; the item's type is changed, so that all places stay."""
    start = next((place for head in (b"Exif\0\0II*\0", b"Exif\0\0MM\0*") if (place := data.find(head)) >= 0), None)
    info = {} if start is None else {"exif": data[start:start + LONGEST_EXIF]}
    return re.sub(rb"(infe.{8})Exif", rb"\1none", data, count=1, flags=re.DOTALL), info


def _with_orientation(info, orientation):
    """EXIF with the orientation that the decoder found elsewhere: the pixels are not turned yet."""
    tags = exif.parse(info.get("exif", b""))
    tags.put(exif.ORIENTATION, exif.SHORT, orientation)
    return {"exif": tags.tobytes()[0]}


def png_chunks(png):
    """(kind, whole chunk) of each chunk of a PNG's bytes."""
    place = 8
    while place + 12 <= len(png):
        end = place + 12 + int.from_bytes(png[place:place + 4], "big")
        yield png[place + 4:place + 8], png[place:end]
        place = end


REBUILD = {b"\xff\xd8": _jpeg, PNG_SIGNATURE[:2]: _png, b"II": _tiff, b"MM": _tiff}   # by a file's first two bytes
