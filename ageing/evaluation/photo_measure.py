"""Measure a pair of generators on ordinary photos: detection, alignment and blending included."""

import time
from pathlib import Path

import numpy as np

from ageing.errors import UserError
from ageing.evaluation.judges import SIZE
from ageing.evaluation.translation import DIRECTIONS
from ageing.photos import photo_file
from ageing.photos.alignment import clip, crop
from ageing.photos.blending import edit
from ageing.photos.detector import Detector
from ageing.photos.sources import expand


def measure_photos(pair, folder, judges):
    """[numbers], a dict for each photo in `folder` and direction. pair: the generators (G_AB, G_BA).

    Raises UserError if there is no photo.
    """
    paths = expand([folder]) if Path(folder).is_dir() else []
    if not paths:
        raise UserError(f"{folder}: no photos there")
    detector, lines = Detector(), []
    for path in paths:
        photo = photo_file.read(path).rgb
        faces = detector.find(photo)
        for direction, generator in zip(DIRECTIONS, pair, strict=True):
            begin = time.perf_counter()
            edited = edit(photo, faces, generator)
            seconds = time.perf_counter() - begin
            lines.append({"photo": path.name, "direction": direction.name, "faces": len(faces), "seconds": seconds,
                          "change outside": change_outside(photo, edited, faces),
                          "rim step": max((rim_step(photo, edited, face.square) for face in faces), default=0),
                          **judge(photo, edited, faces, direction, judges)})
    return lines


def judge(photo, edited, faces, direction, judges):
    """Mean numbers of the faces in a photo; empty without faces."""
    if not faces:
        return {}
    before, after = (judges.read(np.stack([crop(p, face.square, SIZE) for face in faces])) for p in (photo, edited))
    return {"age gain": float((direction.sign * (after.ages - before.ages)).mean()),
            "age gain, second judge": float((direction.sign * (after.second.ages - before.second.ages)).mean()),
            "identity distance": float(before.distances(after).mean())}


def change_outside(photo, edited, faces):
    """The largest change, in grey levels, of a pixel outside of all faces' squares; 0 is right."""
    outside = np.ones(photo.shape[:2], bool)
    for face in faces:
        left, top, right, bottom = clip(face.square, *photo.shape[:2])
        outside[top:bottom, left:right] = False
    return int(np.abs(edited.astype(int) - photo)[outside].max(initial=0))


def rim_step(photo, edited, square):
    """By how many grey levels editing raises the largest step across the rim of a face's square; 0: no visible rim."""
    left, top, side = square
    worst = 0
    for axis, places in ((1, (left, left + side)), (0, (top, top + side))):
        for place in places:
            if 0 < place < photo.shape[axis]:
                before, after = (np.abs(np.diff(np.take(p, [place - 1, place], axis).astype(int), axis=axis)).max()
                                 for p in (photo, edited))
                worst = max(worst, int(after) - int(before))
    return worst
