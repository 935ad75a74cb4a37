"""Measure pairs of generators on ordinary photos: detection, alignment and blending included.

Judged are the faces that dlib finds in the original, cut out by dlib's alignment from original and output alike. So a
face that `ageing.photos` misses or aligns badly counts as one that hardly ages.
"""

import time

import numpy as np
from tqdm import tqdm

from ageing.errors import UserError, kind_of
from ageing.evaluation import photo_numbers
from ageing.evaluation.containment import change_outside, largest_rim_step
from ageing.evaluation.dlib_faces import BOX, SMALLEST
from ageing.evaluation.judges import SIZE
from ageing.evaluation.translation import DIRECTIONS
from ageing.photos import photo_file, sources
from ageing.photos.alignment import Aligner, apply, cut
from ageing.photos.blending import edit
from ageing.photos.detector import Detector


def photos_in(folder):
    """Paths of the photos in `folder`, without earlier outputs. Raises UserError if there is none."""
    if kind_of(folder) != "folder":
        raise UserError(f"{folder}: no such folder")
    return [source.path for source in sources.find([str(folder)]).photos]


def measure_photos(pairs, paths, crops, judges):
    """{row: {direction: numbers}} of `pairs`, {row: (G_AB, G_BA)}, on the photos at `paths`.

    crops: {row: [ValidationFaces of A, of B]}, to compare with; {} for none. numbers: see photo_numbers.numbers.
    Raises UserError if dlib finds no face.
    """
    photos = {(row, direction.name): [] for row in pairs for direction in DIRECTIONS}
    detector, aligner = Detector(), Aligner()
    for path in tqdm(paths, desc="photos", leave=False, disable=None):
        for row, direction, record in measure_photo(path, pairs, detector, aligner, judges):
            photos[row, direction.name].append(record)
    if not any(record["judged"] for records in photos.values() for record in records):
        raise UserError(f"--photos: dlib finds no face of {SMALLEST} pixels or more in {len(paths)} photo(s)")
    rows = {row: {} for row in pairs}
    for row, pair in pairs.items():
        for direction, generator, inputs in zip(DIRECTIONS, pair, crops.get(row, (None, None)), strict=True):
            of_crops = photo_numbers.compare_crops(direction, generator, inputs, judges) if inputs else None
            rows[row][direction.name] = photo_numbers.numbers(direction, photos[row, direction.name], of_crops)
    return rows


def measure_photo(path, pairs, detector, aligner, judges):
    """Yield (row, direction, record) for each generator. record: a dict; "faces" in it as photo_numbers.compare."""
    photo = photo_file.read(path).rgb
    begin = time.perf_counter()
    frames = aligner.align(photo, detector.find(photo))
    found = time.perf_counter() - begin
    places = judges.frames(photo)
    before = read_faces(photo, places, judges)
    for row, pair in pairs.items():
        for direction, generator in zip(DIRECTIONS, pair, strict=True):
            begin = time.perf_counter()
            edited = edit(photo, frames, generator)
            seconds = found + time.perf_counter() - begin
            after = read_faces(edited, places, judges)
            yield row, direction, {
                "photo": path.name, **count(frames, places), "seconds": seconds,
                "faces": photo_numbers.compare(direction, before, after) if places else None,
                "change outside": change_outside(photo, edited, frames),
                "rim step": largest_rim_step(photo, edited, frames)}


def read_faces(photo, places, judges):
    """Readings of the faces of a photo that the matrices `places` frame; None without any."""
    return judges.read(np.stack([cut(photo, place, SIZE) for place in places])) if places else None


def count(frames, places):
    """How many faces are found, aligned, missed and possibly none. dlib, which this trusts, errs at times, too.

    frames: [alignment.Frame]. places: dlib's matrices. Smaller frames than dlib finds are not compared with its own.
    """
    same = np.array([[same_face(frame.matrix, place) for frame in frames] for place in places], bool)
    same = same.reshape(len(places), len(frames))
    large = np.array([frame.side * (BOX[1] - BOX[0]) >= SMALLEST for frame in frames], bool)
    return {"found": len(frames), "aligned": sum(frame.aligned for frame in frames), "judged": len(places),
            "missed": int((~same.any(axis=1)).sum()), "not seen by dlib": int((large & ~same.any(axis=0)).sum())}


def same_face(matrix, other):
    """Whether two frames show one face: their centres are nearer than a third of a side, sides within a factor of 2."""
    side, other_side = (np.hypot(*m[:, 0]) for m in (matrix, other))
    between = np.subtract(*(apply(m, [(0.5, 0.5)])[0] for m in (matrix, other)))
    return bool(0.5 < side / other_side < 2 and np.hypot(*between) < max(side, other_side) / 3)
