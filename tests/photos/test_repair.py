"""Photos whose metadata Pillow cannot read are read without them."""

import io
import zlib

import numpy as np
import odd_tags
import pytest
import tifffile
from PIL import ExifTags, Image
from sample_photos import RGB, exif, round_trip

from ageing.photos import photo_file, repair


def test_texts_are_kept_until_the_bound(tmp_path):
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    data, body = file.getvalue(), zlib.compress(bytes(15 << 20), 1)
    chunks = b""
    for i in range(6):
        chunk = b"zTXt" + b"k%d\0\0" % i + body
        chunks += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "in.png").write_bytes(data[:33] + chunks + data[33:])
    photo = photo_file.read(tmp_path / "in.png")
    np.testing.assert_array_equal(photo.rgb, RGB)
    assert set(photo.meta["text"]) == {"k0", "k1", "k2", "k3"}
    assert photo.notes == ["not kept: damaged metadata"]


def test_a_jpeg_keeps_exif_xmp_and_profile(tmp_path):
    odd_tags.as_jpeg(tmp_path / "in.jpg", RGB, odd_tags.odd_exif("first", 0x110, 2, 3, b"x"))
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x/>"
    data = (tmp_path / "in.jpg").read_bytes()
    more = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp + b"\xff\xed\0\x14Photoshop 3.0\0" b"8BIM"
    (tmp_path / "in.jpg").write_bytes(data[:2] + more + data[2:])
    image, rest = repair.open_without_odd_metadata(tmp_path / "in.jpg")
    assert image.size == (60, 40)
    assert b"Photoshop" not in rest
    assert image.info["xmp"] == b"<x/>"
    assert b"Camera" in image.info["exif"]


def test_what_is_damaged_beside_the_metadata_is_not_repaired(tmp_path):
    (tmp_path / "in.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    assert repair.open_without_odd_metadata(tmp_path / "in.jpg") is None
    (tmp_path / "in.txt").write_bytes(b"text")
    assert repair.open_without_odd_metadata(tmp_path / "in.txt") is None


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_avif_with_an_odd_tag_keeps_exif_and_orientation(tmp_path, orientation):
    """Orientation of an AVIF stands outside of EXIF; Pillow writes it into EXIF, anew, and fails on odd tags."""
    Image.fromarray(RGB).save(tmp_path / "in.avif", exif=exif(Orientation=orientation, ResolutionUnit=2), quality=95)
    data = (tmp_path / "in.avif").read_bytes()
    as_byte = data.replace(b"\1\x28\0\3\0\0\0\1", b"\1\x28\0\1\0\0\0\1")
    assert as_byte != data
    (tmp_path / "in.avif").write_bytes(as_byte)
    _, after = round_trip(tmp_path / "in.avif")
    assert after.rgb.shape == ((60, 40, 3) if orientation == 6 else RGB.shape)
    with Image.open(tmp_path / "out.avif") as image:
        assert image.getexif()[ExifTags.Base.Make] == "Camera & Sons"


def test_a_deep_tiff_with_an_odd_tag_is_read(tmp_path):
    deep = RGB.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "in.tif", deep, photometric="rgb", metadata=None,
                     extratags=[(0x212, 3, 2, (7, 9), True)])
    np.testing.assert_array_equal(photo_file.read(tmp_path / "in.tif").native, deep)
