"""XMP: the mark that faces were edited, without what no longer holds of the picture.

Specification: ISO 16684-1. A property is an attribute or an element of an rdf:Description; its prefix is free.
"""

import functools
import re
from xml.dom import minidom

# The IPTC's term for a photo that a generative model changed; newsrooms and platforms look for it.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
XMLNS, RDF = "http://www.w3.org/2000/xmlns/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TIFF, EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
MARK = {"xmlns:Iptc4xmpExt": (XMLNS, IPTC), "Iptc4xmpExt:DigitalSourceType": (IPTC, SOURCE_TYPE)}
# XMP with nothing but the mark.
NEW = (f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" '
       + " ".join(f'{name}="{value}"' for name, (_, value) in MARK.items())
       + '/></rdf:RDF></x:xmpmeta>').encode()
# In place of a line break in an attribute, which minidom before Python 3.13 writes so that it is read as a space.
NEW_LINE = "\ue00a"
LONGEST = 16 << 20          # bytes
MOST_NODES = 200_000        # elements and attributes; each takes some 500 bytes in memory

# (namespace, pattern of names, what is said about it): properties that do not hold after editing, because the file that
# is written has one picture, without signature. None: nothing is said.
DROPPED = [
    (IPTC, r"DigitalSourceType", None),
    (r"http://ns\.google\.com/photos/1\.0/camera/", r"(MotionPhoto|MicroVideo)\w*", "motion video"),
    (r"http://ns\.(oplus|xiaomi|samsung|vivo|huawei)\.com/.*", r"\w*(MotionPhoto|MicroVideo|OLivePhoto|VideoLength)\w*",
     "motion video"),
    (r"http://ns\.google\.com/photos/1\.0/container/(item/)?", r".*", None),
    (r"http://ns\.adobe\.com/hdr-gain-map/1\.0/", r".*", "HDR gain map"),
    (r"http://ns\.apple\.com/(HDRGainMap|HDRToneMap|pixeldatainfo)/1\.0/", r".*", "HDR gain map"),
    (r"http://ns\.google\.com/photos/(1\.0/depthmap|dd/1\.0/\w+|1\.0/image)/", r".*", "depth map"),
    (r"http://ns\.apple\.com/depthData/1\.0/", r".*", "depth map"),
    (r"http://ns\.google\.com/photos/1\.0/audio/", r".*", "sound"),
    (r"http://ns\.adobe\.com/xmp/note/", r".*", "extended XMP"),
    (r"http://ns\.adobe\.com/xap/1\.0/", r"Thumbnails", None),
    (r"http://ns\.adobe\.com/photoshop/1\.0/", r"TextLayers|DocumentAncestors", None),  # of ancestors there are many
    (r"http://purl\.org/dc/terms/", r"provenance", "content credentials"),
    (r"http://c2pa\.org/.*", r".*", "content credentials"),
]
# The same of a picture that was turned: places in it.
TURNED = "places of faces, because the picture was turned"
PLACES = [
    (r"http://www\.metadataworkinggroup\.com/schemas/regions/", r".*", TURNED),
    (r"http://ns\.(microsoft\.com/photo/1\.2|acdsee\.com/regions|apple\.com/faceinfo/1\.0)/.*", r".*", TURNED),
    (EXIF, r"Subject(Area|Location)", None),
    (IPTC, r"ImageRegion", TURNED),
]


def of_edited(xmp, width, height, turned=False):
    """(XMP bytes with the mark, {what of the old XMP is not kept}).

    xmp: bytes; None or empty: new ones. width, height: of the upright picture, set where the XMP states them. turned:
    whether places in the picture do not hold.
    """
    if not xmp:
        return NEW, set()
    try:
        return _of_edited(xmp, width, height, turned)
    except Exception:  # damaged XML raises errors of several kinds; deep nesting ends in RecursionError
        return NEW, {"XMP, which is damaged"}


def _of_edited(xmp, width, height, turned):
    document, rdf = _parsed(xmp)
    stated = {(TIFF, "Orientation"): 1, (TIFF, "ImageWidth"): width, (TIFF, "ImageLength"): height,
              (EXIF, "PixelXDimension"): width, (EXIF, "PixelYDimension"): height}
    not_kept = set()
    for element in rdf.getElementsByTagName("*"):
        for node in (element, *element.attributes.values()):
            name = node.namespaceURI, node.nodeName.rpartition(":")[2]
            what = _dropped(*name, turned)
            if what is not False:
                not_kept.add(what)
                element.removeAttributeNode(node) if node is not element else element.parentNode.removeChild(element)
            elif name in stated and node is element:
                for text in element.childNodes[:1]:
                    text.data = str(stated[name])
            elif name in stated:
                node.value = str(stated[name])
            elif node is not element and "\n" in node.value:
                node.value = node.value.replace("\n", NEW_LINE)
    description = next((child for child in rdf.childNodes if child.nodeType == child.ELEMENT_NODE), None)
    if description is None:
        return NEW, not_kept - {None}
    for name, (space, value) in MARK.items():
        description.setAttributeNS(space, name, value)
    text = "".join(child.toxml() for child in document.childNodes)
    return text.replace(NEW_LINE, "&#10;").encode("utf-8", "replace"), not_kept - {None}


def _parsed(xmp):
    """(document, its element rdf:RDF). Raises errors of several kinds."""
    if xmp[:2] not in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16
        xmp = xmp.strip(b"\0 \r\n\t")
    if len(xmp) > LONGEST or xmp.count(b"<") + xmp.count(b"=") > MOST_NODES:
        raise ValueError("too long")
    if b"<!DOCTYPE" in xmp.replace(b"\0", b""):
        raise ValueError("definitions of entities")
    document = minidom.parseString(xmp)
    return document, document.getElementsByTagNameNS(RDF, "RDF")[0]


@functools.lru_cache
def _dropped(space, name, turned):
    """What is said about a property `name` of the namespace `space` that is not kept, or None; False if it is kept."""
    for spaces, names, what in DROPPED + PLACES * turned:
        if re.fullmatch(spaces, space or "") and re.fullmatch(names, name):
            return what
    return False


def orientation(xmp):
    """1 to 8: the orientation that XMP bytes state, 1 if none."""
    stated = re.search(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""", xmp or b"")
    return int(stated[1]) if stated else 1
