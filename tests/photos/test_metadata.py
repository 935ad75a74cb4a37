"""What a photo's metadata says after its faces were edited."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from sample_photos import RGB, SRGB, exif, round_trip

from ageing.photos import exif as exif_tags
from ageing.photos import metadata, photo_file, xmp


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
    more = (b'<rdf:Description tiff:Orientation="6" dc:title="mine" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
            b'xmlns:dc="http://purl.org/dc/elements/1.1/"/></rdf:RDF>')
    Image.fromarray(RGB).save(tmp_path / "in.jpg", xmp=xmp.NEW.replace(b"</rdf:RDF>", more))
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


def jpeg_with(path, *segments, exif_bytes=None, xmp_bytes=None, trailer=b""):
    """A JPEG of RGB with more segments, (marker, bytes), behind its first one."""
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", **{"exif": exif_bytes or b"", "xmp": xmp_bytes or b""})
    data = file.getvalue()
    more = b"".join(bytes([255, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    path.write_bytes(data[:20] + more + data[20:] + trailer)


def photoshop(*resources):
    return b"Photoshop 3.0\0" + b"".join(b"8BIM" + struct.pack(">HHL", number, 0, len(value)) + value
                                         + bytes(len(value) % 2) for number, value in resources)


def test_iptc_of_a_jpeg_is_kept_and_its_thumbnail_is_not(tmp_path):
    caption = b"\x1c\x02\x78\x00\x07caption"
    resources = photoshop((1036, b"\xff\xd8\xff thumbnail"), (0x0404, caption), (0x040A, b"\1"))
    jpeg_with(tmp_path / "in.jpg", (0xED, resources))
    photo, after = round_trip(tmp_path / "in.jpg")
    assert after.meta.resources == {0x0404: caption, 0x040A: b"\1"}
    assert b"thumbnail" not in (tmp_path / "out.jpg").read_bytes()
    assert not photo.notes
    photo_file.save(tmp_path / "out.png", photo, photo.native)
    assert photo.notes == ["its IPTC caption is not kept in PNG"]


CONTENT_CREDENTIALS = b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x1djumdc2pa"


@pytest.mark.parametrize(("segment", "said"), [
    ((0xEB, CONTENT_CREDENTIALS), "content credentials"),
    ((0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"), "HDR gain map")])
def test_segments_that_do_not_hold_are_dropped_and_that_is_said(tmp_path, segment, said):
    jpeg_with(tmp_path / "in.jpg", segment)
    photo, _ = round_trip(tmp_path / "in.jpg")
    assert photo.notes == [f"not kept: {said}"]
    assert segment[1] not in (tmp_path / "out.jpg").read_bytes()


def test_content_credentials_of_png_and_tiff_are_dropped(tmp_path):
    info = PngInfo()
    info.add(b"caBX", b"jumb")
    Image.fromarray(RGB).save(tmp_path / "in.png", pnginfo=info)
    Image.fromarray(RGB).save(tmp_path / "in.tif", tiffinfo={metadata.C2PA_TAG: b"jumb"})
    for name in ("in.png", "in.tif"):
        photo, _ = round_trip(tmp_path / name)
        assert photo.notes == ["not kept: content credentials"]
        assert b"jumb" not in (tmp_path / f"out{name[2:]}").read_bytes()


def test_a_motion_photo_becomes_a_photo_and_one_note_says_so(tmp_path):
    claims = (b'<rdf:Description xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" '
              b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></rdf:RDF>')
    jpeg_with(tmp_path / "in.jpg", xmp_bytes=xmp.NEW.replace(b"</rdf:RDF>", claims), trailer=b"\0\0\0\x18ftypmp42")
    photo, _ = round_trip(tmp_path / "in.jpg")
    assert photo.notes == ["not kept: HDR gain map, motion video"]
    for word in (b"GCamera:MotionPhoto", b"hdrgm:Version", b"ftypmp42"):
        assert word not in (tmp_path / "out.jpg").read_bytes()


def test_the_second_picture_of_a_jpeg_is_told(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[Image.fromarray(RGB)])
    photo, after = round_trip(tmp_path / "in.jpg")
    assert photo.notes == ["not kept: second picture (gain map or stereo view)"]
    assert not after.notes
    assert b"MPF\0" not in (tmp_path / "out.jpg").read_bytes()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".heic"])
def test_places_in_the_picture_stay_only_if_it_is_not_turned(tmp_path, suffix, orientation):
    tags = exif_tags.Exif()
    tags.put(exif_tags.ORIENTATION, exif_tags.SHORT, orientation)
    tags.put(0x9214, exif_tags.SHORT, 11, 12, 13, 14, inside=exif_tags.EXIF)
    tags.put(0xA214, exif_tags.SHORT, 11, 12, inside=exif_tags.EXIF)
    tags.put(0x9003, exif_tags.TEXT, b"2026:11:24 12:00:00", inside=exif_tags.EXIF)
    more = (b'<rdf:Description xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
            b'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" xmlns:dc="a:b" dc:title="mine">'
            b'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li '
            b'mwg-rs:Name="Ann"><mwg-rs:Area stArea:x="0.5" stArea:y="0.3"/></rdf:li></rdf:Bag></mwg-rs:RegionList>'
            b'</mwg-rs:Regions></rdf:Description></rdf:RDF>')
    packet = xmp.NEW.replace(b"</rdf:RDF>", more)
    path = tmp_path / f"in{suffix}"
    if suffix == ".tif":
        Image.fromarray(RGB).save(path)
        tags.tags[metadata.XMP_TAG] = exif_tags.Tag(exif_tags.BYTE, packet)
        exif_tags.add_to_tiff(path, tags.tags)
    elif suffix == ".heic":
        heif = pytest.importorskip("pillow_heif")
        heif.from_bytes("RGB", RGB.shape[1::-1], RGB.tobytes()).save(path, exif=tags.tobytes(), xmp=packet)
    else:
        jpeg_with(path, exif_bytes=tags.tobytes(), xmp_bytes=packet)
    photo, after = round_trip(path, tmp_path / "out.jpg")
    inside, turned = after.meta.exif.tags[exif_tags.EXIF], orientation == 6
    assert (after.rgb.shape == (60, 40, 3)) == turned
    assert [number in inside for number in (0x9214, 0xA214)] == [not turned] * 2
    assert 0x9003 in inside
    assert (b"Ann" in after.meta.xmp) == (b"stArea:x" in after.meta.xmp) == (not turned)
    assert b"mine" in after.meta.xmp
    assert photo.notes == ["not kept: places of faces, because the picture was turned"] * turned


@pytest.mark.parametrize("length", [65_200, 65_450])
def test_xmp_that_fills_its_segment_is_written_with_the_mark(tmp_path, length):
    description = b'<rdf:Description xmlns:p="a:b" p:large="%s"/>' % (b"x" * (length - len(xmp.NEW) - 48))
    jpeg_with(tmp_path / "in.jpg", xmp_bytes=xmp.NEW.replace(b"</rdf:RDF>", description + b"</rdf:RDF>"))
    photo, _ = round_trip(tmp_path / "in.jpg")
    assert b"xxx" in (tmp_path / "out.jpg").read_bytes()
    assert not photo.notes


def test_of_xmp_that_is_too_large_for_a_jpeg_only_the_mark_stays(tmp_path):
    photo = photo_file.Photo(RGB, RGB, "RGB", "PNG", metadata.Metadata(xmp=xmp.NEW + b" " * 65_504))
    photo_file.save(tmp_path / "out.jpg", photo, RGB)
    assert (tmp_path / "out.jpg").read_bytes().count(b"compositeWithTrainedAlgorithmicMedia") == 1
    assert photo.notes == ["too large for a JPEG: XMP"]


def test_exif_that_fills_its_segment_is_written_with_the_mark(tmp_path):
    tags = exif_tags.Exif()
    tags.put(exif_tags.ORIENTATION, exif_tags.SHORT, 6)
    tags.put(0x9286, exif_tags.TEXT, b"x" * 65_400, inside=exif_tags.EXIF)
    jpeg_with(tmp_path / "in.jpg", exif_bytes=tags.tobytes())
    photo, after = round_trip(tmp_path / "in.jpg")
    assert after.rgb.shape == (60, 40, 3)
    assert metadata.is_marked(tmp_path / "out.jpg")
    assert photo.notes == ["too large for a JPEG: EXIF"]


def test_what_is_too_large_for_a_jpeg_is_left_out(tmp_path):
    """A PNG has room for any profile and EXIF."""
    profile = SRGB + np.random.default_rng(1).integers(0, 256, 16_710_000, np.uint8).tobytes()
    photo = photo_file.Photo(RGB, RGB, "RGB", "PNG", metadata.Metadata(icc_profile=profile, comment=b"c" * 70_000))
    photo_file.save(tmp_path / "out.jpg", photo, RGB)
    assert photo.notes == ["too large for a JPEG: comment, colour profile"]


@pytest.mark.parametrize("segment", [
    (0xED, b"Photoshop 3.0\0" + b"8BIM\4"), (0xE2, b"MPF\0MM\0*\0\0\0\x08" + b"\0\3" + b"\xff" * 30),
    (0xE2, b"MPF\0II*\0\x08\0\0\0"), (0xE1, b"Exif\0\0MM\0*"), (0xE1, b"Exif\0\0")])
def test_a_damaged_segment_costs_no_photo(tmp_path, segment):
    jpeg_with(tmp_path / "in.jpg", segment)
    _, after = round_trip(tmp_path / "in.jpg")
    assert after.rgb.shape == RGB.shape


def test_raw_profiles_of_a_png_are_read_and_written_anew(tmp_path):
    """As ImageMagick writes EXIF into a text; it holds orientation and thumbnail."""
    data, info = exif(Orientation=6).tobytes(), PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n")
    Image.fromarray(RGB).save(tmp_path / "in.png", pnginfo=info)
    _, after = round_trip(tmp_path / "in.png")
    assert after.rgb.shape == (60, 40, 3)
    with Image.open(tmp_path / "out.png") as image:
        assert "Raw profile type exif" not in image.text
        assert image.getexif()[ExifTags.Base.Make] == "Camera & Sons"


def test_orientation_in_xmp_counts_where_exif_has_none(tmp_path):
    more = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF>'
    jpeg_with(tmp_path / "in.jpg", xmp_bytes=xmp.NEW.replace(b"</rdf:RDF>", more))
    _, after = round_trip(tmp_path / "in.jpg")
    assert after.rgb.shape == (60, 40, 3)
