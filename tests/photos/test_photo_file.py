"""Photos are read upright and written back as they came, except for the edited faces."""

import io
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin
from sample_photos import RGB, RNG, SRGB, exif, picture, round_trip, stored_as

from ageing.errors import UserError
from ageing.photos import photo_file
from ageing.photos.metadata import is_marked


@pytest.mark.parametrize(("mode", "suffix"), [
    ("RGB", ".png"), ("RGBA", ".png"), ("L", ".png"), ("LA", ".png"), ("P", ".png"), ("1", ".png"),
    ("RGB", ".tif"), ("CMYK", ".tif"), ("L", ".tif"), ("RGBA", ".tif"), ("RGB", ".webp"), ("RGBA", ".webp")])
def test_every_kind_of_pixel_keeps_its_format_and_what_is_outside(tmp_path, mode, suffix):
    path = tmp_path / f"in{suffix}"
    picture(mode).save(path, **({"lossless": True, "exact": True} if suffix == ".webp" else {}))
    before, after = round_trip(path)
    assert (before.format, before.mode) == (after.format, after.mode)
    inside = np.zeros(RGB.shape[:2], bool)
    inside[10:20, 15:40] = True
    np.testing.assert_array_equal(after.native[~inside], before.native[~inside])
    if mode in ("RGBA", "LA"):
        np.testing.assert_array_equal(after.native[..., -1], before.native[..., -1])
    if mode != "1":
        gain = after.rgb[inside].astype(int) - before.rgb[inside]
        assert np.median(gain) == pytest.approx(25, abs=1)
    np.testing.assert_array_equal(round_trip(path, bands=[])[1].native, before.native)


@pytest.mark.parametrize("more", [{"icc_profile": SRGB},
                                  {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}])
def test_lossless_webp_stays_lossless(tmp_path, more):
    Image.fromarray(RGB).save(tmp_path / "in.webp", lossless=True, **more)
    before, after = round_trip(tmp_path / "in.webp", bands=[])
    np.testing.assert_array_equal(after.native, before.native)
    Image.fromarray(RGB).save(tmp_path / "lossy.webp", quality=60)
    assert not photo_file.read(tmp_path / "lossy.webp").encoding["lossless"]


def test_transparency_of_a_colour_is_kept(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "in.png", transparency=tuple(map(int, RGB[5, 5])))
    photo = photo_file.read(tmp_path / "in.png")
    assert photo.mode == "RGBA"
    assert photo.native[5, 5, 3] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, orientation):
    path = tmp_path / "in.png"
    Image.fromarray(stored_as(RGB, orientation)).save(path, exif=exif(Orientation=orientation))
    before, after = round_trip(path)
    np.testing.assert_array_equal(before.rgb, RGB)
    np.testing.assert_array_equal(after.native[:10], before.native[:10])
    with Image.open(path.with_name("out.png")) as image:
        assert image.size == (60, 40)
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_jpeg_keeps_its_tables_and_hardly_loses(tmp_path):
    path = tmp_path / "in.jpg"
    smooth = cv2.resize(RGB[::8, ::8], (640, 480), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(smooth).save(path, quality=60, subsampling=2)
    photo, after = round_trip(path, bands=[])
    assert np.abs(after.rgb.astype(int) - photo.rgb).mean() < 0.5
    with Image.open(path) as a, Image.open(path.with_name("out.jpg")) as b:
        assert a.quantization == b.quantization


def test_what_a_format_cannot_hold_is_one_line(tmp_path):
    photo = photo_file.Photo(np.zeros((1, 70_000, 3), np.uint8), None, "RGB", "PNG")
    with pytest.raises(UserError, match=r"out.jpg:? (cannot|could not) be written"):
        photo_file.save(tmp_path / "out.jpg", photo, photo.native)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "written"), [
    ("in.bmp", ".png"), ("in.gif", ".png"), ("in.jp2", ".png"), ("in.ppm", ".png"), ("in.pgm", ".png"),
    ("in.tga", ".png"), ("in.jpeg", ".jpeg"), ("in.JPG", ".JPG"), ("in.jfif", ".jfif"),
    ("in.tiff", ".tiff"), ("in.apng", ".apng")])
def test_formats_without_room_for_the_mark_become_png(tmp_path, name, written):
    Image.fromarray(RGB).convert("L" if name == "in.pgm" else "RGB").save(tmp_path / name)
    photo = photo_file.read(tmp_path / name)
    assert photo_file.target_suffix(photo, tmp_path / name) == written
    before, after = round_trip(tmp_path / name, tmp_path / f"out{written}")
    if written == ".png":
        np.testing.assert_array_equal(after.native[:10], before.native[:10])
    assert is_marked(tmp_path / f"out{written}")


def test_a_name_that_lies_about_the_format_is_not_kept(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "in.jpg", "PNG")
    assert photo_file.target_suffix(photo_file.read(tmp_path / "in.jpg"), "in.jpg") == ".png"


@pytest.mark.parametrize("deep", [False, True])
def test_png_with_long_compressed_texts_and_profile_is_whole(tmp_path, deep):
    """Pillow's bound of 1 MiB is for one chunk; this text has 1.2 MB, as Photoshop writes histories."""
    long, info = "layer " * 200_000, PngImagePlugin.PngInfo()
    info.add_text("History", long, zip=True)
    info.add_itxt("Notes", long + "ü", "de", "Notizen", zip=True)
    profile = SRGB + RNG.integers(0, 256, 1_500_000, np.uint8).tobytes()
    image = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257 if deep else RGB)
    image.save(tmp_path / "in.png", pnginfo=info, icc_profile=profile)
    before, after = round_trip(tmp_path / "in.png", bands=[])
    np.testing.assert_array_equal(after.native, before.native)
    assert after.meta.texts["History"] == long
    assert after.meta.texts["Notes"] == long + "ü"
    assert (after.meta.texts["Notes"].lang, after.meta.texts["Notes"].tkey) == ("de", "Notizen")
    assert after.meta.icc_profile == profile
    assert (tmp_path / "out.png").stat().st_size < 1.1 * (tmp_path / "in.png").stat().st_size


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_becomes_jpeg(tmp_path, bits, orientation):
    heif = pytest.importorskip("pillow_heif")
    stored = stored_as(cv2.resize(RGB[::8, ::8], (64, 48), interpolation=cv2.INTER_CUBIC), orientation)
    size = stored.shape[1::-1]
    if bits == 8:
        image = heif.from_bytes("RGB", size, stored.tobytes())
    else:
        image = heif.from_bytes("RGB;16", size, (stored.astype(np.uint16) * 257).tobytes())
    image.save(tmp_path / "in.heic", quality=95, exif=exif(Orientation=orientation).tobytes(), bit_depth=bits)
    photo = photo_file.read(tmp_path / "in.heic")
    assert photo.rgb.shape == (48, 64, 3)
    assert np.abs(np.rot90(stored, -1 if orientation == 6 else 0).astype(int) - photo.rgb).mean() < 12
    assert photo_file.target_suffix(photo, tmp_path / "in.heic") == ".jpg"
    photo_file.save(tmp_path / "out.jpg", photo, photo.native)
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.getexif()[ExifTags.Base.Make] == "Camera & Sons"
        assert ExifTags.Base.Orientation not in written.getexif()
        assert written.size == (64, 48)


def test_heic_without_its_package_says_how(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "OPEN", {name: known for name, known in Image.OPEN.items() if name != "HEIF"})
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    (tmp_path / "in.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(80))
    with pytest.raises(UserError, match=r"in.heic: .*; install it with pip install pillow-heif"):
        photo_file.read(tmp_path / "in.heic")


def test_other_suffixes_convert_or_are_refused(tmp_path):
    for mode in ("RGBA", "LA", "P"):
        picture(mode).save(tmp_path / "in.png")
        _, after = round_trip(tmp_path / "in.png", tmp_path / "out.jpg")
        assert after.mode == "RGB"
    with pytest.raises(UserError, match=r"\.bmp: faces are written as"):
        round_trip(tmp_path / "in.png", tmp_path / "out.bmp")


def test_animations_are_read_as_their_first_picture(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:], lossless=True)
    photo = photo_file.read(tmp_path / "in.webp")
    assert photo.notes == ["only the first of its 2 pictures is read"]
    np.testing.assert_array_equal(photo.rgb, RGB)


def broken_files():
    """{name: bytes}: ten sorts of files that are no whole image."""
    def encoded(form, **more):
        file = io.BytesIO()
        Image.fromarray(RGB).save(file, form, **more)
        return file.getvalue()

    jpeg, png, webp, tif = (encoded(form) for form in ("JPEG", "PNG", "WEBP", "TIFF"))
    header = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (30000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    header += zlib.crc32(header[12:]).to_bytes(4, "big")
    return {"empty.jpg": b"", "text.jpg": b"no image at all", "cut.jpg": jpeg[:len(jpeg) // 2], "head.jpg": jpeg[:30],
            "cut.png": png[:len(png) // 2], "bad_crc.png": png[:60] + b"\0" * 20 + png[80:], "cut.webp": webp[:80],
            "cut.tif": tif[:200], "zeros.png": b"\0" * 500, "huge.png": header + b"\0\0\0\0IDAT"}


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_are_named_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(broken_files()[name])
    with pytest.raises(UserError, match=name) as caught:
        photo_file.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_a_photo_is_named(tmp_path):
    with pytest.raises(UserError, match="nothing.jpg: no such file"):
        photo_file.read(tmp_path / "nothing.jpg")
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UserError, match=r"float.tif: signed or floating-point pixels"):
        photo_file.read(tmp_path / "float.tif")
    Image.fromarray(RGB).save(tmp_path / "in.png")
    with pytest.raises(UserError, match=r"in.png: 60 x 40 is more than 0.001 megapixels; .*--max-megapixels"):
        photo_file.read(tmp_path / "in.png", megapixels=0.001)


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path):
    """Each scan goes over all pixels: a small file could take minutes."""
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    (tmp_path / "in.jpg").write_bytes(data + b"\xff\xda\0\2" * 200)  # a video may hold these bytes
    photo_file.read(tmp_path / "in.jpg")
    comment = b"\xff\xfe\0\6\xff\xda\xff\xd9"
    (tmp_path / "in.jpg").write_bytes(data[:2] + comment + data[2:last] + data[last:-2] * 200 + b"\xff\xd9")
    with pytest.raises(UserError, match=r"in.jpg: a damaged image \(more than 100 scans\)"):
        photo_file.read(tmp_path / "in.jpg")


def test_postscript_is_not_run(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "in.eps")
    with pytest.raises(UserError, match=r"in.eps: not an image that can be read here"):
        photo_file.read(tmp_path / "in.eps")


def test_a_preview_is_not_taken_for_the_photo(tmp_path):
    """As the first picture of raw files is."""
    Image.fromarray(RGB).save(tmp_path / "in.tif", tiffinfo={254: 1})
    with pytest.raises(UserError, match=r"in.tif: a preview in place of the picture"):
        photo_file.read(tmp_path / "in.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_orientation_of_a_tiff_is_applied_once(tmp_path, orientation, compression):
    Image.fromarray(stored_as(RGB, orientation)).save(tmp_path / "in.tif", tiffinfo={274: orientation},
                                                      compression=compression)
    before, after = round_trip(tmp_path / "in.tif", bands=[])
    np.testing.assert_array_equal(before.rgb, RGB)
    np.testing.assert_array_equal(after.rgb, RGB)


def test_a_damaged_tiff_is_one_line_and_libtiff_is_silent(tmp_path, capfd):
    Image.fromarray(RGB).save(tmp_path / "in.tif", compression="tiff_adobe_deflate")
    data = bytearray((tmp_path / "in.tif").read_bytes())
    data[20:60] = b"\xff" * 40
    (tmp_path / "in.tif").write_bytes(data)
    with pytest.raises(UserError, match=r"in.tif: a damaged image"):
        photo_file.read(tmp_path / "in.tif")
    assert not capfd.readouterr().err
