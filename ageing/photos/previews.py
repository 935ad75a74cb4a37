"""Pictures inside of metadata: they show the face as it was before it was edited."""

import re

# How JPEG, PNG, WebP, HEIF and AVIF begin: as they are, in base64 (of texts, also in UTF-16), and in hexadecimal.
PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|RIFF.{4}WEBP|ftyp(?:hei|mif|avif)|/\0?9\0?j\0?/|iVBORw0KGgo|UklGR"
                     rb"|ffd8ff(?:e|c|db|fe)|FFD8FF(?:E|C|DB|FE)", re.DOTALL)


def holds_picture(data):
    """Whether bytes or a text hold a picture."""
    return PICTURE.search(data.encode("utf-8", "replace") if isinstance(data, str) else data) is not None
