"""The tags of EXIF and TIFF as raw bytes. A tag is copied as it is, whatever its type, count or value.

Layout: TIFF revision 6.0, section 2. A directory is {number: Tag or directory}.
"""

import dataclasses
import io
import struct

import numpy as np

EXIF, GPS, INTEROP = 34665, 34853, 40965    # tags that point to a directory
POINTERS = {EXIF, GPS, INTEROP}
ORIENTATION, SOFTWARE, MAKER_NOTE, MICRO_VIDEO = 274, 305, 37500, 34967
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
PIXEL_WIDTH, PIXEL_HEIGHT = 40962, 40963
BYTE, TEXT, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5
# struct's code of one value, by type; a rational has two numbers.
CODES = {1: "B", 2: "s", 3: "H", 4: "L", 5: "LL", 6: "b", 7: "s", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L"}
SIZES = {kind: struct.calcsize("<" + code) for kind, code in CODES.items()}
MOST_BYTES = 32 << 20       # of all values together: the entries of a hostile file can share one large value
MOST_PAGES = 10_000         # of a document
HEADER = b"Exif\0\0"


@dataclasses.dataclass(frozen=True)
class Tag:
    """A value as it is stored, but always with the lowest byte first. kind: TIFF's type, a key of CODES."""

    kind: int
    data: bytes

    @property
    def number(self):
        """Its first value; of a fraction the quotient. None if it is no number."""
        code = CODES[self.kind]
        if code == "s":
            return None
        first, *below = struct.unpack("<" + code, self.data[:SIZES[self.kind]])
        if below:
            return first / below[0] if below[0] else None
        return first


@dataclasses.dataclass
class Exif:
    """All tags of a photo. order: "<" or ">", how they are written.

    lost: how many tags could not be read. pages: how many pictures the file holds, at most MOST_PAGES are counted.
    """

    tags: dict = dataclasses.field(default_factory=dict)
    order: str = "<"
    lost: int = 0
    pages: int = 1

    def number(self, number):
        """The first value of tag `number`, or None."""
        tag = self.tags.get(number)
        return tag.number if isinstance(tag, Tag) else None

    def orientation(self):
        """1 to 8, or None if there is none."""
        value = self.number(ORIENTATION)
        return int(value) if value in range(1, 9) else None

    def dpi(self):
        """(horizontal, vertical) pixels an inch, or None."""
        per_inch = {None: 1, 2: 1, 3: 2.54}.get(self.number(RESOLUTION_UNIT))
        both = [self.number(number) for number in (X_RESOLUTION, Y_RESOLUTION)]
        return None if None in (*both, per_inch) else tuple(value * per_inch for value in both)

    def put(self, number, kind, *values, inside=None):
        """Set a tag. inside: the directory's tag; None: the first directory."""
        tags = self.tags if inside is None else self.tags.setdefault(inside, {})
        codes = "<" + CODES[kind] * (len(values) // len(CODES[kind]))
        tags[number] = Tag(kind, values[0] + b"\0" if kind == TEXT else struct.pack(codes, *values))

    def remove(self, unwanted):
        """Remove the tags, in all directories, for which `unwanted`(number, Tag) is true. Whether there are any."""
        before, self.tags = self.tags, _without(self.tags, unwanted)
        return self.tags != before

    def tobytes(self):
        """Bytes with EXIF's header."""
        head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[self.order]
        return HEADER + head + _packed(self.tags, self.order, len(head))


def parse(data, wanted=None):
    """The Exif in `data`, bytes with or without EXIF's header; an empty one if it is damaged."""
    while data.startswith(HEADER):
        data = data[len(HEADER):]
    return read(io.BytesIO(data), wanted)


def read(file, wanted=None):
    """The Exif of an open TIFF file. wanted: tells for each tag number whether it is read; None: all are.

    Tags of unknown types, and those whose values lie beyond the end, are counted as lost.
    """
    head = _head(file)
    if head is None:
        return Exif(lost=1)
    order, place = head
    exif, seen = Exif(order=order), {place}
    exif.tags, place = _directory(file, place, exif, wanted, [MOST_BYTES])
    while place and place not in seen and len(seen) < MOST_PAGES:
        seen.add(place)
        place = _directory(file, place, Exif(order=order), lambda number: False, [0])[1]
    exif.pages = len(seen)
    return exif


def add_to_tiff(path, added):
    """Add `added`, {number: Tag or directory}, to the TIFF file at `path`, in place of tags that it has."""
    with open(path, "r+b") as file:
        order, place = _head(file)
        tags, following = _directory(file, place, Exif(order=order), None, [1 << 40])
        end = file.seek(0, io.SEEK_END)
        end += file.write(bytes(end % 2))
        file.write(_packed(tags | added, order, end, following))
        file.seek(4)
        file.write(struct.pack(order + "L", end))


def _head(file):
    """(byte order, place of the first directory) of an open TIFF file, or None."""
    file.seek(0)
    head = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    return (order, struct.unpack_from(order + "L", head, 4)[0]) if order and len(head) == 8 else None


def _directory(file, place, exif, wanted, room, depth=0):
    """(directory, place of the next one or 0). Adds to exif.lost. room: [bytes of values that may still be read]."""
    order, tags = exif.order, {}
    raw = _read_at(file, place, 2)
    if raw is None:
        exif.lost += 1
        return {}, 0
    count = struct.unpack(order + "H", raw)[0]
    entries, following = file.read(12 * count), file.read(4)
    whole = len(entries) // 12
    exif.lost += count - whole
    for number, kind, n, value in struct.iter_unpack(order + "HHL4s", entries[:12 * whole]):
        if number in tags or (wanted and not wanted(number)):
            continue
        length = n * SIZES.get(kind, 0)
        if length > 4:  # the value stands elsewhere
            offset = struct.unpack(order + "L", value)[0]
            value = _read_at(file, offset, length) if length <= room[0] else None
            room[0] -= length if value else 0
        if value is None or (n and not length):
            exif.lost += 1
        elif length:
            tags[number] = Tag(kind, _turned(value[:length], kind, order))
    for number in POINTERS & set(tags):
        place = tags.pop(number).number
        if depth < 2 and isinstance(place, int) and place > 0:
            inside = _directory(file, place, exif, wanted, room, depth + 1)[0]
            if inside:
                tags[number] = inside
        else:
            exif.lost += 1
    return tags, struct.unpack(order + "L", following)[0] if len(following) == 4 else 0


def _read_at(file, place, length):
    """`length` bytes of a file, or None if it ends before."""
    file.seek(place)
    data = file.read(length)
    return data if len(data) == length else None


def _packed(tags, order, start, following=0):
    """The bytes of a directory, and of those inside it, that will stand at `start`."""
    entries, values = [struct.pack(order + "H", len(tags))], []
    place = start + 6 + 12 * len(tags)
    for number, tag in sorted(tags.items()):
        if isinstance(tag, dict):
            kind, n, data = LONG, 1, _packed(tag, order, place)
        else:
            kind, n, data = tag.kind, len(tag.data) // SIZES[tag.kind], _turned(tag.data, tag.kind, order)
        if len(data) > 4:
            values.append(data + bytes(len(data) % 2))
            data = struct.pack(order + "L", place)
            place += len(values[-1])
        entries.append(struct.pack(order + "HHL4s", number, kind, n, data))
    return b"".join([*entries, struct.pack(order + "L", following), *values])


def _turned(data, kind, order):
    """The bytes of a tag in this order from those with the lowest byte first, or back."""
    width = struct.calcsize("<" + CODES[kind][0])
    return data if order == "<" or width == 1 else np.frombuffer(data, f">u{width}").astype(f"<u{width}").tobytes()


def _without(tags, unwanted):
    """A directory without the tags for which `unwanted`(number, Tag) is true."""
    return {number: _without(tag, unwanted) if isinstance(tag, dict) else tag for number, tag in tags.items()
            if isinstance(tag, dict) or not unwanted(number, tag)}
