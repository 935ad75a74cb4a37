"""Find the faces in a photo, with OpenCV's DNN module.

    faces = Detector().find(photo)          photo: uint8 RGB (H, W, 3); faces: [Face], the largest first
"""

import collections
import dataclasses
import functools

import cv2
import numpy as np

from ageing.errors import UserError
from ageing.project import PROJECT

WEIGHTS = PROJECT / "assets/face_detector/res10_ssd.onnx"

# Longer side in pixels of the largest copy that is searched. A face must be about 25 pixels high there.
FINEST = 1400
FINEST_SMALL_FACES = 4000   # takes several times as long

# The network's layers of prior boxes (deploy.prototxt): distance between neighbours, smallest and largest side, all in
# pixels; aspect ratios besides 1.
PRIORS = (8, 30, 60, (2,)), (16, 60, 111, (2, 3)), (32, 111, 162, (2, 3)), (64, 162, 213, (2, 3))
VARIANCES = np.array([0.1, 0.1, 0.2, 0.2], np.float32)   # scale the network's offsets
MEAN = (123, 177, 104)  # RGB, subtracted by the network: a pixel of this colour is zero to it


@dataclasses.dataclass(frozen=True)
class Face:
    """box: left, top, right, bottom in pixels of the photo, not rounded, may reach out of it; confidence: 0 to 1.

    turn: 0, 90, 180 or 270 degrees, by which the face is turned clockwise in the photo (180: it is upside down).
    """

    box: tuple[float, float, float, float]
    confidence: float
    turn: int = 0

    @property
    def area(self):
        return _area(self.box)


class Network:
    """The SSD face detector (Liu et al. 2016) on one image of any size. Raises UserError if it cannot be read."""

    least = 64   # pixels per side; OpenCV cannot compute a few pixels, so smaller images are padded

    def __init__(self, path=WEIGHTS):
        try:
            self.net = cv2.dnn.readNetFromONNX(str(path))
        except (cv2.error, OSError) as error:
            raise UserError(f"{path}: the face detector cannot be read ({str(error).strip().splitlines()[0][:120]}); "
                            "it is part of the repository: `git checkout` brings it back") from error

    def boxes(self, image, confidence):
        """[(confidence, box)] of at least `confidence` in uint8 RGB (H, W, 3), one for each face, the surest first.

        box: float array (4,): left, top, right, bottom in pixels.
        """
        below, right = (max(0, self.least - n) for n in image.shape[:2])
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=MEAN)
        self.net.setInput(cv2.dnn.blobFromImage(image))
        found, priors = self.net.forward()[0], prior_boxes(*image.shape[:2])
        confidence = np.clip(confidence, 1e-6, 1 - 1e-6)
        likely = found[:, 4] >= np.log(confidence / (1 - confidence))
        boxes, scores = decoded(found[likely], priors[likely])
        return [(float(scores[i]), boxes[i].astype(float)) for i in suppressed(boxes, scores)]


@functools.lru_cache(maxsize=8)
def prior_boxes(height, width):
    """float32 (n, 4): centre x, centre y, width, height in pixels, for an image of this size."""
    rows, columns = ((n + 1) // 2 // 2 for n in (height, width))   # after the first convolution and the pooling
    layers = []
    for step, smallest, largest, ratios in PRIORS:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        sizes = [(smallest, smallest), (np.sqrt(smallest * largest),) * 2]
        for ratio in np.sqrt(ratios):
            sizes += [(smallest * ratio, smallest / ratio), (smallest / ratio, smallest * ratio)]
        layer = np.empty((rows, columns, len(sizes), 4), np.float32)
        layer[..., 0] = (np.arange(columns)[None, :, None] + 0.5) * step
        layer[..., 1] = (np.arange(rows)[:, None, None] + 0.5) * step
        layer[..., 2:] = sizes
        layers.append(layer.reshape(-1, 4))
    return np.concatenate(layers)


def decoded(found, priors):
    """(boxes (n, 4), confidences (n,)) of the network's output (n, 5) for these priors (Liu et al. 2016, eq. 2)."""
    offsets = found[:, :4] * VARIANCES
    centres = priors[:, :2] + offsets[:, :2] * priors[:, 2:]
    halves = priors[:, 2:] * np.exp(offsets[:, 2:]) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1), 1 / (1 + np.exp(-found[:, 4]))


def suppressed(boxes, scores, overlap=0.3):
    """Indices of the boxes that remain, the surest first, of those whose intersection over union exceeds `overlap`."""
    corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.ravel(cv2.dnn.NMSBoxes(corner_size.tolist(), scores.tolist(), 0, overlap)).astype(int)


class Detector:
    """Finds upright and turned faces of any size.

    confidence: minimum of a face, 0 to 1. finest: longer side in pixels of the largest copy of the photo that is
    searched. Raises UserError if the network cannot be read.

    The network searches copies of the photo in several sizes. Where it is not sure (the face is turned, covered,
    blurred, or none), it takes a second look, larger and in all four turns; the surest turn counts. So turned faces are
    found if they look a little like upright ones. If there are no faces at all, the whole photo is turned and searched.
    """

    # Copies of the photo. The network finds faces of 25 to `largest` pixels in one copy.
    coarsest = 200      # pixels of the smallest copy's longer side
    margin = 30         # pixels around the smallest copy, so that a face may fill the photo
    step = 7            # neighbouring copies differ by this ratio at most
    largest = 213       # pixels: a higher face is left to the next smaller copy
    tile = 1500         # pixels: larger copies are cut into tiles of this side at most
    overlap = 120       # pixels that neighbouring tiles share
    # Confidences, 0 to 1.
    sure = 0.995        # from here an upright face needs no second look: turned ones reach 0.99
    doubtful = 0.3      # from here a face gets a second look
    turned = 0.9        # minimum of a turned face at the second look
    # The second look: one square around the face, in all four turns.
    cell = 112          # pixels of its side
    around = 2.0        # its side, in sides of the face

    def __init__(self, confidence=0.8, finest=FINEST):
        self.confidence, self.finest = confidence, finest
        self.network = Network()

    def find(self, photo):
        """[Face] in uint8 RGB (H, W, 3), the largest first."""
        faces = self._searched(photo, 0, self.sure)
        if not faces:
            faces = self._checked(photo, [face for turn in (90, 180, 270)
                                          for face in self._seen(photo, self.coarsest, turn)], self.sure)
        (turn, _), = collections.Counter(face.turn for face in faces).most_common(1) or [(0, 0)]
        if turn:   # the photo is turned, with all its faces
            faces += self._searched(photo, turn, self.turned)
        return sorted(self._distinct(faces), key=lambda face: -face.area)

    def _searched(self, photo, turn, sure):
        """[Face] of a photo whose faces are likely to be turned so; others are found at the second look."""
        faces = [face for side in self._sides(photo) for face in self._seen(photo, side, turn)]
        return self._checked(photo, faces, sure)

    def _sides(self, photo):
        """Longer sides of the copies of the photo that are searched, the smallest first."""
        finest = min(max(photo.shape[:2]), self.finest)
        if finest <= self.coarsest + 2 * self.margin:
            return [self.coarsest]
        steps = int(np.ceil(np.log(finest / self.coarsest) / np.log(self.step)))
        return [round(side) for side in np.geomspace(self.coarsest, finest, steps + 1)]

    def _seen(self, photo, side, turn=0):
        """[Face] that the network sees in a copy of the photo with the longer side `side`, if faces are turned so."""
        height, width = photo.shape[:2]
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        margin = self.margin if side == self.coarsest else 0
        copy = photo if size == (width, height) else cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        if margin:
            copy = cv2.copyMakeBorder(copy, *[margin] * 4, cv2.BORDER_CONSTANT, value=MEAN)
        upright = np.ascontiguousarray(np.rot90(copy, turn // 90))
        faces = []
        for x, y, tile in self._tiles(upright):
            for confidence, box in self.network.boxes(tile, min(self.doubtful, self.confidence)):
                if margin or box[3] - box[1] <= self.largest:
                    box = turned_back(box + (x, y, x, y), turn, *copy.shape[:2]) - margin
                    box *= (width / size[0], height / size[1]) * 2
                    faces.append(Face(tuple(box.tolist()), confidence, turn))
        return faces

    def _tiles(self, copy):
        """(x, y, pixels) of the fewest overlapping tiles that cover the copy."""
        height, width = copy.shape[:2]
        for y, bottom in spans(height, self.tile, self.overlap):
            for x, right in spans(width, self.tile, self.overlap):
                yield x, y, copy[y:bottom, x:right]

    def _checked(self, photo, faces, sure):
        """[Face]: the sure ones, and of the others those that hold at a second look, with their turn."""
        whole = (0, 0, *photo.shape[1::-1])
        faces = [face for face in faces if _shared(face.box, whole) > 0.5 * face.area]
        sure = max(sure, self.confidence)
        return self._distinct(faces, lambda face: face if face.confidence >= sure else self._look_again(photo, face))

    def _distinct(self, faces, check=lambda face: face):
        """[Face], checked, without those that overlap a surer one; of two sure ones the larger counts.

        check: returns the face, maybe corrected, or None. It is not called for faces that overlap a surer one.
        """
        kept = []
        for face in sorted(faces, key=lambda face: (-min(face.confidence, self.sure), -face.area)):
            if not any(same(face.box, other.box) for other in kept):
                face = check(face)
                if face:
                    kept.append(face)
        return kept

    def _look_again(self, photo, face):
        """The face in its surest turn, None if it is none: the network sees all four turns side by side."""
        c, (left, top, right, bottom) = self.cell, face.box
        side = self.around * max(right - left, bottom - top)
        x, y = (left + right - side) / 2, (top + bottom - side) / 2
        patch = cut_out(photo, x, y, side, c)
        rows = [np.concatenate([np.rot90(patch, k) for k in pair], axis=1) for pair in ((0, 1), (2, 3))]
        best = {}
        for confidence, box in self.network.boxes(np.concatenate(rows), 0.1):
            centre = (box[:2] + box[2:]) / 2
            cell = np.clip(centre // c, 0, 1).astype(int)
            turn = 90 * int(2 * cell[1] + cell[0])
            if np.abs(centre - (cell + 0.5) * c).max() < c / 5 and turn not in best:
                best[turn] = confidence, turned_back(box - np.tile(cell * c, 2), turn, c, c) * side / c + (x, y, x, y)
        turn = max(best, key=lambda turn: best[turn][0], default=face.turn)
        confidence, box = best.get(turn, (0, None))
        if turn == face.turn:
            confidence, box = max(confidence, face.confidence), face.box
        if confidence >= (self.confidence if turn == 0 else max(self.turned, self.confidence)):
            return Face(tuple(map(float, box)), confidence, turn)
        return None


def turned_back(box, turn, height, width):
    """A box in an image that was turned counter-clockwise by `turn` degrees, in the pixels of that image before.

    height, width: of the image before.
    """
    left, top, right, bottom = box
    return np.array({0: (left, top, right, bottom),
                     90: (width - bottom, left, width - top, right),
                     180: (width - right, height - bottom, width - left, height - top),
                     270: (top, height - right, bottom, height - left)}[turn], float)


def cut_out(photo, x, y, side, size):
    """uint8 (size, size, 3): the square at (x, y) with `side` pixels of a uint8 RGB photo, MEAN outside of it."""
    left, top, side = round(x), round(y), max(1, round(side))
    right, bottom = left + side, top + side
    inside = photo[max(top, 0):max(bottom, 0), max(left, 0):max(right, 0)]
    whole = cv2.copyMakeBorder(inside, max(-top, 0), max(bottom - photo.shape[0], 0), max(-left, 0),
                               max(right - photo.shape[1], 0), cv2.BORDER_CONSTANT, value=MEAN)
    return cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA)


def spans(length, longest, overlap):
    """[(begin, end)] of the fewest equal parts up to `longest` that cover `length`; neighbours share `overlap`."""
    n = max(1, -(-(length - overlap) // (longest - overlap)))
    part = -(-(length + (n - 1) * overlap) // n)
    begins = [round(i * (length - part) / max(n - 1, 1)) for i in range(n)]
    return [(begin, begin + part) for begin in begins]


def same(box, other):
    """Whether two boxes show the same face or a part of it: they share 0.3 of their union or half of the smaller."""
    shared = _shared(box, other)
    return shared > 0.3 * (_area(box) + _area(other) - shared) or shared > 0.5 * min(_area(box), _area(other))


def _shared(box, other):
    """Pixels that lie in both boxes."""
    return (max(0, min(box[2], other[2]) - max(box[0], other[0]))
            * max(0, min(box[3], other[3]) - max(box[1], other[1])))


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])
