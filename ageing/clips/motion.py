"""How a face moved between two frames of a clip, by sparse optical flow.

Landmarks say where a face is, to a tenth of a pixel at best. Flow says how it moved, ten times as exactly. So the
smoothed landmarks can be carried along: smoothing then costs no lag.
"""

import cv2
import numpy as np

from ageing.faces.alignment import Placement, about_centre, transform, umeyama

SIDE = 128              # pixels of a placement's side in which its motion is sought: larger faces are reduced to it
AROUND = 1.6            # what is looked at, in sides of the placement
WINDOW, LEVELS = (15, 15), 3    # of the flow
FEWEST = 12             # points that must agree
FORTH_AND_BACK = 0.5    # pixels by which a point may miss its start when the flow is followed back

# Where points are followed: a grid in the middle of the placement, without hair and background.
GRID = np.stack(np.meshgrid(np.linspace(0.15, 0.85, 13), np.linspace(0.1, 0.9, 13)), -1).reshape(-1, 2)
GRID = GRID[np.square((GRID - 0.5) / (0.35, 0.42)).sum(1) <= 1]


def of_face(before, after, placement):
    """The similarity, float64 (2, 3), that takes places in photo `before` to those in `after`, both uint8 RGB.

    placement: of a face in `before`. None if its points do not move as one: it is covered, or was cut away.
    """
    height, width = before.shape[:2]
    left, top, right, bottom = Placement(about_centre(placement.matrix, AROUND)).within(height, width)
    if right - left < WINDOW[0] or bottom - top < WINDOW[1]:
        return None
    scale = min(1.0, SIDE / placement.side)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    grey = [cv2.cvtColor(cv2.resize(photo[top:bottom, left:right], size, interpolation=cv2.INTER_AREA),
                         cv2.COLOR_RGB2GRAY) for photo in (before, after)]
    zoom = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    start = (placement.at(GRID) - (left, top)) * zoom - 0.5  # OpenCV counts from the centres of pixels
    end = followed(*grey, start)
    if end is None:
        return None
    start, end = ((points + 0.5) / zoom + (left, top) for points in (start[end[0]], end[1]))
    return agreed(start, end, placement.side)


def followed(before, after, start):
    """(indices, float64 (n, 2)): those of the points `start` that the flow follows forth and back, and where to."""
    flow = {"winSize": WINDOW, "maxLevel": LEVELS}
    start = start.astype(np.float32)
    end, found, _ = cv2.calcOpticalFlowPyrLK(before, after, start, None, **flow)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, end, None, **flow)
    good = (found & found_back).ravel().astype(bool) & (np.abs(back - start).max(1) < FORTH_AND_BACK)
    return (np.flatnonzero(good), end[good].astype(np.float64)) if good.sum() >= FEWEST else None


def agreed(start, end, side):
    """The similarity between points that most of them agree on, by least squares, or None.

    side: of the placement. A mouth that opens disagrees.
    """
    for _ in range(2):
        matrix = umeyama(start, end)
        miss = np.linalg.norm(transform(matrix, start) - end, axis=1)
        good = miss <= max(2 * np.median(miss), 1e-3 * side)
        if good.sum() < FEWEST:
            return None
        start, end = start[good], end[good]
    return umeyama(start, end) if np.median(miss) < 0.02 * side else None
