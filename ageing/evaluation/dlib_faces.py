"""Faces as dlib finds and aligns them. `ageing.photos` does not use dlib, so its own faults are not hidden."""

import cv2
import numpy as np

from ageing.photos.alignment import apply, cut, umeyama

SMALLEST = 60       # pixels, width of dlib's box: smaller faces are not measured
WINDOW = 80         # pixels, width of the smallest face that dlib's detector finds
SIZE = 400          # pixels per side of the crop in which landmarks are read: dlib gives whole pixels

# In UTKFace's framing, as shares of the side: dlib's square box (left and top; right and bottom) and its landmarks
# (corners of both eyes, below the nose). Medians of 594 of 600 training crops, 300 of each domain, drawn at random and
# extended by reflection, as `boxes` and `landmarks` below find them.
BOX = (0.088, 0.898)
PLACES = np.array([[0.7602, 0.3008], [0.608, 0.3101], [0.2258, 0.299], [0.3769, 0.3083], [0.4932, 0.5933]])


class DlibFaces:
    """dlib's HOG face detector and five landmarks. dlib: the module; predictor: its shape_predictor."""

    def __init__(self, dlib, predictor):
        self.rectangle = dlib.rectangle(*(round(SIZE * BOX[i]) for i in (0, 0, 1, 1)))
        self.detector, self.predictor = dlib.get_frontal_face_detector(), predictor

    def frames(self, photo):
        """[float64 (2, 3)], one for each face of at least SMALLEST pixels in uint8 RGB (H, W, 3).

        A matrix takes UTKFace's framing, the unit square, to the photo's pixels, as alignment.Frame's does.
        """
        return [umeyama(PLACES, self.landmarks(photo, box)) for box in self.boxes(photo)]

    def boxes(self, photo):
        """[(left, top, side)] of dlib's square boxes, in pixels."""
        zoom = WINDOW / SMALLEST
        enlarged = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
        found = (np.array([box.left(), box.top(), box.width()]) / zoom for box in self.detector(enlarged))
        return [box for box in found if box[2] >= SMALLEST]

    def landmarks(self, photo, box):
        """float64 (5, 2), in pixels of the photo. box: (left, top, side)."""
        left, top, side = box
        side /= BOX[1] - BOX[0]
        square = np.array([[side, 0, left - BOX[0] * side], [0, side, top - BOX[0] * side]])
        points = self.predictor(cut(photo, square, SIZE), self.rectangle).parts()
        return apply(square, [((point.x + 0.5) / SIZE, (point.y + 0.5) / SIZE) for point in points])
