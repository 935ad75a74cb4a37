"""A photo's colour profile. Its own stays as it is, as Metadata.icc_profile; here one is made for a photo without it.

Each format can carry an ICC profile. It says what the file says in other ways: by code points of ITU-T H.273 (HEIF,
AVIF, PNG), a PNG's gamma and chromaticities, or EXIF (Adobe RGB). A picture in HDR becomes one in SDR.
"""

import dataclasses
import re
import struct

import cv2
import numpy as np

from ageing import hdr
from ageing.photos import exif, sixteen_bit

BT2020, DISPLAY_P3 = 9, 12  # primaries
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}   # of other transfer functions; all that are not here are viewed as sRGB's
D65 = (0.3127, 0.329)
SRGB = (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)     # chromaticities x, y of white, red, green and blue
ADOBE_RGB = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
NTSC = (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)
CHROMATICITIES = {4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08), 5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
                  6: NTSC, 7: NTSC, BT2020: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
                  11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
                  DISPLAY_P3: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
                  22: (*D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077)}   # of the primaries; all others are sRGB's
CODE_POINTS = re.compile(rb"\0{3}\x04cICP(.)(.)|colrnclx\0(.)\0(.)", re.DOTALL)  # of a PNG, and of AVIF's first item
HEAD = 1 << 20              # bytes of a file within which they stand
COLOUR_SPACE = 0xA001       # EXIF's tag; 2 is Adobe RGB to some cameras


@dataclasses.dataclass(frozen=True)
class Space:
    """chromaticities: as SRGB. gamma: None is sRGB's curve. hdr: hdr.PQ, hdr.HLG or None."""

    chromaticities: tuple = SRGB
    gamma: float | None = None
    hdr: int | None = None


def stated(image, path, meta):
    """The Space that a loaded image states by other means than an ICC profile, or one as sRGB. meta: its Metadata."""
    primaries, transfer = _code_points(image, path)
    if transfer in (hdr.PQ, hdr.HLG) and (image.format == "PNG" or not meta.icc_profile):
        return Space(CHROMATICITIES.get(primaries, SRGB), hdr=transfer)
    if image.mode == "LAB":  # it becomes RGB
        meta.icc_profile = None
    if meta.icc_profile or image.mode == "LAB":
        return Space()
    if primaries is not None:
        return Space(CHROMATICITIES.get(primaries, SRGB), GAMMAS.get(transfer))
    gamma, chromaticities = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" not in image.info and (gamma or chromaticities):
        usual = not gamma or abs(gamma * 2.2 - 1) < 0.05     # a display's: written by programs that mean sRGB
        near = not chromaticities or np.allclose(chromaticities, SRGB, atol=0.005)
        return Space(SRGB if near else tuple(chromaticities), None if usual else 1 / gamma)
    return by_exif(meta)


def by_exif(meta):
    """The Space that EXIF states: Adobe RGB, or one as sRGB."""
    tags = meta.exif.tags.get(exif.EXIF, {})
    index = tags.get(exif.INTEROP, {}).get(1)
    if (index and index.data[:3] == b"R03") or (COLOUR_SPACE in tags and tags[COLOUR_SPACE].data.strip(b"\0") == b"\2"):
        return Space(ADOBE_RGB, 563 / 256)
    return Space()


def _code_points(image, path):
    """(number of the primaries, number of the transfer function), each None if the file does not say it."""
    known = image.info.get("nclx_profile")
    if known:
        return known["color_primaries"], known["transfer_characteristics"]
    if image.format not in ("PNG", "AVIF"):
        return None, None
    with open(path, "rb") as file:
        code_points = CODE_POINTS.search(file.read(HEAD))
    return [ord(value) for value in code_points.groups() if value] if code_points else (None, None)


def settle(native, mode, meta, space):
    """(pixels, [what is to be told]) of pixels in a Space. meta, their Metadata, gets the ICC profile that they need.

    native: uint8 or uint16 (H, W) or (H, W, C).
    """
    notes = []
    if space.hdr:
        native, space = _reduced(native, mode, space)
        meta.icc_profile, notes = None, ["its HDR became SDR"]
    meta.icc_profile = meta.icc_profile or _made(space, is_grey=mode in ("L", "LA"))
    return native, notes


def _reduced(native, mode, space):
    """(uint8 pixels in SDR, the Space in which they are) of HDR pixels."""
    deep = native if native.dtype == np.uint16 else native.astype(np.uint16) * 257
    sdr = np.take(hdr.Curve(space.hdr).table, deep)
    if space.chromaticities == CHROMATICITIES[BT2020]:
        space = Space()
        if mode in ("RGB", "RGBA"):
            sdr[..., :3] = cv2.transform(sdr[..., :3], hdr.TO_BT709)
    if mode in ("RGBA", "LA"):
        sdr[..., -1] = sixteen_bit.to_eight_bits(deep[..., -1])
    return sdr, dataclasses.replace(space, hdr=None)


def _made(space, is_grey):
    """The bytes of an ICC profile (version 4, ICC.1:2022), None for a Space as sRGB or with impossible numbers."""
    if space == Space() or (is_grey and space.gamma is None):
        return None
    try:
        white, colours, adaptation = _colorants(space.chromaticities)
        return _icc(space, None if is_grey else colours, white, adaptation)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError, struct.error):
        return None


def _icc(space, colours, white, adaptation):
    kind, numbers = (3, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]) if space.gamma is None else (
        0, [space.gamma])
    curve = b"para" + struct.pack(">LHH", 0, kind, 0) + _fixed(numbers)
    text = "Colours as the photo's file states them".encode("utf-16-be")
    text = b"mluc" + struct.pack(">LLL2s2sLL", 0, 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": text, b"cprt": text, b"wtpt": b"XYZ \0\0\0\0" + _fixed(white),
            b"chad": b"sf32\0\0\0\0" + _fixed(adaptation.ravel())}
    if colours is None:
        tags[b"kTRC"] = curve
    else:
        for name, xyz in zip("rgb", colours.T, strict=True):
            tags |= {f"{name}XYZ".encode(): b"XYZ \0\0\0\0" + _fixed(xyz), f"{name}TRC".encode(): curve}
    table, data, start = struct.pack(">L", len(tags)), b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sLL", name, start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">L4sL4s4s4s6H4s", 128 + len(table) + len(data), b"", 0x04400000, b"mntr",
                       b"GRAY" if colours is None else b"RGB ", b"XYZ ", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    return (head + _fixed(white)).ljust(128, b"\0") + table + data


def _fixed(numbers):
    """s15Fixed16 numbers."""
    return struct.pack(f">{len(numbers)}l", *(round(float(number) * 65536) for number in numbers))


def _colorants(chromaticities):
    """(D50, XYZ of red, green and blue as columns, adapted to D50, the Bradford matrix that adapts)."""
    x, y = np.array(chromaticities, float).reshape(4, 2).T
    white, *colours = np.stack([x / y, np.ones(4), (1 - x - y) / y], 1)
    colours = np.array(colours).T
    d50 = np.array([0.9642, 1, 0.8249])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adaptation = np.linalg.inv(bradford) @ np.diag(bradford @ d50 / (bradford @ white)) @ bradford
    return d50, adaptation @ (colours * np.linalg.solve(colours, white)), adaptation
