"""EXIF tags are copied as they are; one that is odd costs no other."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from sample_photos import RGB, round_trip

from ageing.photos import exif
from ageing.photos.metadata import EDITED_MARK

# (directory, None: the first one, number, type, value): tags with a type, count or value that is not theirs.
ODD = [(None, 0x128, 1, b"\2"), (None, 0x213, 4, struct.pack("<L", 70_000)), (None, 0x110, 12, bytes(8)),
       (None, 0x11A, 5, bytes(8)), (None, 0x132, 3, b"A" * 8), (exif.EXIF, 0x829A, 11, b"\xff" * 40_000),
       (exif.EXIF, 0x9000, 10, b"\xff" * 16), (exif.EXIF, 0xA002, 2, b"A\0"), (exif.EXIF, exif.INTEROP, 7, b"R98"),
       (exif.GPS, 2, 2, b"48 N"), (exif.GPS, 7, 9, bytes(4))]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_an_odd_tag_costs_neither_the_others_nor_the_orientation(tmp_path, suffix, odd):
    directory, number, kind, value = odd
    tags = camera_tags()
    (tags.tags[directory] if directory else tags.tags)[number] = exif.Tag(kind, value)
    if suffix == ".tif":
        Image.fromarray(RGB).save(tmp_path / "in.tif")
        exif.add_to_tiff(tmp_path / "in.tif", tags.tags)
    else:
        Image.fromarray(RGB).save(tmp_path / f"in{suffix}", exif=tags.tobytes())
    keeps_camera_tags(tmp_path / f"in{suffix}")


@pytest.mark.parametrize(("kind", "count"), [(2, 0xFFFFFFFF), (99, 11)])
def test_a_tag_without_a_value_costs_no_other_and_is_told(tmp_path, kind, count):
    tags = camera_tags()
    tags.put(0x10E, exif.TEXT, b"a long text")
    before, after = (struct.pack("<HHL", 0x10E, *how) for how in ((exif.TEXT, 12), (kind, count)))
    Image.fromarray(RGB).save(tmp_path / "in.jpg", exif=tags.tobytes().replace(before, after))
    assert keeps_camera_tags(tmp_path / "in.jpg").notes == ["not kept: 1 damaged EXIF tag"]


def camera_tags():
    tags = exif.Exif()
    tags.put(0x10F, exif.TEXT, b"Camera")
    tags.put(exif.ORIENTATION, exif.SHORT, 6)
    tags.put(0x9003, exif.TEXT, b"2026:11:24 12:00:00", inside=exif.EXIF)
    tags.put(29, exif.TEXT, b"2026:11:24", inside=exif.GPS)
    return tags


def keeps_camera_tags(path):
    """The Photo at `path`, after looks at what is written for it."""
    photo, _ = round_trip(path)
    assert photo.rgb.shape == (60, 40, 3)
    with Image.open(path.with_name(f"out{path.suffix}")) as image:
        written = image.getexif()
        assert (written[0x10F], written[exif.SOFTWARE]) == ("Camera", EDITED_MARK)
        assert written.get_ifd(exif.EXIF)[0x9003] == "2026:11:24 12:00:00"
        assert written.get_ifd(exif.GPS)[29] == "2026:11:24"
    return photo


@pytest.mark.parametrize(("kind", "data"), [(1, b"\6"), (3, b"\6\0"), (4, b"\6\0\0\0"), (6, b"\6"),
                                            (9, b"\6\0\0\0"), (5, b"\6\0\0\0\1\0\0\0"), (3, b"\6\0\6\0\6\0")])
def test_orientation_of_any_type_is_read(kind, data):
    assert exif.Exif({exif.ORIENTATION: exif.Tag(kind, data)}).orientation() == 6


@pytest.mark.parametrize("data", [b"\0\0", b"\x09\0", b"\xff\xff"])
def test_an_orientation_that_does_not_exist_is_none(data):
    assert exif.Exif({exif.ORIENTATION: exif.Tag(3, data)}).orientation() is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_values_come_back_to_the_byte(order):
    tags = exif.Exif(order=order)
    tags.put(0x10F, exif.TEXT, b"Camera")
    tags.put(exif.X_RESOLUTION, exif.RATIONAL, 300, 7)
    tags.put(0x9003, exif.TEXT, b"2026:11:24 12:00:00", inside=exif.EXIF)
    tags.put(0, exif.BYTE, 2, 3, 0, 0, inside=exif.GPS)
    tags.tags[exif.EXIF][exif.INTEROP] = {1: exif.Tag(exif.TEXT, b"R98\0")}
    tags.tags[exif.EXIF][0x927C] = exif.Tag(7, b"odd length!")
    again = exif.parse(tags.tobytes())
    assert again == tags
    pillow = Image.Exif()
    pillow.load(tags.tobytes())
    assert pillow[exif.X_RESOLUTION] == 300 / 7
    assert pillow.get_ifd(ExifTags.IFD.Interop)[1] == "R98"


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_are_added_to_any_tiff(tmp_path, order):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", byteorder=order, metadata=None, software="before")
    tags = exif.Exif(order=">")
    tags.put(exif.SOFTWARE, exif.TEXT, b"after")
    tags.put(0xC612, exif.SHORT, 1, 2, 3, 4, 5)
    tags.put(0x9003, exif.TEXT, b"2026:11:24 12:00:00", inside=exif.EXIF)
    exif.add_to_tiff(path, tags.tags)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.pages[0].asarray(), RGB)
        assert file.pages[0].tags[exif.SOFTWARE].value == "after"
        assert file.pages[0].tags[0xC612].value == (1, 2, 3, 4, 5)
        assert file.pages[0].tags[exif.EXIF].value["DateTimeOriginal"] == "2026:11:24 12:00:00"


@pytest.mark.parametrize("next_one", ["self", "long"])
def test_chains_of_directories_end(next_one):
    count = 20_000
    size = 6
    places = [8 + size * (i + 1) for i in range(count)] if next_one == "long" else [8]
    data = b"II*\0\x08\0\0\0" + b"".join(struct.pack("<HL", 0, place) for place in places)
    assert exif.read(io.BytesIO(data)).pages == (exif.MOST_PAGES if next_one == "long" else 1)


def test_entries_that_share_one_large_value_stay_within_the_bound():
    value, count = bytes(4 << 20), 500
    entries = b"".join(struct.pack("<HHLL", 1000 + i, 1, len(value), 16) for i in range(count))
    data = b"II*\0" + struct.pack("<L", 16 + len(value)) + bytes(8) + value + struct.pack("<H", count) + entries
    found = exif.read(io.BytesIO(data + bytes(4)))
    assert sum(len(tag.data) for tag in found.tags.values()) <= exif.MOST_BYTES
    assert found.lost == count - 8


def test_the_size_of_a_turned_photo_is_told(tmp_path):
    tags = exif.Exif()
    tags.put(exif.ORIENTATION, exif.SHORT, 6)
    tags.put(exif.PIXEL_WIDTH, exif.SHORT, 60, inside=exif.EXIF)
    tags.put(exif.PIXEL_HEIGHT, exif.SHORT, 40, inside=exif.EXIF)
    Image.fromarray(RGB).save(tmp_path / "in.jpg", exif=tags.tobytes())
    round_trip(tmp_path / "in.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        inside = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert image.size == (inside[exif.PIXEL_WIDTH], inside[exif.PIXEL_HEIGHT]) == (40, 60)
