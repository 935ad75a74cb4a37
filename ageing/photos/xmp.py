"""XMP: the mark that faces were edited, without what no longer holds of the picture.

Specification: ISO 16684-1. A property is an attribute or an element of an rdf:Description; its prefix is free.
"""

import functools
import re
from xml.dom import minidom

from ageing.photos.previews import holds_picture

# The IPTC's term for a photo that a generative model changed; newsrooms and platforms look for it.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TIFF, EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
EMPTY = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
         b'</rdf:RDF></x:xmpmeta>')
# In place of a line break in an attribute, which minidom before Python 3.13 writes so that it is read as a space.
NEW_LINE = "\ue00a"
LONGEST = 16 << 20          # bytes
MOST_PARTS = 200_000        # elements and attributes; each takes some 500 bytes in memory

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
    (r"http://ns\.adobe\.com/photoshop/1\.0/", r"TextLayers", None),
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
DROPPED, PLACES = ([(re.compile(space if "\\" in space else re.escape(space)), re.compile(name), what)
                    for space, name, what in known] for known in (DROPPED, PLACES))


def marked(xmp, width, height, turned=False):
    """(XMP bytes with the mark, {what of the old XMP is not kept}).

    xmp: bytes; None or empty: new ones. width, height: of the upright picture, set where the XMP states them. turned:
    whether places in the picture do not hold.
    """
    if not xmp:
        return _new(), set()
    try:
        document = _parsed(xmp)
    except Exception:  # damaged XML raises errors of several kinds; deep nesting ends in RecursionError
        return _new(), {"XMP, which is damaged"}
    missing = set()
    elements = document.getElementsByTagName("*")
    spaces = set()
    for element in elements:
        nodes = [element, *element.attributes.values()] if element.hasAttributes() else [element]
        for node in nodes:  # declarations of namespaces are attributes, too
            name = node.nodeName.rpartition(":")[2]  # quicker than node.localName
            what = _dropped(node.namespaceURI, name, turned)
            if what is not False:
                missing.add(what)
                spaces.add(node.namespaceURI)
                element.removeAttributeNode(node) if node is not element else _remove(element)
            elif node.namespaceURI in (TIFF, EXIF):
                _correct(node, width, height)
            elif node.nodeValue and "\n" in node.nodeValue:
                node.value = node.nodeValue.replace("\n", NEW_LINE)
    if spaces:
        _forget(document.getElementsByTagName("*"), spaces)
    _add_mark(document)
    data = _bytes(document)
    if holds_picture(data):  # in a property that is not known here
        return _new(), {"XMP, which has a picture inside"}
    return data, missing - {None}


def shrunk(xmp, room):
    """(XMP bytes of at most `room` bytes, how many properties were left out, the largest first). xmp: from `marked`."""
    if len(xmp) <= room:
        return xmp, 0
    document = _parsed(xmp)
    _strip(document)
    properties = []
    for description in _rdf(document).childNodes:
        inside = [child for child in description.childNodes if child.nodeType == child.ELEMENT_NODE]
        attributes = [a for a in (description.attributes or {}).values()
                      if a.prefix != "xmlns" and a.namespaceURI not in (RDF, IPTC)]
        properties += [(len(child.toxml().encode()), description.removeChild, child) for child in inside]
        properties += [(len(a.value.encode()), description.removeAttributeNode, a) for a in attributes]
    properties.sort(key=lambda known: -known[0])
    left_out, data = 0, _bytes(document)
    while len(data) > room and left_out < len(properties):
        excess = len(data) - room
        while excess > 0 and left_out < len(properties):
            size, remove, node = properties[left_out]
            remove(node)
            excess -= size
            left_out += 1
        data = _bytes(document)
    return (data, left_out) if len(data) <= room else (_new(), len(properties) + 1)


def _parsed(xmp):
    """A document with an rdf:RDF. Raises errors of several kinds."""
    if xmp[:2] not in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16
        xmp = xmp.strip(b"\0 \r\n\t")
    if len(xmp) > LONGEST or xmp.count(b"<") + xmp.count(b"=") > MOST_PARTS:
        raise ValueError("too long")
    if b"<!DOCTYPE" in xmp or b"<\0!\0" in xmp or b"\0<\0!" in xmp:
        raise ValueError("definitions of entities")
    document = minidom.parseString(xmp)
    if _rdf(document) is None:
        raise ValueError("no rdf:RDF")
    return document


def _rdf(document):
    """The element rdf:RDF: the root, or inside of it."""
    root = document.documentElement
    return next((node for node in (root, *root.childNodes) if node.nodeType == node.ELEMENT_NODE
                 and node.namespaceURI == RDF and node.localName == "RDF"), None)


@functools.lru_cache
def _dropped(space, name, turned):
    """What is said about a property `name` of the namespace `space` that is not kept, or None; False if it is kept."""
    for dropped, names, what in DROPPED + PLACES * turned:
        if dropped.fullmatch(space or "") and names.fullmatch(name or ""):
            return what
    return False


def _remove(element):
    if element.parentNode is not None:
        element.parentNode.removeChild(element)


def _correct(node, width, height):
    """Set orientation and size where `node`, an attribute or an element, states them."""
    known = {(TIFF, "Orientation"): 1, (TIFF, "ImageWidth"): width, (TIFF, "ImageLength"): height,
             (EXIF, "PixelXDimension"): width, (EXIF, "PixelYDimension"): height}
    value = known.get((node.namespaceURI, node.localName))
    if value is None:
        return
    if node.nodeType == node.ATTRIBUTE_NODE:
        node.value = str(value)
    elif node.firstChild is not None and node.firstChild.nodeType == node.TEXT_NODE:
        node.firstChild.data = str(value)


def _forget(elements, spaces):
    """Remove the declarations of those of `spaces`, namespaces, that nothing is named by any more."""
    used = {node.namespaceURI for e in elements for node in (e, *e.attributes.values())}
    for element in elements if spaces - used else ():
        for node in list(element.attributes.values()):
            if node.prefix == "xmlns" and node.value in spaces - used:
                element.removeAttributeNode(node)


def _add_mark(document):
    rdf = _rdf(document)
    inside = [child for child in rdf.childNodes if child.nodeType == child.ELEMENT_NODE]
    about = inside[0].getAttributeNS(RDF, "about") if inside else ""  # all have the same
    for description in inside:
        properties = [a for a in description.attributes.values() if a.prefix != "xmlns" and a.namespaceURI != RDF]
        if not properties and not any(child.nodeType == child.ELEMENT_NODE for child in description.childNodes):
            rdf.removeChild(description)
    mark = document.createElementNS(RDF, "rdf:Description")
    for space, name, value in (("http://www.w3.org/2000/xmlns/", "xmlns:rdf", RDF), (RDF, "rdf:about", about),
                               ("http://www.w3.org/2000/xmlns/", "xmlns:Iptc4xmpExt", IPTC),
                               (IPTC, "Iptc4xmpExt:DigitalSourceType", SOURCE_TYPE)):
        mark.setAttributeNS(space, name, value)
    rdf.appendChild(mark)


@functools.cache
def _new():
    document = minidom.parseString(EMPTY)
    _add_mark(document)
    return _bytes(document)


def _strip(node):
    """Remove the spaces between elements."""
    children = list(node.childNodes)
    between = any(child.nodeType == child.ELEMENT_NODE for child in children)
    for child in children:
        if child.nodeType == child.TEXT_NODE and between and not child.data.strip():
            node.removeChild(child)
        else:
            _strip(child)


def _bytes(document):
    text = "".join(child.toxml() for child in document.childNodes)
    return text.replace(NEW_LINE, "&#10;").encode("utf-8", "replace")
