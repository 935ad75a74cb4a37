"""XMP after editing says what holds of the edited picture."""

from xml.dom import minidom

import pytest

from ageing.photos import xmp

IPTC, RDF = xmp.IPTC, xmp.RDF
CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


def packet(attributes="", elements="", outer=""):
    return (f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
            f'<r:RDF xmlns:r="{RDF}"><r:Description r:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" '
            f'dc:title="mine" {attributes}>{elements}</r:Description>{outer}</r:RDF></x:xmpmeta>\n'
            + " " * 2000 + '\n<?xpacket end="w"?>').encode()


def source_types(data):
    """All values of DigitalSourceType, in each of its forms."""
    found = []
    for element in minidom.parseString(data).getElementsByTagName("*"):
        if element.hasAttributeNS(IPTC, "DigitalSourceType"):
            found.append(element.getAttributeNS(IPTC, "DigitalSourceType"))
        if (element.namespaceURI, element.localName) == (IPTC, "DigitalSourceType"):
            found.append(element.getAttributeNS(RDF, "resource") or element.firstChild.data)
    return found


@pytest.mark.parametrize("before", [
    None, b"", packet(),
    packet(f'xmlns:Iptc4xmpExt="{IPTC}" Iptc4xmpExt:DigitalSourceType="{CAPTURED}"'),
    packet(f'xmlns:e="{IPTC}" e:DigitalSourceType="{CAPTURED}"'),
    packet(elements=f'<e:DigitalSourceType xmlns:e="{IPTC}">{CAPTURED}</e:DigitalSourceType>'),
    packet(elements=f'<DigitalSourceType xmlns="{IPTC}" r:resource="{CAPTURED}"/>'),
    packet(f'xmlns:e="{IPTC}" e:DigitalSourceType="{CAPTURED}"',
           f'<e:DigitalSourceType>{CAPTURED}</e:DigitalSourceType>',
           f'<r:Description r:about="uuid:1" xmlns:f="{IPTC}" f:DigitalSourceType="{CAPTURED}"/>'),
    packet().decode().encode("utf-16"), packet().decode().replace("\ufeff", "").encode()])
def test_the_source_type_is_the_mark_and_stands_once(before):
    marked, missing = xmp.of_edited(before, 60, 40)
    assert source_types(marked) == [xmp.SOURCE_TYPE]
    assert not missing
    again = xmp.of_edited(marked, 60, 40)[0]
    assert (source_types(again), len(again)) == ([xmp.SOURCE_TYPE], len(marked))
    if before:
        assert b'dc:title="mine"' in marked
        abouts = {e.getAttributeNS(RDF, "about")
                  for e in minidom.parseString(marked).getElementsByTagNameNS(RDF, "Description")}
        assert abouts == {"uuid:1"}


CAMERA, CONTAINER = "http://ns.google.com/photos/1.0/camera/", "http://ns.google.com/photos/1.0/container/"
CLAIMS = [
    (packet(f'xmlns:GCamera="{CAMERA}" GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" '
            'GCamera:MotionPhotoPresentationTimestampUs="500"',
            f'<Container:Directory xmlns:Container="{CONTAINER}" xmlns:Item="{CONTAINER}item/"><r:Seq><r:li '
            'r:parseType="Resource"><Container:Item Item:Mime="video/mp4" Item:Semantic="MotionPhoto" '
            'Item:Length="9"/></r:li></r:Seq></Container:Directory>'), {"motion video"}),
    (packet(f'xmlns:c="{CAMERA}" c:MicroVideo="1" c:MicroVideoOffset="9"'), {"motion video"}),
    (packet('xmlns:OpCamera="http://ns.oplus.com/photos/1.0/camera/" OpCamera:MotionPhotoOwner="x"'),
     {"motion video"}),
    (packet('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"',
            "<hdrgm:GainMapMax>2</hdrgm:GainMapMax>"), {"HDR gain map"}),
    (packet('xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="65536"'),
     {"HDR gain map"}),
    (packet('xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeInverse"'), {"depth map"}),
    (packet('xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="ABC"'), {"extended XMP"}),
    (packet('xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://a.b/c.c2pa"'),
     {"content credentials"}),
    (packet(elements='<xmp:Thumbnails xmlns:xmp="http://ns.adobe.com/xap/1.0/"><r:Alt><r:li r:parseType="Resource">'
            '<xmpGImg:image xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/">/9j/4AAQ</xmpGImg:image></r:li>'
            "</r:Alt></xmp:Thumbnails>"), set()),
    (packet(elements='<p:DocumentAncestors xmlns:p="http://ns.adobe.com/photoshop/1.0/"><r:Bag><r:li>uuid:2</r:li></r:Bag>'
            "</p:DocumentAncestors>"), set()),
]


@pytest.mark.parametrize(("before", "said"), CLAIMS)
def test_what_the_output_has_not_is_not_claimed(before, said):
    marked, missing = xmp.of_edited(before, 60, 40)
    assert missing == said
    for word in (b":MotionPhoto", b":MicroVideo", b":Directory", b"hdrgm:Version", b":HDRGainMapVersion", b":Format",
                 b"Thumbnails", b"HasExtendedXMP", b"provenance", b"/9j/", b"uuid:2"):
        assert word not in marked
    assert b'dc:title="mine"' in marked


def test_other_properties_of_the_same_makers_stay():
    before = packet(f'xmlns:c="{CAMERA}" c:SpecialTypeID="x" c:MotionPhoto="1" '
                    'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:ProjectionType="cylindrical"')
    marked = xmp.of_edited(before, 60, 40)[0]
    assert b'c:SpecialTypeID="x"' in marked
    assert b'GPano:ProjectionType="cylindrical"' in marked


@pytest.mark.parametrize("form", ["attribute", "element"])
def test_orientation_and_size_are_those_of_the_output(form):
    spaces = f'xmlns:tiff="{xmp.TIFF}" xmlns:exif="{xmp.EXIF}" '
    values = {"tiff:Orientation": 6, "tiff:ImageWidth": 40, "tiff:ImageLength": 60, "exif:PixelXDimension": 40,
              "exif:PixelYDimension": 60}
    if form == "attribute":
        before = packet(spaces + " ".join(f'{name}="{value}"' for name, value in values.items()))
    else:
        before = packet(spaces, "".join(f"<{name}>{value}</{name}>" for name, value in values.items()))
    marked = xmp.of_edited(before, 61, 41)[0].decode()
    for name, value in zip(values, (1, 61, 41, 61, 41), strict=True):
        assert f'{name}="{value}"' in marked or f"<{name}>{value}</{name}>" in marked


@pytest.mark.parametrize("damaged", [
    b"<x:xmpmeta", b"no xml", packet().replace(b"</r:RDF>", b""), b"<a>" * 100_000, b"<a/>" * 60_000,
    b"<a>" * 20_000 + b"</a>" * 20_000,
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>' + packet()])
def test_damaged_xmp_is_replaced_and_that_is_said(damaged):
    marked, missing = xmp.of_edited(damaged, 60, 40)
    assert source_types(marked) == [xmp.SOURCE_TYPE]
    assert missing == {"XMP, which is damaged"}


def test_line_breaks_in_attributes_stay():
    marked = xmp.of_edited(packet('xmlns:p="a:b" p:instructions="one&#xA;two"'), 60, 40)[0]
    description = minidom.parseString(marked).getElementsByTagNameNS(RDF, "Description")[0]
    assert description.getAttributeNS("a:b", "instructions") == "one\ntwo"
