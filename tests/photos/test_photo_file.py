import io
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

import photos
from files import UserError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RNG = np.random.default_rng(1)
RGB = RNG.integers(30, 200, (40, 60, 3), np.uint8)
STRIP = [(slice(10, 20), slice(15, 40), np.full((10, 25, 3), 25, np.float32))]


def exif(**more):
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "Camera & Sons"
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:24 12:00:00"
    tags[ExifTags.IFD.Exif] = dict(tags.get_ifd(ExifTags.IFD.Exif))
    for name, value in more.items():
        tags[getattr(ExifTags.Base, name)] = value
    return tags


def round_trip(path, out=None, strips=STRIP):
    """(photo as read, what stands in the file after editing)."""
    photo = photos.read(path)
    out = out or path.with_name(f"out{path.suffix}")
    photos.save(out, photo, photo.edited(strips))
    return photo, photos.read(out)


def picture(mode):
    image = Image.fromarray(RGB)
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray(RNG.integers(0, 255, (40, 60), np.uint8))
        image = image.convert("L" if mode == "LA" else "RGB")
        image.putalpha(alpha)
        return image
    return image.quantize(64) if mode == "P" else image.convert(mode)


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
    np.testing.assert_array_equal(round_trip(path, strips=[])[1].native, before.native)


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
        assert photos.MARK in image.getexif()[ExifTags.Base.Software]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_metadata(tmp_path, suffix):
    deep = RNG.integers(8000, 50000, (40, 60, 3), np.uint16)
    path = tmp_path / f"in{suffix}"
    if suffix == ".png":
        tags = exif(Artist="Müller".encode()).tobytes().removeprefix(b"Exif\0\0")
        _, data = cv2.imencodeWithMetadata(".png", deep, [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(tags, np.uint8)])
        path.write_bytes(data.tobytes())
    else:
        tifffile.imwrite(path, deep, photometric="rgb", metadata=None, resolution=(300, 300), resolutionunit="INCH",
                         extratags=[(0x10F, 2, 0, "Camera & Sons", True), (0x13B, 2, 0, "Müller".encode(), True)])
    round_trip(path)
    with Image.open(path.with_name(f"out{suffix}")) as image:
        tags = image.getexif()
        assert tags[ExifTags.Base.Make] == "Camera & Sons"
        assert tags[ExifTags.Base.Artist].encode("latin-1").decode() == "Müller"
        assert photos.MARK in tags[ExifTags.Base.Software]
        assert suffix == ".png" or image.info["dpi"] == (300, 300)
    assert b"compositeWithTrainedAlgorithmicMedia" in path.with_name(f"out{suffix}").read_bytes()


def test_eight_bit_tiff_is_not_taken_for_sixteen(tmp_path):
    """libtiff's raw mode is told with the file's offset, in which a 16 may stand."""
    for i in range(20):
        pixels = np.random.default_rng(i).integers(0, 256, (9 + i, 31, 4), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in.tif", compression="tiff_lzw")
        np.testing.assert_array_equal(photos.read(tmp_path / "in.tif").native, pixels)


@pytest.mark.parametrize("more", [{"icc_profile": SRGB},
                                  {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}])
def test_lossless_webp_stays_lossless(tmp_path, more):
    Image.fromarray(RGB).save(tmp_path / "in.webp", lossless=True, **more)
    before, after = round_trip(tmp_path / "in.webp", strips=[])
    np.testing.assert_array_equal(after.native, before.native)
    Image.fromarray(RGB).save(tmp_path / "lossy.webp", quality=60)
    assert not photos.read(tmp_path / "lossy.webp").meta["lossless"]


def test_transparency_of_a_colour_is_kept(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "in.png", transparency=tuple(map(int, RGB[5, 5])))
    photo = photos.read(tmp_path / "in.png")
    assert photo.mode == "RGBA"
    assert photo.native[5, 5, 3] == 0


def test_xmp_of_the_photo_is_kept_and_marked(tmp_path):
    xmp = photos.XMP_EMPTY.replace(b"</rdf:RDF>", b'<rdf:Description tiff:Orientation="6" dc:title="mine"/></rdf:RDF>')
    Image.fromarray(RGB).save(tmp_path / "in.jpg", xmp=xmp)
    round_trip(tmp_path / "in.jpg")
    data = (tmp_path / "out.jpg").read_bytes()
    assert b'dc:title="mine"' in data
    assert b'tiff:Orientation="1"' in data
    assert data.count(b"compositeWithTrainedAlgorithmicMedia") == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_metadata_is_kept_and_the_mark_is_set(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    Image.fromarray(RGB).save(path, exif=exif(Software="Phone 3"), icc_profile=SRGB)
    round_trip(path)
    with Image.open(path.with_name(f"out{suffix}")) as image:
        image.load()
        tags = image.getexif()
        assert tags[ExifTags.Base.Make] == "Camera & Sons"
        assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:11:24 12:00:00"
        assert tags[ExifTags.Base.Software] == f"{photos.MARK}; before: Phone 3"
        assert image.info["icc_profile"] == SRGB
    assert b"compositeWithTrainedAlgorithmicMedia" in path.with_name(f"out{suffix}").read_bytes()


def test_the_mark_is_set_once(tmp_path):
    path = tmp_path / "in.jpg"
    Image.fromarray(RGB).save(path)
    round_trip(path)
    round_trip(path.with_name("out.jpg"), path.with_name("again.jpg"))
    with Image.open(path.with_name("again.jpg")) as image:
        assert image.getexif()[ExifTags.Base.Software] == photos.MARK


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, orientation, deep):
    """Turned back by the EXIF tag, every picture is the upright one."""
    back = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: np.swapaxes(x, 0, 1),
            6: lambda x: np.rot90(x, 1), 7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2), 8: lambda x: np.rot90(x, -1)}
    stored = np.ascontiguousarray(back[orientation](RGB))
    path = tmp_path / "in.png"
    if deep:
        tags = exif(Orientation=orientation).tobytes().removeprefix(b"Exif\0\0")
        _, data = cv2.imencodeWithMetadata(".png", stored[..., ::-1].astype(np.uint16) * 257, [cv2.IMAGE_METADATA_EXIF],
                                           [np.frombuffer(tags, np.uint8)])
        path.write_bytes(data.tobytes())
    else:
        Image.fromarray(stored).save(path, exif=exif(Orientation=orientation))
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
    photo, after = round_trip(path, strips=[])
    assert np.abs(after.rgb.astype(int) - photo.rgb).mean() < 0.5
    with Image.open(path) as a, Image.open(path.with_name("out.jpg")) as b:
        assert a.quantization == b.quantization


def test_damaged_exif_costs_the_exif_not_the_photo(tmp_path):
    path = tmp_path / "in.jpg"
    Image.fromarray(RGB).save(path, exif=exif())
    data = path.read_bytes()
    place = data.index(b"Exif\0\0") + 14
    path.write_bytes(data[:place] + b"\xff" * 40 + data[place + 40:])
    photo, after = round_trip(path)
    assert photo.rgb.shape == after.rgb.shape == RGB.shape
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif()[ExifTags.Base.Software] == photos.MARK


def test_what_a_format_cannot_hold_is_one_line(tmp_path):
    photo = photos.Photo(np.zeros((1, 70_000, 3), np.uint8), None, "RGB", "PNG", {"exif": Image.Exif()})
    with pytest.raises(UserError, match=r"out.jpg:? (cannot|could not) be written"):
        photos.save(tmp_path / "out.jpg", photo, photo.native)
    assert not list(tmp_path.iterdir())


def test_png_text_is_kept(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Author", "me")
    Image.fromarray(RGB).save(tmp_path / "in.png", pnginfo=info)
    round_trip(tmp_path / "in.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.text["Author"] == "me"
        assert image.text["Software"] == photos.MARK


@pytest.mark.parametrize(("suffix", "written"), [(".bmp", ".png"), (".gif", ".png"), (".ppm", ".png"),
                                                 (".jpg", ".jpg")])
def test_formats_without_room_for_the_mark_become_png(tmp_path, suffix, written):
    Image.fromarray(RGB).save(tmp_path / f"in{suffix}")
    assert photos.output_format(photos.read(tmp_path / f"in{suffix}"))[1] == written


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
    photo = photos.read(tmp_path / "in.webp")
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
        photos.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_a_photo_is_named(tmp_path):
    with pytest.raises(UserError, match="nothing.jpg: no such file"):
        photos.read(tmp_path / "nothing.jpg")
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UserError, match=r"float.tif: pixels of kind F"):
        photos.read(tmp_path / "float.tif")
    Image.fromarray(RGB).save(tmp_path / "in.png")
    with pytest.raises(UserError, match=r"in.png: 60 x 40 is more than 0.001 megapixels; .*--max-megapixels"):
        photos.read(tmp_path / "in.png", megapixels=0.001)
