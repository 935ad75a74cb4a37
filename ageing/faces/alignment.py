"""Bring faces into UTKFace's framing, in which the generators learned them.

    placements = Aligner().align(photo, faces)              photo: uint8 RGB (H, W, 3); faces: [detector.Face]
    crop = cut(photo, placements[0].matrix, 128)

A placement says where the unit square of UTKFace's framing (x to the right, y down, 0 to 1) lies in the photo. Places
are continuous: the photo's first pixel covers 0 to 1, its centre is 0.5.
"""

import dataclasses
import math

import cv2
import numpy as np
from PIL import Image

from ageing.faces import landmarks

# UTKFace's framing relative to the detector's box, medians of 150 crops: the side of the square is 1.02 times the
# height of the box, its centre lies 0.018 sides below the centre of the box.
SIDE_OF_HEIGHT = 1.02
DOWN = 0.018

# Groups of landmarks: both eyes, nose, mouth. Their means come nearer to UTKFace's own alignment than all landmarks or
# the corners of eyes and mouth do.
GROUPS = slice(36, 42), slice(42, 48), slice(27, 36), slice(48, 68)
JAW, BROWS, NOSE_TIP, NOSE_BASE = slice(0, 17), slice(17, 27), 30, 33
# Which landmark each becomes in a mirror image: the jaw, the brows, the nose, the eyes, the mouth.
MIRRORED = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), *range(45, 41, -1), 47, 46,
            *range(39, 35, -1), 41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1)]
# Where the means lie in UTKFace's framing: medians of 786 training faces, by
# `python assets/landmarks/measure_places.py data/utkface`
PLACES = np.array([[0.3016, 0.2831], [0.6858, 0.2824], [0.4915, 0.4974], [0.4933, 0.7025]])
MARGIN = 1.1          # side of the landmark network's crop, relative to the placement's: the best of 0.8 to 1.3

# Limits within which landmarks are trusted. They pass for 599 of 600 faces of UTKFace, 198 of 200 that are 25 pixels
# high, 178 of 200 blurred ones (by 3 % of the side), and 50 of 54 in photos: the others are in profile. They pass for
# none of 200 faces covered to two thirds; covered to a half, for 28 (one side), 58 (below) and 3 % (above).
LARGEST_MISFIT = 0.055       # shares of the side, root mean square: from the landmarks to where the fit puts them
# Two signs of a face in profile or half covered, each as the largest that is allowed without the other. See `doubt`.
LARGEST_DISAGREEMENT = 0.03  # shares of the side: between the shapes that are found in the crop and its mirror image
LARGEST_TURN = 0.8           # of the tip of the nose, from the middle between the eyes (0) to one of them (1)
LARGEST_ZOOM = 1.6           # ratio of the sides of the placement and of the detector's square, up or down
LARGEST_SHIFT = 0.3          # of the centre, as a share of the square's side: further away lies another face
STEEP = 30                   # degrees from upright: above, landmarks are found again in a crop turned by the first fit
TRIED_TILTS = -45, 45        # degrees: tried where landmarks are not trusted; those faces tilt by 50 or more
CENTRE = np.array([[0.5, 0.5]])

HAIRLINE = 0.8      # how high it lies above the brows, relative to how low the base of the nose lies below them
ROUND = np.linspace(0, 2 * np.pi, 32, endpoint=False)
OVAL = np.stack([0.5 + 0.43 * np.cos(ROUND), 0.46 + 0.48 * np.sin(ROUND)], 1)  # about the outline of a median face


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the framed face lies in a photo.

    matrix: float64 (2, 3), takes points of the unit square to the photo's pixels; rotation, scale and shift only.
    aligned: whether landmarks were found; without them the placement is the detector's square.
    outline: float64 (n, 2), the face's outline in the unit square, along the jaw and the hairline. It may reach out.
    """

    matrix: np.ndarray
    aligned: bool = True
    outline: np.ndarray = dataclasses.field(default_factory=lambda: OVAL)

    @property
    def side(self):
        """Length of the placement's sides in pixels of the photo."""
        return math.hypot(*self.matrix[:, 0])

    @property
    def corners(self):
        """float64 (4, 2): the placement's corners in the photo: upper left, upper right, lower right, lower left."""
        return self.at([(0, 0), (1, 0), (1, 1), (0, 1)])

    @property
    def bounds(self):
        """(left, top, right, bottom), whole pixels: the smallest upright rectangle that holds the placement."""
        low = np.floor(self.corners.min(0) + 1e-6).astype(int)
        high = np.ceil(self.corners.max(0) - 1e-6).astype(int)
        return (*low.tolist(), *high.tolist())

    @property
    def square(self):
        """(left, top, side), whole pixels: the smallest upright square that holds the placement."""
        left, top, right, bottom = self.bounds
        return left, top, max(right - left, bottom - top)

    def at(self, points):
        """Where points (n, 2) of the unit square lie in the photo."""
        return transform(self.matrix, points)

    def within_it(self, points):
        """Where points (n, 2) of the photo lie in the unit square."""
        return transform(cv2.invertAffineTransform(self.matrix), points)

    def within(self, height, width, margin=0):
        """`bounds`, with `margin` pixels more on each side, cut to a photo of `height` x `width` pixels."""
        left, top, right, bottom = self.bounds
        return max(left - margin, 0), max(top - margin, 0), min(right + margin, width), min(bottom + margin, height)

    def moved(self, left, top):
        """The same placement in the part of the photo that begins at (left, top)."""
        return dataclasses.replace(self, matrix=self.matrix - [[0, 0, left], [0, 0, top]])


class Aligner:
    """Finds the placements of faces. Raises UserError if the landmark network cannot be read."""

    def __init__(self):
        self.landmarks = landmarks.Landmarks()

    def align(self, photo, faces):
        """[Placement], one for each of `faces` in uint8 RGB `photo`."""
        squares = [placement_of(face.box, face.turn) for face in faces]
        placements = self._fitted(photo, [square.matrix for square in squares]) if faces else []
        for i in (i for i, placement in enumerate(placements) if placement is None):
            tilted = self._fitted(photo, [about_centre(squares[i].matrix, degrees=tilt) for tilt in TRIED_TILTS])
            placements[i] = next((placement for placement in tilted  # upright again: what was not trusted before
                                  if placement and tilt(placement.matrix, squares[i].matrix) > STEEP), squares[i])
        return placements

    def _fitted(self, photo, squares):
        """[Placement or None where landmarks are not to be trusted], from the matrices of the detector's squares."""
        first = [fitted(means(points)).matrix for points in self.points(photo, squares)[0]]
        for i in (i for i, square in enumerate(squares) if tilt(first[i], square) > STEEP):
            first[i] = fitted(means(self.points(photo, [first[i]])[0][0])).matrix
        found = zip(squares, *self.points(photo, first, mirror=True), strict=True)
        return [outlined(points) if is_trusted(points, disagreement, Placement(square)) else None
                for square, points, disagreement in found]

    def points(self, photo, matrices, mirror=False):
        """Where the landmarks of faces at the placements `matrices` lie in the photo: float64 (n, 68, 2).

        mirror: the mean with what is found in the mirror image. Returns also by how much the two differ, (n,), as
        shares of the placement's side; zeros without `mirror`.
        """
        inputs = [about_centre(matrix, MARGIN) for matrix in matrices]
        crops = np.stack([cut(photo, matrix, landmarks.SIZE) for matrix in inputs])
        found, differ = self.landmarks.find(crops).astype(np.float64), np.zeros(len(crops))
        if mirror:
            others = self.landmarks.find(np.ascontiguousarray(crops[:, :, ::-1]))[:, MIRRORED] * (-1, 1) + (1, 0)
            differ = [MARGIN * rms(one - transform(umeyama(other, one), other))
                      for one, other in zip(found, others, strict=True)]
            found = (found + others) / 2
        return np.stack([transform(matrix, points) for matrix, points in zip(inputs, found, strict=True)]), differ


def umeyama(source, target):
    """The similarity, float64 (2, 3), that takes points `source` to `target`, both (n, 2), with least squares.

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", eq. 40 to 43.
    """
    source_mean, target_mean = np.mean(source, 0), np.mean(target, 0)
    centred = source - source_mean
    u, d, vt = np.linalg.svd((target - target_mean).T @ centred / len(source))  # of the covariance, eq. 38
    s = np.array([1, np.sign(np.linalg.det(u @ vt))])                           # eq. 43: never a reflection
    rotation = u * s @ vt                                                       # eq. 40
    scale = (d * s).sum() / np.square(centred).sum(1).mean()                    # eq. 42
    return np.hstack([scale * rotation, (target_mean - scale * rotation @ source_mean)[:, None]])  # eq. 41


def transform(matrix, points):
    """Points (n, 2) taken through a (2, 3) matrix."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def rms(differences):
    """Root mean square length of differences of points, (..., n, 2) -> (...)."""
    return np.sqrt(np.square(differences).sum(-1).mean(-1))


def means(points):
    """Where eyes, nose and mouth lie, float64 (4, 2), by landmarks (68, 2)."""
    return np.stack([points[group].mean(0) for group in GROUPS])


def fitted(places):
    """The Placement of a face whose eyes, nose and mouth lie at `places`, float64 (4, 2), in the photo."""
    return Placement(umeyama(PLACES, places))


def outlined(points):
    """The Placement of a face with landmarks `points`, float64 (68, 2), in the photo, with the face's own outline.

    No landmark lies on the hairline. It is the jaw, turned upwards about its ends and scaled to HAIRLINE.
    """
    placement = fitted(means(points))
    points = placement.within_it(points)
    jaw, brows = points[JAW], points[BROWS, 1].mean()
    top = brows - HAIRLINE * (points[NOSE_BASE, 1] - brows)
    ends, chin = jaw[[0, -1], 1].mean(), jaw[:, 1].max()
    hairline = [(x, ends + (y - ends) * (top - ends) / (chin - ends)) for x, y in jaw[-2:0:-1]]
    return dataclasses.replace(placement, outline=np.concatenate([jaw, hairline]))


def doubt(points, disagreement):
    """Above 1 for a face in profile or half covered, whose landmarks do not fit. The further it is turned, the less its
    landmarks may disagree with those of its mirror image.
    """
    x = fitted(means(points)).within_it(points)[:, 0]
    left, right = (x[group].mean() for group in GROUPS[:2])
    turn = (2 * x[NOSE_TIP] - left - right) / (right - left)
    return (turn / LARGEST_TURN) ** 2 + (disagreement / LARGEST_DISAGREEMENT) ** 2


def is_trusted(points, disagreement, before):
    """Whether `points` and their `disagreement`, as of Aligner.points, are those of the face that `before` held."""
    places = means(points)
    placement = fitted(places)
    misfit = rms(placement.at(PLACES) - places) / placement.side
    zoom = placement.side / before.side
    shift = math.hypot(*placement.at(CENTRE)[0] - before.at(CENTRE)[0]) / before.side
    return (misfit <= LARGEST_MISFIT and doubt(points, disagreement) <= 1
            and 1 / LARGEST_ZOOM <= zoom <= LARGEST_ZOOM and shift <= LARGEST_SHIFT)


def tilt(matrix, other):
    """Degrees, 0 to 180, by which two placements are turned against each other."""
    x, y = matrix[:, 0] @ other[:, 0], matrix[:, 0] @ other[:, 1]
    return math.degrees(abs(math.atan2(y, x)))


def about_centre(matrix, zoom=1.0, degrees=0.0):
    """The placement of `matrix`, enlarged about its centre and turned clockwise."""
    x, y = zoom * math.cos(math.radians(degrees)), zoom * math.sin(math.radians(degrees))
    linear = matrix[:, :2] @ [[x, -y], [y, x]]
    return np.hstack([linear, (transform(matrix, CENTRE) - CENTRE @ linear.T).T])


def placement_of(box, turn=0):
    """The Placement of the detector's `box` (left, top, right, bottom), without landmarks.

    turn: by how many degrees clockwise the face is turned in the photo, a multiple of 90. The corners lie on whole
    pixels. It may reach out of the photo.
    """
    left, top, right, bottom = box
    x, y = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]  # the placement's x axis; its y axis is (-y, x)
    side = max(2, round(SIDE_OF_HEIGHT * (bottom - top if x else right - left)))
    down = DOWN * side
    left = round((left + right - side) / 2 - y * down)
    top = round((top + bottom - side) / 2 + x * down)
    origin = left + side * (x - y < 0), top + side * (x + y < 0)
    return Placement(np.array([[x * side, -y * side, origin[0]], [y * side, x * side, origin[1]]], np.float64), False)


def cut(photo, matrix, size):
    """The placement of `matrix` in uint8 RGB `photo`, resized to uint8 (size, size, 3).

    Outside of the photo it is filled by reflection. Large placements are reduced first: the warp has no filter.
    """
    corners = transform(matrix, [(0, 0), (1, 0), (0, 1), (1, 1)])
    shrink = max(1.0, math.hypot(*matrix[:, 0]) / size)
    more = 3 * shrink  # what the filters reach beyond the placement
    (left, right), (top, bottom) = (
        _needed(low - more, high + more, n)
        for low, high, n in zip(corners.min(0), corners.max(0), photo.shape[1::-1], strict=True))
    part, width, height = photo[top:bottom, left:right], right - left, bottom - top
    if shrink > 1:
        # The filter with which training resizes its images (face_folder.decode)
        reduced = max(1, round(width / shrink)), max(1, round(height / shrink))
        part = np.asarray(Image.fromarray(part).resize(reduced, Image.Resampling.LANCZOS, reducing_gap=3.0))
    zoom = np.array([[part.shape[1] / width], [part.shape[0] / height]])
    # OpenCV 5 never returns from reflecting an image that is one pixel wide or high.
    part = np.pad(part, [(0, int(n == 1)) for n in part.shape[:2]] + [(0, 0)], mode="edge")
    place = (matrix - [[0, 0, left], [0, 0, top]]) * zoom
    return cv2.warpAffine(part, between_centres(place / [size, size, 1]), (size, size),
                          flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101)


def between_centres(matrix):
    """A matrix between continuous places, as OpenCV counts them: there a pixel's centre is a whole number."""
    return np.hstack([matrix[:, :2], (transform(matrix, [(0.5, 0.5)])[0] - 0.5)[:, None]])


def _needed(low, high, length):
    """(begin, end) of the part of an axis of `length` that holds low to high, and what is reflected into it."""
    low, high = min(low, 2 * length - high), max(high, -low)
    begin = min(max(math.floor(low), 0), length - 1)
    return begin, max(min(math.ceil(high), length), begin + 1)
