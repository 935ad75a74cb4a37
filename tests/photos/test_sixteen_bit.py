"""Photos with 16 bits a channel keep them."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from sample_photos import RGB, RNG, exif, round_trip, stored_as

from ageing.errors import UserError
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


GREY, COLOUR = RNG.integers(0, 65536, (37, 53), np.uint16), RNG.integers(0, 65536, (37, 53, 4), np.uint16)
PLANES = np.ascontiguousarray(COLOUR[..., :3].transpose(2, 0, 1))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("stored", "right", "how"), [
    (GREY, GREY, {"photometric": "minisblack"}),
    (GREY, GREY, {"photometric": "minisblack", "tile": (16, 16)}),
    (COLOUR[..., :3], COLOUR[..., :3], {"photometric": "rgb", "rowsperstrip": 7}),
    (COLOUR[..., :3], COLOUR[..., :3], {"photometric": "rgb", "tile": (16, 16)}),
    (PLANES, COLOUR[..., :3], {"photometric": "rgb", "planarconfig": "separate"}),
    (PLANES, COLOUR[..., :3], {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 7}),
    (PLANES, COLOUR[..., :3], {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16)}),
    (COLOUR[..., :2], COLOUR[..., :2], {"photometric": "minisblack", "planarconfig": "contig",
                                        "extrasamples": ["unassalpha"]}),
    (COLOUR, COLOUR, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    (COLOUR, COLOUR[..., :3], {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    (np.stack([COLOUR[..., :3], COLOUR[::-1, :, :3]]), COLOUR[..., :3], {"photometric": "rgb"})])
def test_every_kind_of_deep_tiff_is_read_right(tmp_path, stored, right, how, compression, byteorder):
    tifffile.imwrite(tmp_path / "in.tif", stored, metadata=None, compression=compression, byteorder=byteorder, **how)
    before, after = round_trip(tmp_path / "in.tif", bands=[])
    assert before.native.dtype == np.uint16
    np.testing.assert_array_equal(before.native, right)
    np.testing.assert_array_equal(after.native, right)
    assert after.mode == before.mode


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_predictor_is_undone(tmp_path, byteorder):
    tifffile.imwrite(tmp_path / "in.tif", COLOUR[..., :3], photometric="rgb", compression="zlib", predictor=True,
                     byteorder=byteorder)
    np.testing.assert_array_equal(photo_file.read(tmp_path / "in.tif").native, COLOUR[..., :3])


def test_lzw_is_read_right(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "in.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(photo_file.read(tmp_path / "in.tif").native, GREY)


def test_colours_that_are_multiplied_with_alpha_are_divided_again(tmp_path):
    alpha = RNG.integers(0, 65536, (37, 53, 1), np.uint16)
    stored = np.dstack([np.rint(COLOUR[..., :3] * (alpha / 65535)), alpha]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", stored, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
    before, after = round_trip(tmp_path / "in.tif", bands=[])
    np.testing.assert_array_equal(before.native[..., 3], alpha[..., 0])
    seen = alpha[..., 0] > 20_000
    assert np.abs(before.native[seen][:, :3].astype(int) - COLOUR[seen][:, :3]).max() <= 2
    np.testing.assert_array_equal(after.native, before.native)


def test_inks_of_sixteen_bits_become_eight_and_that_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", COLOUR, photometric="separated", metadata=None)
    photo = photo_file.read(tmp_path / "in.tif")
    assert photo.mode == "CMYK"
    np.testing.assert_array_equal(photo.native, COLOUR >> 8)
    assert photo.notes == ["its 16 bits a channel became 8"]


@pytest.mark.parametrize(("pixels", "how"), [
    (GREY.view(np.int16), {}), (GREY.astype(np.int8), {}), (COLOUR[..., :3].astype(np.int8), {"photometric": "rgb"}),
    (GREY.astype(np.uint32), {}), (GREY.astype(np.float32), {}), ((GREY >> 1).astype(np.float16), {}),
    (COLOUR[..., :3].astype(np.float32), {"photometric": "rgb"}), (COLOUR[..., :3], {"photometric": "cielab"}),
    (COLOUR[..., :3], {"photometric": "ycbcr"}),
    (np.dstack([COLOUR, GREY]), {"photometric": "rgb", "extrasamples": ["unassalpha", "unspecified"]}),
    (np.ascontiguousarray(COLOUR.transpose(2, 0, 1)), {"photometric": "separated", "planarconfig": "separate"}),
    (GREY, {"photometric": "miniswhite"}), (GREY, {"bigtiff": True}),
    (GREY, {"photometric": "palette", "colormap": RNG.integers(0, 65536, (3, 65536), np.uint16)})])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_what_would_be_read_wrong_is_refused_in_one_line(tmp_path, pixels, how, byteorder):
    tifffile.imwrite(tmp_path / "in.tif", pixels, metadata=None, byteorder=byteorder,
                     **{"photometric": "minisblack"} | how)
    with pytest.raises(UserError, match=r"in.tif: .* cannot be read here; save it as"):
        photo_file.read(tmp_path / "in.tif")


@pytest.mark.parametrize(("number", "before", "after", "said"), [
    (259, 1, 5, "16-bit colour planes in this compression"), (258, 16, 12, "12-bit pixels")])
def test_what_no_package_here_reads_is_refused(tmp_path, number, before, after, said):
    pixels, how = (PLANES, {"photometric": "rgb", "planarconfig": "separate"}) if number == 259 else (GREY, {})
    tifffile.imwrite(tmp_path / "in.tif", pixels, metadata=None, **how)
    data = (tmp_path / "in.tif").read_bytes()
    old, new = (struct.pack("<HHLHH", number, 3, 1, value, 0) for value in (before, after))
    assert old in data
    (tmp_path / "in.tif").write_bytes(data.replace(old, new))
    with pytest.raises(UserError, match=rf"in.tif: {said} cannot be read here"):
        photo_file.read(tmp_path / "in.tif")


def test_a_deep_tiff_that_is_cut_is_damaged(tmp_path):
    for compression in (None, "zlib"):
        tifffile.imwrite(tmp_path / "in.tif", COLOUR, photometric="rgb", compression=compression, metadata=None,
                         extrasamples=["unassalpha"])
        data = (tmp_path / "in.tif").read_bytes()
        (tmp_path / "in.tif").write_bytes(data[:len(data) - 3000])
        with pytest.raises(UserError, match=r"in.tif: a damaged image"):
            photo_file.read(tmp_path / "in.tif")


def test_a_deflated_tiff_cannot_fill_the_memory(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((3, 16, 16), np.uint16), photometric="rgb", compression="zlib",
                     planarconfig="separate", metadata=None)
    data = bytearray((tmp_path / "in.tif").read_bytes())
    bomb = zlib.compress(bytes(60 << 20), 1)
    number, kind, count, place = struct.unpack("<HHLL", data[(at := data.index(struct.pack("<HH", 273, 4))):at + 12])
    struct.pack_into("<L", data, place, len(data))
    at = data.index(struct.pack("<H", 279), at)
    size = struct.unpack_from("<H", data, at + 2)[0]
    struct.pack_into("<HL", data, at + 2, 4, 1)
    struct.pack_into("<L", data, at + 8, len(bomb))
    (tmp_path / "in.tif").write_bytes(data + bomb)
    assert (number, kind, count, size) == (273, 4, 3, 3)
    with pytest.raises(UserError, match=r"in.tif: a damaged image"):
        photo_file.read(tmp_path / "in.tif")


def test_transparent_colour_of_a_deep_png_is_kept(tmp_path):
    deep = COLOUR[..., :3]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    chunks = [(b"IHDR", struct.pack(">LLBBBBB", 53, 37, 16, 2, 0, 0, 0)), (b"tRNS", deep[5, 7].astype(">u2").tobytes()),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = [struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
            for kind, body in chunks]
    (tmp_path / "in.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))
    assert (photo_file.read(tmp_path / "in.png").native[..., 3] == 0).sum() == 1
