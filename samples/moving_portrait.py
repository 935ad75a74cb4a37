"""Clips whose truth is known: a portrait moved, zoomed and turned along a path, with the noise of a camera.

    for photo, matrix in moving_portrait.frames(moving_portrait.portrait("astronaut"), seconds=4): ...

portrait: uint8 RGB (H, W, 3). photo: uint8 RGB (height, width, 3). matrix: float64 (2, 3), takes the portrait's pixels
to the photo's.
"""

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ageing.faces.alignment import between_centres
from ageing.faces.blending import photo_deltas

SIZE = 1280, 720    # width and height of the photos
NOISE = 4.0         # grey levels, standard deviation: an indoor camera
# How far the portrait goes, and in how many seconds there and back.
SHIFT, ZOOM, TURN = (0.08, 5.0), (0.12, 7.0), (8.0, 6.0)    # shares of the height; share; degrees


def portrait(name):
    """The picture of "astronaut" or "grace-hopper"."""
    return np.asarray(Image.open(Path(__file__).with_name(f"{name}.jpg")).convert("RGB"))


def frames(portrait, seconds, rate=30, size=SIZE, noise=NOISE, motion=1.0, seed=1):
    """Yield (photo, matrix) for each frame. motion: 0 for a portrait at rest, 1 for the path above."""
    random = np.random.default_rng(seed)
    for i in range(round(seconds * rate)):
        matrix = place(portrait.shape, i / rate, size, motion)
        photo = cv2.warpAffine(portrait, between_centres(matrix), size, flags=cv2.INTER_CUBIC,
                               borderMode=cv2.BORDER_REPLICATE)
        if noise:
            photo = np.clip(np.rint(photo + random.standard_normal(photo.shape, np.float32) * noise), 0, 255)
        yield photo.astype(np.uint8), matrix


def place(shape, now, size, motion):
    """The matrix of a portrait of this shape, `now` seconds after the beginning. It is as high as the photo."""
    (width, height), (shift, zoom, turn) = size, (
        motion * far * math.sin(2 * math.pi * now / period) for far, period in (SHIFT, ZOOM, TURN))
    scale, angle = height / shape[0] * (1 + zoom), math.radians(turn)
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.array([width / 2 + shift * height, height / 2 + shift * height / 2])
    return np.hstack([linear, (middle - linear @ (shape[1] / 2, shape[0] / 2))[:, None]])


def carried(placement, matrix):
    """The alignment.Placement of the portrait's face, where it lies in the photo of this matrix."""
    whole = (np.vstack([one, [0, 0, 1]]) for one in (matrix, placement.matrix))
    return dataclasses.replace(placement, matrix=(next(whole) @ next(whole))[:2])


def in_face(shape, changes, placement, size=64):
    """What [blending.Change] add to a photo of this shape, in grey levels, in a face's own placement.

    float32 (size, size, 3), each a mean over 4 x 4 places: where between pixels a detail is drawn then hardly counts.
    """
    whole, fine = np.zeros(shape, np.float32), 4 * size
    for rows, columns, delta in photo_deltas(shape, changes):
        whole[rows, columns] = delta
    warped = cv2.warpAffine(whole, between_centres(placement.matrix / [fine, fine, 1]), (fine, fine),
                            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return warped.reshape(size, 4, size, 4, 3).mean((1, 3))


def flicker(changes):
    """Mean absolute difference, in grey levels, between consecutive of the changes, each as `in_face` gives it."""
    return float(np.abs(np.diff(changes, axis=0)).mean())
