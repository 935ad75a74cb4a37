"""Photos are read upright and written back as they came, except for the edited faces."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from sample_photos import RGB, SRGB, exif, picture, round_trip, stored_as

from ageing.errors import UserError
from ageing.photos import photo_file


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
    assert not photo_file.read(tmp_path / "lossy.webp").meta["lossless"]


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
    photo = photo_file.Photo(np.zeros((1, 70_000, 3), np.uint8), None, "RGB", "PNG", {"exif": Image.Exif()})
    with pytest.raises(UserError, match=r"out.jpg:? (cannot|could not) be written"):
        photo_file.save(tmp_path / "out.jpg", photo, photo.native)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "written"), [(".bmp", ".png"), (".gif", ".png"), (".ppm", ".png"),
                                                 (".jpg", ".jpg")])
def test_formats_without_room_for_the_mark_become_png(tmp_path, suffix, written):
    Image.fromarray(RGB).save(tmp_path / f"in{suffix}")
    assert photo_file.output_format(photo_file.read(tmp_path / f"in{suffix}"))[1] == written


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
    assert photo.frames == 2
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
    with pytest.raises(UserError, match=r"float.tif: pixels of kind F"):
        photo_file.read(tmp_path / "float.tif")
    Image.fromarray(RGB).save(tmp_path / "in.png")
    with pytest.raises(UserError, match=r"in.png: 60 x 40 is more than 0.001 megapixels; .*--max-megapixels"):
        photo_file.read(tmp_path / "in.png", megapixels=0.001)
