"""What a photo's metadata says after its faces were edited."""

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from sample_photos import RGB, SRGB, exif, round_trip

from ageing.photos import metadata


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
        assert tags[ExifTags.Base.Software] == f"{metadata.EDITED_MARK}; before: Phone 3"
        assert image.info["icc_profile"] == SRGB
    assert b"compositeWithTrainedAlgorithmicMedia" in path.with_name(f"out{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_outputs_are_told_from_photos(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    Image.fromarray(RGB).save(path, exif=exif(Software="Phone 3"))
    round_trip(path)
    assert not metadata.is_marked(path)
    assert metadata.is_marked(path.with_name(f"out{suffix}"))


def test_a_file_that_is_no_image_has_no_mark(tmp_path):
    (tmp_path / "in.jpg").write_text(metadata.EDITED_MARK)
    assert not metadata.is_marked(tmp_path / "in.jpg")
    assert not metadata.is_marked(tmp_path / "missing.jpg")


def test_the_mark_is_set_once(tmp_path):
    path = tmp_path / "in.jpg"
    Image.fromarray(RGB).save(path)
    round_trip(path)
    round_trip(path.with_name("out.jpg"), path.with_name("again.jpg"))
    with Image.open(path.with_name("again.jpg")) as image:
        assert image.getexif()[ExifTags.Base.Software] == metadata.EDITED_MARK


def test_xmp_is_kept_and_marked_and_its_orientation_is_upright(tmp_path):
    more = b'<rdf:Description tiff:Orientation="6" dc:title="mine"/></rdf:RDF>'
    Image.fromarray(RGB).save(tmp_path / "in.jpg", xmp=metadata.XMP_EMPTY.replace(b"</rdf:RDF>", more))
    round_trip(tmp_path / "in.jpg")
    data = (tmp_path / "out.jpg").read_bytes()
    assert b'dc:title="mine"' in data
    assert b'tiff:Orientation="1"' in data
    assert data.count(b"compositeWithTrainedAlgorithmicMedia") == 1


def test_png_text_is_kept(tmp_path):
    info = PngInfo()
    info.add_text("Author", "me")
    Image.fromarray(RGB).save(tmp_path / "in.png", pnginfo=info)
    round_trip(tmp_path / "in.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.text["Author"] == "me"
        assert image.text["Software"] == metadata.EDITED_MARK


def test_damaged_exif_is_dropped_and_the_photo_is_edited(tmp_path):
    path = tmp_path / "in.jpg"
    Image.fromarray(RGB).save(path, exif=exif())
    data = path.read_bytes()
    place = data.index(b"Exif\0\0") + 14
    path.write_bytes(data[:place] + b"\xff" * 40 + data[place + 40:])
    photo, after = round_trip(path)
    assert photo.rgb.shape == after.rgb.shape == RGB.shape
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif()[ExifTags.Base.Software] == metadata.EDITED_MARK
