"""The tags of EXIF and TIFF as raw bytes. A tag is copied as it is, whatever its type, count or value.

Layout: TIFF revision 6.0, section 2; BigTIFF has wider counts and offsets. A directory is {number: Tag or directory}.
"""

import dataclasses
import io
import struct

EXIF, GPS, INTEROP = 34665, 34853, 40965    # tags that point to a directory
POINTERS = {EXIF, GPS, INTEROP}
ORIENTATION, SOFTWARE, MAKER_NOTE, MICRO_VIDEO = 274, 305, 37500, 34967
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
RESOLUTION_TAGS = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
PIXEL_WIDTH, PIXEL_HEIGHT = 40962, 40963
BYTE, TEXT, SHORT, LONG, RATIONAL, LONG8 = 1, 2, 3, 4, 5, 16
# struct's codes of one value, by type.
CODES = {1: "B", 2: "s", 3: "H", 4: "L", 5: "LL", 6: "b", 7: "s", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L",
         16: "Q", 17: "q", 18: "Q"}
SIZES = {kind: struct.calcsize("<" + code) for kind, code in CODES.items()}
MOST_BYTES = 32 << 20       # of all values together: the entries of a hostile file can share one large value
MOST_PAGES = 10_000         # of a document that are counted
HEADER = b"Exif\0\0"


@dataclasses.dataclass(frozen=True)
class Tag:
    """A value as it is stored. kind: TIFF's type, a key of SIZES. data: bytes in the byte order of its Exif."""

    kind: int
    data: bytes


@dataclasses.dataclass
class Exif:
    """All tags of a photo. order: "<" or ">". lost: how many tags could not be read."""

    tags: dict = dataclasses.field(default_factory=dict)
    order: str = "<"
    lost: int = 0

    def copy(self):
        tags = {number: dict(tag) if isinstance(tag, dict) else tag for number, tag in self.tags.items()}
        return Exif(tags, self.order, self.lost)

    def number(self, number):
        """The first value of tag `number`, a number, or None."""
        tag = self.tags.get(number)
        return _number(tag, self.order) if isinstance(tag, Tag) else None

    def numbers(self, number):
        """All values of tag `number` that is of whole numbers; () if there is none."""
        tag = self.tags.get(number)
        if not isinstance(tag, Tag) or CODES[tag.kind] not in "BHLQ":
            return ()
        return struct.unpack(f"{self.order}{len(tag.data) // SIZES[tag.kind]}{CODES[tag.kind]}", tag.data)

    def orientation(self):
        """1 to 8, or None if there is none."""
        value = self.number(ORIENTATION)
        return int(value) if value in range(1, 9) else None

    def dpi(self):
        """(horizontal, vertical) pixels an inch, or None."""
        per_inch = {3: 2.54}.get(self.number(RESOLUTION_UNIT), 1)
        found = [self.number(number) for number in (X_RESOLUTION, Y_RESOLUTION)]
        return None if None in found else tuple(float(value) * per_inch for value in found)

    def put(self, number, kind, *values, inside=None):
        """Set a tag. inside: the directory's tag; None: the first directory."""
        tags = self.tags if inside is None else self.tags.setdefault(inside, {})
        codes = self.order + CODES[kind] * (len(values) // len(CODES[kind]))
        data = values[0] + b"\0" if kind == TEXT else struct.pack(codes, *values)
        tags[number] = Tag(kind, data)

    def remove(self, unwanted):
        """Remove the tags, in all directories, for which `unwanted`(number, Tag) is true. Whether there are any."""
        found = [(inside, number) for inside in (self.tags, *_directories(self.tags))
                 for number, tag in inside.items() if isinstance(tag, Tag) and unwanted(number, tag)]
        for inside, number in found:
            del inside[number]
        return bool(found)

    def tobytes(self, room=None):
        """(bytes with EXIF's header, how many tags were left out). The largest are left out until `room` suffices."""
        tags, left_out = self.copy().tags, 0
        while True:
            head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[self.order]
            data = HEADER + head + _pack(tags, self.order, len(head))
            excess = 0 if room is None else len(data) - room
            sizes = [(len(tag.data), -number, inside) for inside in (tags, *_directories(tags))
                     for number, tag in inside.items() if isinstance(tag, Tag) and number != SOFTWARE]
            if excess <= 0 or not sizes:
                return data, left_out
            for length, number, inside in sorted(sizes, key=lambda size: size[:2], reverse=True):
                if excess <= 0:
                    break
                del inside[-number]
                excess -= length
                left_out += 1


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
    order, big, place = head
    found = Exif(order=order)
    found.tags = _directory(file, place, big, found, wanted, [MOST_BYTES])[0]
    return found


def count_pages(file):
    """How many pictures an open TIFF file holds: at most MOST_PAGES are counted."""
    order, big, place = _head(file)
    seen = set()
    while place and place not in seen and len(seen) < MOST_PAGES:
        seen.add(place)
        place = _directory(file, place, big, Exif(order=order), lambda number: False, [0])[1]
    return len(seen)


def add_to_tiff(path, exif, replaced=()):
    """Add the tags of `exif` to the TIFF file at `path`. Of tags that it has, only those in `replaced` are replaced."""
    with open(path, "r+b") as file:
        order, big, place = _head(file)
        own = Exif(order=order)
        tags, following = _directory(file, place, big, own, None, [1 << 40])
        added = {number: tag for number, tag in exif.tags.items() if number not in tags or number in replaced}
        tags |= _in_order(added, exif.order, order)
        end = file.seek(0, io.SEEK_END)
        end += file.write(bytes(end % 2))
        file.write(_pack(tags, order, end, big, following))
        file.seek(8 if big else 4)
        file.write(struct.pack(order + ("Q" if big else "L"), end))


def with_tags(data, wanted):
    """A copy of a TIFF's bytes whose first directory has only the tags for whose numbers `wanted` is true."""
    file = io.BytesIO(data)
    order, big, place = _head(file)
    tags, following = _directory(file, place, big, Exif(order=order), wanted, [MOST_BYTES])
    end = len(data) + len(data) % 2
    at = 8 if big else 4
    data = data.ljust(end, b"\0") + _pack(tags, order, end, big, following)
    offset = struct.pack(order + ("Q" if big else "L"), end)
    return data[:at] + offset + data[at + len(offset):]


def _head(file):
    """(byte order, whether it is a BigTIFF, place of the first directory), or None."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    big = 0x2B in head[2:4]
    if big:
        return (order, big, struct.unpack_from(order + "Q", head, 8)[0]) if len(head) == 16 else None
    return order, big, struct.unpack_from(order + "L", head, 4)[0]


def _directory(file, place, big, found, wanted, budget, depth=0):
    """(directory, place of the next one or 0). Adds to found.lost. budget: [bytes that may still be read]."""
    order = found.order
    count_code, entry_code, inline, offset_code = ("Q", "HHQ", 8, "Q") if big else ("H", "HHL", 4, "L")
    head, size = struct.calcsize("<" + entry_code), struct.calcsize("<" + entry_code) + inline
    raw = _read_at(file, place, struct.calcsize("<" + count_code))
    if raw is None:
        found.lost += 1
        return {}, 0
    count = min(struct.unpack(order + count_code, raw)[0], 65535)
    entries = file.read(count * size)
    following = file.read(inline)
    found.lost += count - len(entries) // size
    tags = {}
    for at in range(0, len(entries) - size + 1, size):
        number, kind, n = struct.unpack_from(order + entry_code, entries, at)
        if number in tags or (wanted and not wanted(number)):
            continue
        value = entries[at + head:at + size]
        length = n * SIZES.get(kind, 0)
        if length > inline:
            offset = struct.unpack(order + offset_code, value)[0]
            value = _read_at(file, offset, length) if length <= budget[0] else None
            budget[0] -= length if value else 0
        if value is None or (n and not length):
            found.lost += 1
        elif length:
            tags[number] = Tag(kind, value[:length])
    for number in POINTERS & set(tags):
        place = _number(tags.pop(number), order)
        if depth < 2 and isinstance(place, int) and place > 0:
            inside = _directory(file, place, big, found, wanted, budget, depth + 1)[0]
            if inside:
                tags[number] = inside
        else:
            found.lost += 1
    return tags, struct.unpack(order + offset_code, following)[0] if len(following) == inline else 0


def _read_at(file, place, length):
    """`length` bytes of a file, or None if it ends before."""
    try:
        file.seek(place)
        data = file.read(length)
    except (OSError, OverflowError, ValueError):  # beyond what a file can have
        return None
    return data if len(data) == length else None


def _pack(tags, order, start, big=False, following=0):
    """The bytes of a directory, and of those inside it, that will stand at `start`."""
    count_code, entry_code, inline, offset_code = ("Q", "HHQ", 8, "Q") if big else ("H", "HHL", 4, "L")
    entry = struct.calcsize("<" + entry_code) + inline
    entries = [struct.pack(order + count_code, len(tags))]
    values = []
    place = start + len(entries[0]) + entry * len(tags) + inline
    for number, tag in sorted(tags.items()):
        if isinstance(tag, dict):
            kind, n, data = LONG8 if big else LONG, 1, _pack(tag, order, place, big)
        else:
            kind, n, data = tag.kind, len(tag.data) // SIZES[tag.kind], tag.data
        if isinstance(tag, dict) or len(data) > inline:
            value = struct.pack(order + offset_code, place)
            values.append(data + bytes(len(data) % 2))
            place += len(values[-1])
        else:
            value = data
        entries.append(struct.pack(order + entry_code, number, kind, n) + value.ljust(inline, b"\0"))
    entries.append(struct.pack(order + offset_code, following))
    return b"".join(entries + values)


def _number(tag, order):
    """The first value of a Tag as a number; None if it is none."""
    code, size = CODES[tag.kind], SIZES[tag.kind]
    if code == "s":
        text = tag.data.strip(b"\0 ")
        return int(text) if text.isdigit() and len(text) < 6 else None
    values = struct.unpack(order + code, tag.data[:size])
    if len(values) == 2:
        return values[0] / values[1] if values[1] else None
    return values[0]


def _in_order(tags, before, after):
    """A directory whose values have the byte order `after` in place of `before`."""
    if before == after:
        return tags
    swapped = {}
    for number, tag in tags.items():
        if isinstance(tag, dict):
            swapped[number] = _in_order(tag, before, after)
        else:
            width = struct.calcsize("<" + CODES[tag.kind][0])
            parts = [tag.data[at:at + width][::-1] for at in range(0, len(tag.data), width)]
            swapped[number] = Tag(tag.kind, b"".join(parts)) if width > 1 else tag
    return swapped


def _directories(tags):
    """All directories inside a directory."""
    for tag in tags.values():
        if isinstance(tag, dict):
            yield tag
            yield from _directories(tag)
