"""Photos with 16 bits a channel keep them."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from sample_photos import RGB, RNG, exif, round_trip, stored_as

from ageing.photos import photo_file
from ageing.photos.metadata import EDITED_MARK


def png_with_exif(pixels, tags):
    """The bytes of a PNG of uint16 `pixels`, BGR, with the Exif `tags`."""
    tags = tags.tobytes().removeprefix(b"Exif\0\0")
    _, data = cv2.imencodeWithMetadata(".png", pixels, [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(tags, np.uint8)])
    return data.tobytes()


@pytest.mark.parametrize(("channels", "suffix"), [(1, ".png"), (3, ".png"), (4, ".png"), (1, ".tif"), (3, ".tif"),
                                                  (4, ".tif")])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, channels, suffix):
    deep = RNG.integers(8000, 50000, (40, 60, channels), np.uint16).squeeze()
    path = tmp_path / f"in{suffix}"
    cv2.imwrite(str(path), deep)
    before, after = round_trip(path)
    assert after.native.dtype == np.uint16
    change = after.native.astype(int) - before.native
    assert not np.delete(change, np.s_[10:20], axis=0).any()
    coloured = change[10:20, 15:40] if channels < 4 else change[10:20, 15:40, :3]
    assert np.all(coloured == 25 * 257)
    stored = cv2.imread(str(path.with_name(f"out{suffix}")), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[:10], deep[:10])
    with Image.open(path.with_name(f"out{suffix}")) as image:
        assert EDITED_MARK in image.getexif()[ExifTags.Base.Software]


def test_writing_leaves_the_pixels_as_they_are(tmp_path):
    deep = RNG.integers(0, 65536, (40, 60, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "in.png"), deep)
    photo = photo_file.read(tmp_path / "in.png")
    photo_file.save(tmp_path / "out.png", photo, photo.native)
    np.testing.assert_array_equal(photo.native, deep[..., ::-1])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_metadata(tmp_path, suffix):
    deep = RNG.integers(8000, 50000, (40, 60, 3), np.uint16)
    path = tmp_path / f"in{suffix}"
    if suffix == ".png":
        path.write_bytes(png_with_exif(deep, exif(Artist="Müller".encode())))
    else:
        tifffile.imwrite(path, deep, photometric="rgb", metadata=None, resolution=(300, 300), resolutionunit="INCH",
                         extratags=[(0x10F, 2, 0, "Camera & Sons", True), (0x13B, 2, 0, "Müller".encode(), True)])
    round_trip(path)
    with Image.open(path.with_name(f"out{suffix}")) as image:
        tags = image.getexif()
        assert tags[ExifTags.Base.Make] == "Camera & Sons"
        assert tags[ExifTags.Base.Artist].encode("latin-1").decode() == "Müller"
        assert EDITED_MARK in tags[ExifTags.Base.Software]
        assert suffix == ".png" or image.info["dpi"] == (300, 300)
    assert b"compositeWithTrainedAlgorithmicMedia" in path.with_name(f"out{suffix}").read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, orientation):
    path = tmp_path / "in.png"
    deep = stored_as(RGB, orientation)[..., ::-1].astype(np.uint16) * 257
    path.write_bytes(png_with_exif(deep, exif(Orientation=orientation)))
    before, after = round_trip(path)
    np.testing.assert_array_equal(before.rgb, RGB)
    np.testing.assert_array_equal(after.native[:10], before.native[:10])
    with Image.open(path.with_name("out.png")) as image:
        assert image.size == (60, 40)
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_eight_bit_tiff_is_not_taken_for_sixteen(tmp_path):
    """Pillow's tile of a compressed TIFF holds the file's offset, which may contain the digits 16."""
    for i in range(20):
        pixels = np.random.default_rng(i).integers(0, 256, (9 + i, 31, 4), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in.tif", compression="tiff_lzw")
        np.testing.assert_array_equal(photo_file.read(tmp_path / "in.tif").native, pixels)
