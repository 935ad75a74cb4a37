"""Natural measures: what a change does to a face that no year explains. Pure functions of faces and their landmarks.

Faces are uint8 RGB (S, S, 3) in UTKFace's framing, points (68, 2) as of landmarks.Landmarks in shares of the side.
Each measure is either a level of one face, of which the change counts, or the root mean square of a change over the
skin. Two groups of people have levels, too, but no change from one to the other. For a root mean square they are
compared by what people of the first group would need on top of what they have: independent changes add their squares.
"""

import cv2
import numpy as np

from ageing.evaluation.formulas import bootstrap, lab, ratio_of_means
from ageing.faces import landmarks
from ageing.faces.alignment import MARGIN, about_centre, cut, transform

# Shares of the side.
BROW = 0.045    # thickness of a brow along its five landmarks
RIM = 0.03      # around brows and lips; the skin begins beyond it
AROUND = 0.04   # lashes around the eyes, nostrils around the nose's lower landmarks: no skin
INWARD = 0.03   # the skin ends so far inside of the outline: hair and shadow lie there
# Height above the brows as a share of the distance from the brows to the base of the nose. A face has three equal
# parts: hairline to brows, brows to nose, nose to chin. A fringe may hang into the upper half of the first.
HAIRLINE, SKIN_TOP = 1.0, 0.4

CUTOFFS = 4, 16         # cycles a face, between the three bands
COLOUR = tuple(f"colour on skin, {band} cycles a face, a* and b*" for band in ("below 4", "4 to 16", "above 16"))
STAINS = "stains, 4 to 16 cycles a face, L*"
OUTSIDE = "outside of the face, grey levels"
PATCHES = (*COLOUR, STAINS)
LEVELS = ("brows, L*", "rim of the brows, L*", "lips, L*", "rim of the lips, L*", "lips, a*",
          "texture on smooth skin, L*")
TITLES = (*PATCHES, *LEVELS, OUTSIDE)


def find_points(faces, network):
    """(n, 68, 2) of faces (n, S, S, 3) by `network`, a Landmarks, framed as the product does."""
    around = about_centre(np.eye(2, 3), MARGIN)
    crops = [cut(np.ascontiguousarray(face), around * len(face), landmarks.SIZE) for face in faces]
    return np.stack([transform(around, points) for points in network.find(np.stack(crops))])


def of_edits(before, after, points):
    """{title: (n,)} of the edits of n faces. The landmarks are those of the faces before."""
    return _stacked(_of_edit(*face) for face in zip(before, after, points, strict=True))


def noise(edits, before, after, mirrored_points):
    """{title: (n,)}: by how much `edits`, as of `of_edits`, differ if faces and outputs are mirrored.

    mirrored_points: the landmarks that are found in the mirror images of the faces before.
    """
    mirrored = of_edits(before[:, :, ::-1], after[:, :, ::-1], mirrored_points)
    return {title: np.abs(values - mirrored[title]) for title, values in edits.items()}


def of_faces(faces, points):
    """{title: (n,)} of n faces as they are: levels, and the mean squares of PATCHES."""
    return _stacked(_of_face(*face) for face in zip(faces, points, strict=True))


def between(source, target):
    """{title: estimate} of the change from people to others. Both: as of `of_faces`."""
    def root(after, before):
        return np.sign(after - before) * np.sqrt(abs(after - before))

    return {title: ratio_of_means(_known(target[title]), _known(source[title]),
                                  root if title in PATCHES else np.subtract) for title in (*PATCHES, *LEVELS)}


def estimates(measured):
    """{title: mean with its interval} of {title: (n,)}; None where no face has the measure."""
    return {title: bootstrap(known) if len(known := _known(values)) else None for title, values in measured.items()}


def _known(values):
    return values[np.isfinite(values)]


def _of_edit(before, after, points):
    masks, colours, edited = regions(points, len(before)), lab(before), lab(after)
    grey = np.abs(after.astype(np.float32) - before).mean(axis=2)
    after, before = levels(edited, masks), levels(colours, masks)
    squares = patches(edited - colours, masks["skin"])
    return {title: after[title] - before[title] for title in LEVELS} | {
        title: float(np.sqrt(squares[title])) for title in PATCHES} | {OUTSIDE: _mean(grey, masks["outside"])}


def _of_face(face, points):
    masks, colours = regions(points, len(face)), lab(face)
    return levels(colours, masks) | patches(colours, masks["skin"])


def regions(points, size):
    """{name: booleans (size, size)} of a face: "skin", "brows", "lips", the rims of both, "outside"."""
    def filled(*places):
        mask = np.zeros((size, size), np.uint8)
        for place in places:
            cv2.fillPoly(mask, [_fixed(place, size)], 1, shift=4)
        return mask

    def grown(mask, by, how=cv2.dilate):
        side = 2 * round(by * size) + 1
        return how(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))

    brows, lips = np.zeros((size, size), np.uint8), filled(points[48:60])
    for brow in (points[17:22], points[22:27]):
        cv2.polylines(brows, [_fixed(brow, size)], False, 1, max(1, round(BROW * size)), shift=4)
    around_brows, around_lips = grown(brows, RIM), grown(lips, RIM)
    other = grown(filled(points[36:42], points[42:48], points[31:36]), AROUND)
    skin = grown(filled(outline(points, SKIN_TOP)), INWARD, cv2.erode)
    masks = {"skin": skin & ~around_brows & ~around_lips & ~other,
             "brows": brows, "rim of the brows": around_brows & ~brows,
             "lips": lips & ~filled(points[60:68]), "rim of the lips": around_lips & ~lips,
             "outside": 1 - filled(outline(points, HAIRLINE))}
    return {name: mask.astype(bool) for name, mask in masks.items()}


def outline(points, top):
    """The face's outline as a polygon (n, 2): the jaw's landmarks, and half an ellipse over the forehead.

    top: its height above the brows, as a share of the distance from the brows to the base of the nose.
    """
    centre, half = (points[0] + points[16]) / 2, (points[16] - points[0]) / 2
    up = np.array([half[1], -half[0]]) / np.hypot(*half)
    brows = points[17:27].mean(0)
    height = (brows - centre) @ up + top * (brows - points[33]) @ up
    t = np.linspace(0, np.pi, 32)[1:-1, None]
    return np.concatenate([points[:17], centre + np.cos(t) * half + np.sin(t) * max(height, 0) * up])


def levels(colours, masks):
    """{title of LEVELS: number} of CIELAB (S, S, 3). Brows, lips and rims: less the mean of the skin."""
    (lightness, redness, _), skin = np.moveaxis(colours, 2, 0), masks["skin"]
    found = {f"{name}, L*": _mean(lightness, masks[name]) - _mean(lightness, skin)
             for name in ("brows", "rim of the brows", "lips", "rim of the lips")}
    return found | {"lips, a*": _mean(redness, masks["lips"]) - _mean(redness, skin),
                    "texture on smooth skin, L*": texture(lightness, skin)}


def texture(lightness, skin):
    """Root mean square above 16 cycles a face of the smoother half of the skin: neither lines nor a beard."""
    if not skin.any():
        return np.nan
    fine = np.square(_bands(lightness, skin)[2])
    around = _blurred(fine, skin, 1 / 32)
    return float(np.sqrt(_mean(fine, skin & (around <= np.median(around[skin])))))


def patches(colours, skin):
    """{title of PATCHES: mean square over the skin} of CIELAB (S, S, 3), or of a difference of two.

    The mean over the skin, which is its tint, does not count. Stains: each pixel counts by how little the band is
    line-like around it, 2 l / (l + L) with the eigenvalues l <= L of the structure tensor (Förstner and Gülch 1987;
    here Gaussian, sigma 1/16 of the side). It is 0 along a straight line and 1 in a round patch.
    """
    lightness, *colour = (_bands(channel, skin) for channel in np.moveaxis(colours, 2, 0))
    found = {title: sum(_mean(np.square(bands[i]), skin) for bands in colour) for i, title in enumerate(COLOUR)}
    return found | {STAINS: _mean(np.square(lightness[1]) * _roundness(lightness[1], skin), skin)}


def _roundness(band, skin):
    y, x = np.gradient(band)
    xx, yy, xy = (_blurred(product, skin, 1 / 16) for product in (x * x, y * y, x * y))
    return 1 - np.sqrt(np.square(xx - yy) + 4 * np.square(xy)) / np.maximum(xx + yy, 1e-9)


def _bands(channel, skin):
    """[below, between, above] CUTOFFS of the skin. A Gaussian passes half at a cutoff.

    What a paraboloid fits is below. Without that, a blur would take light from the side for patches along the rim.
    """
    y, x = np.indices(channel.shape) / len(channel)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)
    fitted = terms[skin]
    light = terms @ np.linalg.pinv(fitted.T @ fitted) @ (fitted.T @ channel[skin])
    rest = channel - light
    low, middle = (_blurred(rest, skin, np.sqrt(np.log(2) / 2) / np.pi / cycles) for cycles in CUTOFFS)
    return low + light - _mean(channel, skin), middle - low, rest - middle


def _blurred(channel, skin, sigma):
    """By a Gaussian whose sigma is a share of the side; only the skin counts (Knutsson and Westin 1993)."""
    weights = skin.astype(np.float32)
    total, of_skin = (cv2.GaussianBlur(np.float32(values), (0, 0), sigma * len(skin), borderType=cv2.BORDER_REFLECT)
                      for values in (channel * weights, weights))
    return total / np.maximum(of_skin, 1e-6)


def _mean(values, mask):
    return float(values[mask].mean()) if mask.any() else np.nan


def _fixed(places, size):
    """Places in shares of the side as OpenCV draws them: pixels' centres are whole numbers, times 2^4."""
    return np.int32(np.rint((places * size - 0.5) * 16))


def _stacked(of_each):
    of_each = list(of_each)
    return {title: np.array([one[title] for one in of_each]) for title in of_each[0]}
