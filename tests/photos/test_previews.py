"""No picture of the unedited face is left in an output: one is put wherever a file can hold it, and looked for."""

import base64
import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from sample_photos import RGB
from test_metadata import jpeg_with, photoshop

from ageing.photos import exif as exif_tags
from ageing.photos import metadata, photo_file, xmp

NEEDLE = b"the face as it was before"


def _planted():
    file = io.BytesIO()
    Image.fromarray(RGB[:8, :8]).save(file, "JPEG", comment=NEEDLE)
    return file.getvalue()


PLANTED = _planted()
IN_BASE64, IN_HEX = base64.b64encode(PLANTED), PLANTED.hex().encode()
LINES = b"&#xA;".join(IN_BASE64[at:at + 76] for at in range(0, len(IN_BASE64), 76))


def needles():
    """What tells PLANTED in an output: as it is, in base64 at each of three places, in hexadecimal."""
    shifted = [base64.b64encode(bytes(shift) + NEEDLE)[4:-4] for shift in range(3)]
    return [NEEDLE, *shifted, NEEDLE.hex().encode()]


def exif_bytes():
    """EXIF with PLANTED in tags of each directory, known and unknown ones, and as the thumbnail of the second one."""
    tags = exif_tags.Exif()
    tags.put(exif_tags.ORIENTATION, exif_tags.SHORT, 1)
    tags.put(0x10F, exif_tags.TEXT, b"Camera & Sons")
    for number in (0x501B, 34377, 37724, 50341, 50740, 50827, 52545, 65_000):
        tags.tags[number] = exif_tags.Tag(7, PLANTED)
    tags.tags[exif_tags.EXIF] = {number: exif_tags.Tag(7, PLANTED) for number in (0x9286, 0xFDE8)}
    tags.tags[exif_tags.EXIF][exif_tags.MAKER_NOTE] = exif_tags.Tag(7, b"Minolta\0" + b"\2" + PLANTED[1:])
    tags.tags[exif_tags.EXIF][0x9003] = exif_tags.Tag(exif_tags.TEXT, b"2026:11:24 12:00:00\0")
    tags.tags[exif_tags.EXIF][exif_tags.INTEROP] = {9: exif_tags.Tag(7, PLANTED)}
    tags.tags[exif_tags.GPS] = {27: exif_tags.Tag(7, b"ASCII\0\0\0" + IN_BASE64)}
    data = bytearray(tags.tobytes())
    count = struct.unpack_from("<H", data, 14)[0]
    struct.pack_into("<L", data, 16 + 12 * count, len(data) - 6)    # the first directory's next one
    place = len(data) - 6 + 2 + 2 * 12 + 4
    data += struct.pack("<H HHLL HHLL L", 2, 0x201, 4, 1, place, 0x202, 4, 1, len(PLANTED), 0) + PLANTED
    return bytes(data)


def packet(unknown):
    thumbnails = (b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="a:b" dc:title="mine" '
                  b'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"><xmp:Thumbnails><rdf:Alt><rdf:li '
                  b'xmpGImg:image="' + LINES + b'"/></rdf:Alt></xmp:Thumbnails></rdf:Description>')
    maker = b'<rdf:Description xmlns:m="maker:own"><m:preview>' + LINES + b"</m:preview></rdf:Description>"
    return xmp.NEW.replace(b"</rdf:RDF>", thumbnails + maker * unknown + b"</rdf:RDF>")


def jpeg(path):
    tiff_header = b"MM\0*\0\0\0\x08"
    segments = [(0xE0, b"JFXX\0\x10" + PLANTED), (0xE2, b"MPF\0" + tiff_header + PLANTED), (0xE2, b"FPXR\0" + PLANTED),
                (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + IN_BASE64), (0xE3, b"Meta\0\0" + PLANTED),
                (0xE4, PLANTED), (0xEB, b"JP\0\1" + PLANTED), (0xEF, PLANTED), (0xFE, PLANTED), (0xFE, IN_BASE64),
                (0xED, photoshop((1033, bytes(28) + PLANTED), (1036, bytes(28) + PLANTED), (1061, PLANTED),
                                 (0x0404, b"\x1c\x08\xca" + struct.pack(">H", len(PLANTED)) + PLANTED),
                                 (1034, b"\1"), (1035, PLANTED), (3000, PLANTED)))]
    jpeg_with(path, *segments, exif_bytes=exif_bytes(), xmp_bytes=packet(True), trailer=PLANTED)


def png(path):
    info = PngImagePlugin.PngInfo()
    for name in ("exif", "APP1", "iptc", "8bim", "xmp"):
        lines = "\n".join(IN_HEX.decode()[at:at + 72] for at in range(0, len(IN_HEX), 72))
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(PLANTED):8}\n{lines}\n", zip=name == "8bim")
    info.add_text("workflow", f"data:image/jpeg;base64,{IN_BASE64.decode()}", zip=True)
    info.add_text("hexed", IN_HEX.decode())
    info.add_itxt("preview", IN_BASE64.decode())
    for before in (b"1", b"12"):
        info.add_text(f"after {len(before)}", base64.b64encode(before + PLANTED).decode())
    info.add_itxt("XML:com.adobe.xmp", packet(False).decode())
    info.add(b"prVw", PLANTED)
    info.add_text("Author", "me")
    Image.fromarray(RGB).save(path, pnginfo=info, exif=exif_bytes())
    path.write_bytes(path.read_bytes() + PLANTED)


def webp(path):
    Image.fromarray(RGB).save(path, exif=exif_bytes(), xmp=packet(False))
    data = path.read_bytes()
    data += b"PREV" + struct.pack("<L", len(PLANTED)) + PLANTED + bytes(len(PLANTED) % 2)
    path.write_bytes(data[:4] + struct.pack("<L", len(data) - 8) + data[8:])


def avif(path):
    Image.fromarray(RGB).save(path, exif=exif_bytes(), xmp=packet(True))
    path.write_bytes(path.read_bytes() + struct.pack(">L", 8 + len(PLANTED)) + b"free" + PLANTED)


def heic(path):
    heif = pytest.importorskip("pillow_heif")
    heif.from_bytes("RGB", RGB.shape[1::-1], RGB.tobytes()).save(path, exif=exif_bytes(), xmp=packet(False))


def tiff(path):
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.open(io.BytesIO(PLANTED))])
    tags = exif_tags.parse(exif_bytes())
    tags.tags[metadata.XMP_TAG] = exif_tags.Tag(exif_tags.BYTE, packet(False))
    tags.tags[33723] = exif_tags.Tag(7, PLANTED)
    exif_tags.add_to_tiff(path, tags.tags)


MAKERS = {".jpg": jpeg, ".png": png, ".webp": webp, ".avif": avif, ".heic": heic, ".tif": tiff}


@pytest.mark.parametrize("written", [".jpg", ".png", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("suffix", MAKERS)
def test_no_picture_of_the_unedited_face_is_left(tmp_path, suffix, written):
    MAKERS[suffix](tmp_path / f"in{suffix}")
    assert any(needle in (tmp_path / f"in{suffix}").read_bytes() for needle in needles())
    photo = photo_file.read(tmp_path / f"in{suffix}")
    out = tmp_path / f"out{written}"
    photo_file.save(out, photo, np.maximum(photo.native, 3))
    with Image.open(out) as image:
        image.load()
        texts = repr(image.info) + repr(getattr(image, "text", {}))
        assert image.getexif()[0x10F] == "Camera & Sons"
        assert image.getexif().get_ifd(exif_tags.EXIF)[0x9003] == "2026:11:24 12:00:00"
    whole = out.read_bytes() + texts.encode()
    assert not [needle for needle in needles() if needle in whole]
    assert any("picture inside" in note for note in photo.notes)
    if suffix in (".png", ".webp", ".tif", ".heic"):     # only known properties of its XMP hold a picture
        assert b'dc:title="mine"' in out.read_bytes()


def test_a_caption_that_a_png_has_as_raw_profile_is_told(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type iptc", f"\niptc\n       4\n{b'name'.hex()}\n")
    Image.fromarray(RGB).save(tmp_path / "in.png", pnginfo=info)
    assert photo_file.read(tmp_path / "in.png").notes == ["not kept: IPTC caption"]


def test_each_part_with_a_picture_is_told(tmp_path):
    for number, segment in enumerate([(0xFE, PLANTED), (0xED, photoshop((0x0404, PLANTED)))]):
        jpeg_with(tmp_path / f"{number}.jpg", segment)
        assert photo_file.read(tmp_path / f"{number}.jpg").notes == ["not kept: metadata with a picture inside"]
