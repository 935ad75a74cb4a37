import os

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, features

from ageing import face_folder
from ageing.errors import UserError

RNG = np.random.default_rng(1)
UPRIGHT = cv2.resize(RNG.integers(0, 255, (6, 4, 3), np.uint8), (40, 60), interpolation=cv2.INTER_CUBIC)
SQUARE = UPRIGHT[10:50]  # its centre
# Pixels as a file with this EXIF orientation stores them.
STORED = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: np.swapaxes(x, 0, 1),
          6: np.rot90, 7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2), 8: lambda x: np.rot90(x, -1)}


def face_jpeg(path, side=200):
    """A JPEG of UTKFace's kind."""
    pixels = cv2.resize(RNG.integers(0, 255, (25, 25, 3), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(pixels).save(path, "JPEG", quality=90)


@pytest.mark.parametrize("size", [64, 128, 200, 256])
def test_faces_of_utkface_are_only_resized(tmp_path, size):
    face_jpeg(tmp_path / "face.jpg")
    with Image.open(tmp_path / "face.jpg") as image:
        image.draft("RGB", (size, size))
        assert image.size == (100 if size == 64 else 200,) * 2  # the fast way: a JPEG decodes at half its size
        expected = np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
    pixels, cropped = face_folder.decode(tmp_path / "face.jpg", size)
    np.testing.assert_array_equal(pixels, expected)
    assert not cropped


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_and_cropped_to_the_centre_square(tmp_path, suffix, orientation):
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path, tags = tmp_path / f"face{suffix}", Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    options = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True},
               ".avif": {"quality": 100, "subsampling": "4:4:4"}}.get(suffix, {})
    Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT))).save(path, exif=tags, **options)
    pixels, cropped = face_folder.decode(path, 40)
    assert np.abs(pixels.astype(int) - SQUARE).max() <= (0 if suffix in (".png", ".webp", ".tif") else 6)
    assert cropped


def test_damaged_exif_does_not_lose_the_picture(tmp_path):
    Image.fromarray(SQUARE).save(tmp_path / "face.png", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30))
    np.testing.assert_array_equal(face_folder.decode(tmp_path / "face.png", 40)[0], SQUARE)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", ["grey", "colour", "alpha"])
def test_sixteen_bits_become_eight(tmp_path, suffix, kind):
    expected = np.repeat(SQUARE[..., :1], 3, axis=2) if kind == "grey" else SQUARE
    stored = {"grey": SQUARE[..., 0], "colour": SQUARE[..., ::-1],
              "alpha": np.dstack([SQUARE[..., ::-1], np.full((40, 40), 255, np.uint8)])}[kind]
    cv2.imwrite(str(tmp_path / f"face{suffix}"), stored.astype(np.uint16) * 257)
    np.testing.assert_array_equal(face_folder.decode(tmp_path / f"face{suffix}", 40)[0], expected)


@pytest.mark.parametrize(("dtype", "options"), [
    ("f4", {}), ("u4", {}), ("u2", {"photometric": "miniswhite"}),
    ("u2", {"photometric": "rgb", "planarconfig": "separate"})], ids=str)
def test_what_pillow_would_read_wrongly_is_counted(tmp_path, dtype, options):
    pixels = np.moveaxis(SQUARE, 2, 0) if "planarconfig" in options else SQUARE[..., 0]
    tifffile.imwrite(tmp_path / "face.tif", pixels.astype(dtype) * 256, **options)
    with pytest.raises(UserError, match="face.tif: unreadable image"):
        face_folder.decode(tmp_path / "face.tif", 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparent_pixels_show_the_background(tmp_path, mode):
    hidden = np.full((40, 40, 3), 255, np.uint8)
    hidden[:, :20] = (60, 60, 60)
    alpha = np.repeat(np.uint8([255, 0]), 20)[None].repeat(40, 0)
    image, options = Image.fromarray(hidden), {}
    if mode in ("RGBA", "LA"):
        image = image.convert(mode[:-1])
        image.putalpha(Image.fromarray(alpha))
    else:
        options = {"transparency": (255, 255, 255)}
        if mode == "P":
            image = image.quantize(2)
            options = {"transparency": image.getpixel((30, 0))}
    image.save(tmp_path / "face.png", **options)
    pixels, _ = face_folder.decode(tmp_path / "face.png", 40)
    np.testing.assert_array_equal(pixels[:, :20], np.full((40, 20, 3), 60))
    np.testing.assert_array_equal(pixels[:, 20:], np.full((40, 20, 3), face_folder.BACKGROUND))


def test_half_transparent_pixels_are_mixed_with_the_background(tmp_path):
    Image.new("RGBA", (40, 40), (200, 0, 128, 51)).save(tmp_path / "face.png")
    assert tuple(face_folder.decode(tmp_path / "face.png", 40)[0][0, 0]) == (142, 102, 128)


def test_alpha_of_an_opaque_picture_changes_nothing(tmp_path):
    Image.fromarray(SQUARE).convert("RGBA").save(tmp_path / "face.png")
    np.testing.assert_array_equal(face_folder.decode(tmp_path / "face.png", 40)[0], SQUARE)


def test_files_of_all_kinds_are_read_or_counted(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments: ran.append(arguments))
    kinds = [".jpg", ".JPEG", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".tga", ".jp2"]
    for suffix in kinds:
        Image.fromarray(SQUARE).save(tmp_path / f"face{suffix}")
    face_jpeg(tmp_path / "wide.mpo", 40)
    for name in ("a.txt", "b.TXT", "c.mp4", "LICENSE", "d.eps", ".hidden.jpg", ".DS_Store"):
        (tmp_path / name).write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n")
    (tmp_path / "postscript.jpg").write_bytes((tmp_path / "d.eps").read_bytes())
    (tmp_path / "more.jpg").mkdir()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    domain = face_folder.load_domain(tmp_path, 40, progress=False)
    assert len(domain) == len(kinds) + 1
    assert domain.skipped == {".txt": 2, ".mp4": 1, "without a suffix": 1, ".eps": 1, "unreadable": 3, "folder": 1}
    assert not ran, "a program was run for a picture"
    for suffix in (".png", ".bmp", ".tif", ".tiff", ".ppm", ".tga"):
        np.testing.assert_array_equal(face_folder.decode(tmp_path / f"face{suffix}", 40)[0], SQUARE)


def test_heif_is_read_or_counted(tmp_path):
    Image.fromarray(SQUARE).save(tmp_path / "face.png")
    (tmp_path / "face.heic").write_bytes(b"")
    try:
        import pillow_heif
    except ImportError:
        assert face_folder.load_domain(tmp_path, 40, progress=False).skipped == {".heic": 1}
        return
    pillow_heif.from_pillow(Image.fromarray(UPRIGHT)).save(tmp_path / "face.heic", quality=100)
    assert face_folder.load_domain(tmp_path, 40, progress=False).cropped == 1


def test_huge_pictures_are_skipped(tmp_path, monkeypatch):
    Image.new("RGB", (32, 32)).save(tmp_path / "small.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "huge.png")
    monkeypatch.setattr(face_folder, "MEGAPIXELS", 32 * 32 / 1e6)
    assert face_folder.load_domain(tmp_path, 40, progress=False).skipped == {"unreadable": 1}


def test_the_summary_tells_what_was_cropped_and_skipped(tmp_path):
    for i, size in enumerate([(40, 40), (40, 60), (41, 40), (20, 90)]):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("")
    domain = face_folder.load_domain(tmp_path, 16, progress=False)
    assert domain.summary == "3 faces, 2 cropped to the centre square, skipped 1 tiny, 1 .txt"


def test_broken_and_tiny_images_are_skipped_and_counted(tmp_path):
    folder = tmp_path / "20s"
    folder.mkdir()
    Image.new("RGB", (40, 40)).save(folder / "25_0_0_good.jpg")
    Image.new("CMYK", (40, 50)).save(folder / "25_0_0_cmyk.jpg")
    Image.new("L", (40, 40)).save(folder / "25_0_0_grey.png")
    Image.new("RGB", (8, 8)).save(folder / "25_0_0_tiny.png")
    good = (folder / "25_0_0_good.jpg").read_bytes()
    (folder / "25_0_0_cut.jpg").write_bytes(good[:len(good) // 2])
    (folder / "25_0_0_empty.jpg").write_bytes(b"")
    (folder / "25_0_0_text.jpg").write_text("no picture")
    domain = face_folder.load_domain(folder, 16, progress=False)
    assert len(domain) == 3
    assert domain.skipped == {"tiny": 1, "unreadable": 3}
    assert domain.summary == "3 faces, 1 cropped to the centre square, skipped 3 unreadable, 1 tiny"


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_folder_without_faces_is_named(tmp_path, state):
    folder = tmp_path / "20s"
    if state != "missing":
        folder.mkdir()
    if state == "broken":
        (folder / "a.jpg").write_text("no picture")
    own = r"own pictures.*DIR/train/YOUNG .*optional.*data\.path=DIR data\.domain_A=YOUNG data\.domain_B=OLD"
    with pytest.raises(UserError, match=f"^[^\n]*20s: .*prepare_utkface.*{own}"):
        face_folder.load_domain(folder, 16, progress=False)


def test_a_folder_of_other_files_tells_their_kinds(tmp_path):
    (tmp_path / "video.mp4").write_text("")
    (tmp_path / "faces").mkdir()
    with pytest.raises(UserError, match="no images in it, only 1 .mp4, 1 folder;"):
        face_folder.list_images(tmp_path)


def test_fixed_faces_stay_when_others_are_added(tmp_path):
    for i in range(20):
        Image.new("RGB", (32, 32), (i,) * 3).save(tmp_path / f"25_0_0_{i}.png")
    before = face_folder.fixed_faces(tmp_path, 16, 5)
    np.testing.assert_array_equal(before, face_folder.fixed_faces(tmp_path, 16, 5))
    (tmp_path / "25_0_0_broken.png").write_text("")
    np.testing.assert_array_equal(before, face_folder.fixed_faces(tmp_path, 16, 5))


def test_names_that_are_no_utf8_are_read_as_others_are(tmp_path):
    for grey, name in enumerate((b"25_0_0_\xe9.png", b"\xff\xfe.tif", "25_0_0_\u00e9.png".encode())):
        Image.new("L", (32, 32), grey).save(tmp_path / os.fsdecode(name))
    (tmp_path / os.fsdecode(b"notes.\xe9")).write_text("")
    domain = face_folder.load_domain(tmp_path, 16, progress=False)
    assert (len(domain), sorted(domain.cells), sorted(domain.ages)) == (3, [-1, 0, 0], [-1, 25, 25])
    assert domain.summary.encode() == b"3 faces, skipped 1 .\\udce9"
    assert len(face_folder.fixed_faces(tmp_path, 16, 8)) == 3


def test_links_that_lead_nowhere_do_not_stop_the_rest(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "face.png")
    (tmp_path / "turning.png").symlink_to("turning.png")
    assert face_folder.load_domain(tmp_path, 16, progress=False).skipped == {"unreadable": 1}


def test_many_faces_lie_in_a_temporary_file(drawn, monkeypatch):
    in_memory = face_folder.load_domain(drawn / "train/20s", 32, progress=False)
    monkeypatch.setattr(face_folder, "IN_MEMORY", 1000)
    mapped = face_folder.load_domain(drawn / "train/20s", 32, progress=False)
    assert isinstance(mapped.images, np.memmap)
    np.testing.assert_array_equal(mapped.images, in_memory.images)
