"""EXIF with one odd tag: a wrong type, count or value in one of its directories. Run it to try all of them.

    PYTHONPATH=. python tests/photos/odd_tags.py [every N-th [.jpg .png .webp .tif]]
"""

import io
import itertools
import struct
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from ageing.photos import exif, photo_file

SIZES = exif.SIZES
EXIF, GPS, INTEROP = 34665, 34853, 40965
MAKE, ORIENTATION, DATE = 0x10F, 0x112, 0x9003
DIRECTORIES = {
    "first": (0x10E, 0x110, 0x112, 0x11A, 0x11B, 0x128, 0x12D, 0x131, 0x132, 0x13B, 0x13E, 0x13F, 0x211, 0x212, 0x213,
              0x214, 0x4746, 0x8298, 0x83BB, 0x8649, 0x9C9B, 0x9C9C, 0xC4A5, 0xC614),
    "exif": (0x829A, 0x829D, 0x8822, 0x8824, 0x8827, 0x8828, 0x8830, 0x9000, 0x9010, 0x9101, 0x9102, 0x9201, 0x9204,
             0x9209, 0x9214, 0x927C, 0x9286, 0x9290, 0xA000, 0xA001, 0xA002, 0xA003, 0xA20B, 0xA214, 0xA302, 0xA404,
             0xA420, 0xA432, 0xA434, 0x8897),
    "gps": (0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 27, 29, 30, 31),
    "interop": (1, 2, 0x1000, 0x1001, 0x1002),
    "thumbnail": (0x103, 0x11A, 0x201, 0x202, 0x112, 0x111),
}
POINTERS = (EXIF, GPS)
KINDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 99)
COUNTS = (0, 1, 2, 3, 4, 9, 20_000, 0xFFFFFFFF)
VALUES = (b"\0", b"\xff", b"A", b"\x01\0")


def cases():
    """Each (name, directory, tag number, type, count, value bytes)."""
    for where, numbers in DIRECTORIES.items():
        for number in numbers:
            for kind in KINDS:
                for count in COUNTS if where != "thumbnail" else COUNTS[1:4]:
                    for value in VALUES if count in (1, 2, 3) else VALUES[1:2]:
                        name = f"{where} {number:#x} type {kind} x {count} {value.hex()}"
                        yield name, where, number, kind, count, value
    for number in POINTERS:
        for kind in KINDS:
            for value in (0, 1, 8, 7777, 0xFFFFFFFF):
                yield f"pointer {number:#x} type {kind} {value}", "first", number, kind, 1, struct.pack("<L", value)


def odd_exif(where, number, kind, count, value, orientation=6):
    """EXIF bytes with the odd tag, and beside it: make and orientation, date, GPS version, interoperability index."""
    tags = {"first": {MAKE: (2, 7, b"Camera\0"), ORIENTATION: (3, 1, struct.pack("<H", orientation))},
            "exif": {DATE: (2, 20, b"2026:11:24 12:00:00\0")},
            "gps": {0: (1, 4, b"\2\3\0\0"), 29: (2, 11, b"2026:11:24\0")},
            "interop": {1: (2, 4, b"R98\0")}, "thumbnail": {0x103: (3, 1, b"\6\0")}}
    length = SIZES.get(kind, 1) * count
    data = (value * (length // len(value) + 1))[:length] if length < 60_000 else value
    tags[where][number] = (kind, count, data)
    return b"Exif\0\0II*\0\x08\0\0\0" + packed(tags)


def packed(tags):
    """The bytes of all directories from place 8."""
    order = ("first", "exif", "interop", "gps", "thumbnail")
    place, places = 8, {}
    pointers = {"first": {EXIF: "exif", GPS: "gps"}, "exif": {INTEROP: "interop"}}
    for name in order:
        places[name] = place
        own = {**dict.fromkeys(pointers.get(name, {}), (4, 1, b"0000")), **tags[name]}
        place += 6 + 12 * len(own) + sum(len(data) + len(data) % 2 for _, _, data in own.values() if len(data) > 4)
    out = b""
    for name in order:
        own = {number: (4, 1, struct.pack("<L", places[target])) for number, target in pointers.get(name, {}).items()}
        own |= tags[name]
        at = places[name] + 6 + 12 * len(own)
        entries, values = struct.pack("<H", len(own)), b""
        for number, (kind, count, data) in sorted(own.items()):
            inline = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<L", at + len(values))
            entries += struct.pack("<HHL", number, kind, count) + inline
            values += data + bytes(len(data) % 2) if len(data) > 4 else b""
        following = places["thumbnail"] if name == "first" else 0
        out += entries + struct.pack("<L", following) + values
    return out


def as_jpeg(path, pixels, data):
    Image.fromarray(pixels).save(path, quality=90)
    jpeg = path.read_bytes()
    if len(data) < 65_000:
        path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:])


def as_tiff(path, pixels, data):
    """A TIFF whose first directory also has the tags of EXIF bytes, as they are."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF")
    own = file.getvalue()
    shift = len(own) + len(own) % 2
    at = struct.unpack_from("<L", own, 4)[0]
    count = struct.unpack_from("<H", own, at)[0]
    entries = {struct.unpack_from("<H", own, at + 2 + 12 * i)[0]: own[at + 2 + 12 * i:at + 14 + 12 * i]
               for i in range(count)}
    data = bytearray(data[6:])
    moved(data, struct.unpack_from("<L", data, 4)[0], shift)
    first = struct.unpack_from("<H", data, 8)[0]
    odd = {struct.unpack_from("<H", data, 10 + 12 * i)[0]: bytes(data[10 + 12 * i:22 + 12 * i]) for i in range(first)}
    entries = {**odd, **entries}
    directory = struct.pack("<H", len(entries)) + b"".join(entries[n] for n in sorted(entries)) + bytes(4)
    whole = bytearray(own.ljust(shift, b"\0") + data + directory)
    struct.pack_into("<L", whole, 4, shift + len(data))
    path.write_bytes(whole)


def moved(data, place, shift):
    """Add `shift` to all offsets of a directory and of those inside it."""
    for i in range(struct.unpack_from("<H", data, place)[0]):
        at = place + 2 + 12 * i
        number, kind, count, value = struct.unpack_from("<HHLL", data, at)
        if number in (EXIF, GPS, INTEROP) and kind == 4:
            if value < len(data) - 20:
                moved(data, value, shift)
            struct.pack_into("<L", data, at + 8, (value + shift) & 0xFFFFFFFF)
        elif SIZES.get(kind, 1) * count > 4:
            struct.pack_into("<L", data, at + 8, (value + shift) & 0xFFFFFFFF)


def faults(folder, suffix, where, number, kind, count, value):
    """[what went wrong] in reading, editing and writing a photo with the odd tag."""
    source, target = Path(folder) / f"in{suffix}", Path(folder) / f"out{suffix}"
    pixels = np.full((8, 16, 3), 90, np.uint8)
    pixels[:, 8:] = 160
    data = odd_exif(where, number, kind, count, value)
    if suffix == ".tif":
        as_tiff(source, pixels, data)
    elif suffix == ".jpg":
        as_jpeg(source, pixels, data)
    else:
        Image.fromarray(pixels).save(source, exif=data, **({"lossless": True} if suffix == ".webp" else {}))
    photo = photo_file.read(source)
    photo_file.save(target, photo, photo.native)
    wrong = []
    if number != ORIENTATION or where != "first":
        upright = np.rot90(pixels, -1)
        if photo.rgb.shape != upright.shape or np.abs(photo.rgb.astype(int) - upright).max() > 12:
            wrong.append("orientation")
    with Image.open(target) as image:
        tags = image.getexif()
        expected = {"make": (tags.get(MAKE), "Camera")}
        inside = tags.get_ifd(EXIF)
        if not (where == "first" and number == EXIF):
            expected["date"] = (inside.get(DATE), "2026:11:24 12:00:00")
            if INTEROP in inside and number != 1:
                expected["interoperability"] = (tags.get_ifd(INTEROP).get(1), "R98")
        if not (where == "first" and number == GPS) and not (where == "gps" and number == 29):
            expected["gps"] = (tags.get_ifd(GPS).get(29), "2026:11:24")
        wrong += [name for name, (found, right) in expected.items() if found != right]
        if "faces in this picture were changed" not in str(tags.get(0x131)):
            wrong.append("mark")
        image.load()
    return wrong


def main(suffixes, every=1):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for suffix in suffixes or (".jpg", ".png", ".webp", ".tif"):
            tried = failed = 0
            for name, *case in itertools.islice(cases(), 0, None, every):
                tried += 1
                try:
                    wrong = faults(folder, suffix, *case)
                except Exception as error:
                    wrong = [f"{type(error).__name__}: {error}"]
                if wrong:
                    failed += 1
                    print(suffix, name, wrong)
            print(f"{suffix}: {failed} of {tried} lost something")


if __name__ == "__main__":
    main(sys.argv[2:], int(*sys.argv[1:2] or '1'))
