"""Colours that a file describes without an ICC profile look in the output as they did in the photo."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from sample_photos import SRGB

from ageing.photos import exif as exif_tags
from ageing.photos import photo_file

# Linear light of sRGB's red, green, blue, skin and white, within all the spaces below.
LIGHT = np.array([[0.5, 0.05, 0.05], [0.05, 0.4, 0.06], [0.04, 0.05, 0.5], [0.6, 0.35, 0.24], [0.9, 0.9, 0.9]])
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
P3 = np.array([[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0, 0.0451, 1.0439]])
BT2020 = np.array([[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0, 0.0281, 1.0610]])
ADOBE = np.array([[0.5767, 0.1856, 0.1882], [0.2974, 0.6274, 0.0753], [0.0270, 0.0707, 0.9911]])


def srgb_curve(light):
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.abs(light) ** (1 / 2.4) - 0.055)


def pq(light):
    power = (np.maximum(light, 0) * 203 / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(light):
    scene = (np.maximum(light, 0) * 203 / 1000) ** (1 / 1.2)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene),
                    0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073)


def chart(colours, curve, deep=False):
    """Patches of LIGHT as RGB signals with these primaries and this curve."""
    signals = np.clip(curve(LIGHT @ XYZ.T @ np.linalg.inv(colours).T), 0, 1)
    patches = np.repeat(np.repeat(signals[None], 32, 0), 32, 1)
    return np.rint(patches * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)


def shown(path):
    """What a viewer that knows nothing but ICC profiles shows: float RGB of sRGB, one for each patch."""
    with Image.open(path) as image:
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        if profile:
            image = ImageCms.profileToProfile(image, io.BytesIO(profile), io.BytesIO(SRGB))
    return np.asarray(image).astype(float)[8:24].reshape(16, 5, 32, 3)[:, :, 8:24].mean((0, 2))


def expected():
    return 255 * srgb_curve(LIGHT)


def saved(tmp_path, name, suffix=".jpg"):
    photo = photo_file.read(tmp_path / name)
    photo_file.save(tmp_path / f"out{suffix}", photo, photo.native)
    return photo, tmp_path / f"out{suffix}"


def png_with(path, pixels, *chunks):
    """A PNG with chunks (kind, bytes) behind its header. pixels: uint8 or uint16 RGB."""
    height, width = pixels.shape[:2]
    depth = 8 * pixels.dtype.itemsize
    rows = b"".join(b"\0" + row.astype(f">u{pixels.dtype.itemsize}").tobytes() for row in pixels)
    head = struct.pack(">LLBBBBB", width, height, depth, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    all_chunks = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in all_chunks))


def with_code_points(path, primaries, transfer):
    """Overwrite what an HEIF or AVIF file says of its colours."""
    data = path.read_bytes()
    stated = b"colrnclx" + struct.pack(">HH", primaries, transfer)
    found = re.sub(rb"colrnclx....", lambda _: stated, data, flags=re.DOTALL)
    assert b"colrnclx" in found
    path.write_bytes(found)


def chromaticities(*values):
    return struct.pack(">8L", *(round(100_000 * value) for value in values))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_display_p3_of_a_png_looks_the_same_in_every_format(tmp_path, suffix):
    png_with(tmp_path / "in.png", chart(P3, srgb_curve), (b"cICP", bytes([12, 13, 0, 1])))
    photo, out = saved(tmp_path, "in.png", suffix)
    np.testing.assert_allclose(shown(out), expected(), atol=4)
    assert not photo.notes


@pytest.mark.parametrize("form", ["heic", "avif"])
@pytest.mark.parametrize(("primaries", "colours"), [(12, P3), (9, BT2020), (1, XYZ)])
def test_wide_gamut_of_heif_and_avif(tmp_path, form, primaries, colours):
    heif_or_avif(tmp_path / f"in.{form}", chart(colours, srgb_curve), primaries, 13)
    photo, out = saved(tmp_path, f"in.{form}")
    np.testing.assert_allclose(shown(out), expected(), atol=8)
    assert (photo.meta.icc_profile is None) == (primaries == 1)


def heif_or_avif(path, pixels, primaries, transfer):
    if path.suffix == ".heic":
        heif = pytest.importorskip("pillow_heif")
        deep = pixels.dtype == np.uint16
        image = heif.from_bytes("RGB;16" if deep else "RGB", pixels.shape[1::-1], pixels.tobytes())
        image.save(path, quality=-1, chroma=444, bit_depth=10 if deep else 8)
    else:
        Image.fromarray(pixels).save(path, quality=100, subsampling="4:4:4")
    with_code_points(path, primaries, transfer)


@pytest.mark.parametrize(("transfer", "curve"), [(16, pq), (18, hlg)])
@pytest.mark.parametrize("form", ["png", "heic", "avif"])
def test_hdr_becomes_a_picture_of_usual_brightness(tmp_path, form, transfer, curve):
    pixels = chart(BT2020, curve, deep=form != "avif")
    if form == "png":
        png_with(tmp_path / "in.png", pixels, (b"cICP", bytes([9, transfer, 0, 1])))
    else:
        heif_or_avif(tmp_path / f"in.{form}", pixels, 9, transfer)
    photo, out = saved(tmp_path, f"in.{form}")
    assert photo.notes == ["its HDR became SDR"]
    np.testing.assert_allclose(shown(out)[3:], expected()[3:], atol=25)    # skin and white; light above is compressed
    assert np.ptp(shown(out)[:3], axis=1).min() > 60                       # colours are not grey


@pytest.mark.parametrize(("chunks", "colours", "curve"), [
    ([(b"gAMA", struct.pack(">L", 100_000))], XYZ, lambda light: light),
    ([(b"gAMA", struct.pack(">L", 55_556))], XYZ, lambda light: np.abs(light) ** (1 / 1.8)),
    ([(b"cHRM", chromaticities(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06))], P3, srgb_curve),
    ([(b"gAMA", struct.pack(">L", 45_455)),
      (b"cHRM", chromaticities(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06))], ADOBE,
     lambda light: srgb_curve(np.maximum(light, 0)))])
def test_gamma_and_chromaticities_of_a_png(tmp_path, chunks, colours, curve):
    png_with(tmp_path / "in.png", chart(colours, curve), *chunks)
    np.testing.assert_allclose(shown(saved(tmp_path, "in.png", ".png")[1]), expected(), atol=4)


@pytest.mark.parametrize("chunks", [
    [(b"gAMA", struct.pack(">L", 45_455)),
     (b"cHRM", chromaticities(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06))],
    [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">L", 100_000))], [(b"gAMA", bytes(4))],
    [(b"cHRM", bytes(32))], [(b"cHRM", chromaticities(*[0.3] * 8))], [(b"gAMA", struct.pack(">L", 1))],
    [(b"cICP", bytes([1, 13, 0, 1]))], [(b"cICP", bytes([200, 200, 0, 1]))]])
def test_what_says_srgb_or_nothing_sensible_gets_no_profile(tmp_path, chunks):
    png_with(tmp_path / "in.png", chart(XYZ, srgb_curve), *chunks)
    assert photo_file.read(tmp_path / "in.png").meta.icc_profile is None


def test_grey_with_a_gamma_of_its_own(tmp_path):
    png_with(tmp_path / "in.png", chart(XYZ, lambda light: light)[..., 0], (b"gAMA", struct.pack(">L", 100_000)))
    out = saved(tmp_path, "in.png", ".png")[1]
    with Image.open(out) as image:
        grey = ImageCms.profileToProfile(image, io.BytesIO(image.info["icc_profile"]), io.BytesIO(SRGB),
                                         outputMode="RGB")
    np.testing.assert_allclose(np.asarray(grey)[16, 16::32, 1], 255 * srgb_curve(LIGHT[:, 0]), atol=4)


def test_adobe_rgb_that_only_exif_tells(tmp_path):
    tags = exif_tags.Exif()
    tags.put(0xA001, exif_tags.SHORT, 0xFFFF, inside=exif_tags.EXIF)
    tags.tags[exif_tags.EXIF][exif_tags.INTEROP] = {1: exif_tags.Tag(exif_tags.TEXT, b"R03\0")}
    pixels = chart(ADOBE, lambda light: np.maximum(light, 0) ** (256 / 563))
    Image.fromarray(pixels).save(tmp_path / "in.jpg", quality=100, subsampling=0, exif=tags.tobytes())
    np.testing.assert_allclose(shown(saved(tmp_path, "in.jpg")[1]), expected(), atol=4)


def test_a_profile_of_its_own_is_kept(tmp_path):
    Image.fromarray(chart(P3, srgb_curve)).save(tmp_path / "in.avif", icc_profile=SRGB)
    assert photo_file.read(tmp_path / "in.avif").meta.icc_profile == SRGB


def test_adobe_rgb_of_a_deep_tiff_is_read_from_exif(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "in.tif", np.full((32, 32, 3), 30_000, np.uint16), photometric="rgb")
    tags = exif_tags.Exif()
    tags.put(exif_tags.EXIF, exif_tags.LONG, 0)
    tags.tags[exif_tags.EXIF] = {0xA001: exif_tags.Tag(exif_tags.SHORT, b"\2\0")}
    exif_tags.add_to_tiff(tmp_path / "in.tif", tags.tags)
    photo = photo_file.read(tmp_path / "in.tif")
    assert photo.native.dtype == np.uint16
    assert photo.meta.icc_profile


@pytest.mark.parametrize("primaries", [4, 5, 6, 11, 22])
def test_primaries_of_television_and_cinema_become_a_profile(tmp_path, primaries):
    png_with(tmp_path / "in.png", chart(XYZ, srgb_curve), (b"cICP", bytes([primaries, 13, 0, 1])))
    photo, out = saved(tmp_path, "in.png")
    assert photo.meta.icc_profile
    assert np.abs(shown(out) - expected()).max() > 4     # the same numbers are other colours
