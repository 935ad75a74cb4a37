"""Measure pairs of generators on ordinary photos: detection, alignment and blending included.

Judged are the faces that dlib finds in the original, cut out by dlib's alignment from original and output alike. So a
face that `ageing.faces` misses or aligns badly counts as one that hardly ages.
"""

import time

import numpy as np
from tqdm import tqdm

from ageing.errors import UserError, kind_of
from ageing.evaluation import metrics
from ageing.evaluation.comparison import Comparison
from ageing.evaluation.crops import with_change
from ageing.evaluation.formulas import bootstrap, ratio_of_means
from ageing.evaluation.judges import BOX, SIZE, SMALLEST, Readings
from ageing.faces.alignment import Aligner, cut, transform
from ageing.faces.blending import edit
from ageing.faces.detector import Detector
from ageing.faces.direction import Direction
from ageing.photos import photo_file, sources

# Faces that a generator learned to translate, by the mean of both judges' ages. Others have less to gain.
FITTING = {Direction.AGE: ("faces that look under 35", lambda ages: ages < 35),
           Direction.REJUVENATE: ("faces that look 35 or older", lambda ages: ages >= 35)}

# (n,) numbers of a Comparison, which are also told as a share of the same on validation crops.
GAINS = {"age gain, years": lambda faces: faces.age_gain,
         "age gain, years, second judge": lambda faces: faces.second_age_gain}
# Titles of metrics.METRICS that are measured on photos too.
SAME = {*GAINS, "verified as the same person", "gender kept", "gender kept, second judge"}
# (title, format in the tables, function of a Comparison)
METRICS = (("faces", "{:d}", len), ("estimated age", "{:.1f}", lambda faces: bootstrap(faces.before.mean_ages)),
           *(row for row in metrics.METRICS if row[0] in SAME))


def photos_in(folder):
    """Paths of the photos in `folder`, without earlier outputs. Raises UserError if there is none."""
    if kind_of(folder) != "folder":
        raise UserError(f"{folder}: no such folder")
    return [source.path for source in sources.find([str(folder)]).photos]


def measure(pairs, paths, crops, judges):
    """{row: {direction: numbers}} of `pairs`, {row: (G_AB, G_BA)}, on the photos at `paths`.

    crops: {size of generators: [Crops of A, of B]}, to compare with; {} for none. numbers: see `numbers_of`.
    Raises UserError if dlib finds no face.
    """
    detector, aligner, records = Detector(), Aligner(), []
    for path in tqdm(paths, desc="photos", leave=False, disable=None):
        records.append(measure_photo(path, pairs, detector, aligner, judges))
    if not any(of["judged"] for by_generator in records for of in by_generator.values()):
        raise UserError(f"--photos: dlib finds no face of {SMALLEST} pixels or more in {len(paths)} photo(s)")
    rows = {row: {} for row in pairs}
    for row, pair in pairs.items():
        for direction, generator, inputs in zip(Direction, pair, crops.get(pair[0].size, (None, None)), strict=True):
            of_crops = inputs and compare_crops(direction, generator, inputs, judges)
            rows[row][direction] = numbers_of(direction, [of[row, direction] for of in records], of_crops)
    return rows


def measure_photo(path, pairs, detector, aligner, judges):
    """{(row, direction): record}. record: a dict; "faces" in it is their Comparison, None without any."""
    photo = photo_file.read(path).rgb
    begin = time.perf_counter()
    placements = aligner.align(photo, detector.find(photo))
    spent = time.perf_counter() - begin
    places = judges.find(photo)
    before, records = read_faces(photo, places, judges), {}
    for row, pair in pairs.items():
        for direction, generator in zip(Direction, pair, strict=True):
            begin = time.perf_counter()
            edited = edit(photo, placements, generator)
            seconds = spent + time.perf_counter() - begin
            after = read_faces(edited, places, judges)
            records[row, direction] = {
                "photo": path.name, **count(placements, places), "seconds": seconds,
                "faces": Comparison(direction, before, after) if places else None,
                "change outside": change_outside(photo, edited, placements),
                "rim step": largest_rim_step(photo, edited, placements)}
    return records


def read_faces(photo, places, judges):
    """Readings of the faces of a photo that the placements `places`; None without any."""
    return judges.read(np.stack([cut(photo, place, SIZE) for place in places])) if places else None


def compare_crops(direction, generator, inputs, judges):
    """The Comparison of the Crops `inputs` with their translations."""
    outputs = with_change(inputs.pixels, generator.change(inputs.pixels))
    return Comparison(direction, inputs.readings, judges.read(outputs, f"judging crops, {direction}"))


def numbers_of(direction, records, crops):
    """Of one generator. records: as `measure_photo` returns them, with at least one face; crops: a Comparison, or None.

    Returns {"groups": {title: {"photos", "crops", "photos / crops"}}, "totals", "photos"}: for all faces and for those
    that fit, each with its estimates; over all photos; a dict for each photo.
    """
    seen = [record["faces"] for record in records if record["faces"]]
    faces = Comparison(direction, *(Readings(*map(np.concatenate, zip(*several, strict=True))) for several in (
        [few.before for few in seen], [few.after for few in seen])))
    title, fits = FITTING[direction]
    groups = {}
    for name, where in (("all faces", np.isfinite), (title, fits)):
        of_photos, of_crops = (some and some.take(where(some.before.mean_ages)) for some in (faces, crops))
        groups[name] = {"photos": estimates(of_photos), "crops": crops and estimates(of_crops),
                        "photos / crops": crops and ratios(of_photos, of_crops)}
    return {"groups": groups, "totals": totals(records), "photos": [of_photo(record) for record in records]}


def estimates(faces):
    """{title: number or estimate}; no estimates without faces."""
    return {title: of(faces) for title, _, of in METRICS[:None if len(faces) else 1]}


def ratios(faces, crops):
    """{title: estimate} of the mean gains on photos, divided by those on crops; None where crops gain nothing."""
    if not len(faces) or not len(crops):
        return {}
    return {title: ratio_of_means(of(faces), of(crops)) if of(crops).mean() > 0 else None
            for title, of in GAINS.items()}


def totals(records):
    n = len(records)
    sums = ("found", "aligned", "judged", "missed", "not seen by dlib")
    return {"photos": n, **{key: sum(record[key] for record in records) for key in sums},
            **{key: max(record[key] for record in records) for key in ("change outside", "rim step")},
            "seconds": sum(record["seconds"] for record in records) / n}


def of_photo(record):
    """`record` with the means of its faces in place of the Comparison."""
    faces = record["faces"]
    means = GAINS | {"identity distance": lambda faces: faces.identity_distance}
    return {key: value for key, value in record.items() if key != "faces"} | {
        title: float(of(faces).mean()) if faces else None for title, of in means.items()}


def count(placements, places):
    """How many faces are found, aligned, missed and possibly none. dlib, which this trusts, errs at times, too.

    placements: [alignment.Placement]. places: dlib's matrices. Those of faces too small for dlib are not compared.
    """
    same = np.array([[same_face(placement.matrix, place) for placement in placements] for place in places], bool)
    same = same.reshape(len(places), len(placements))
    large = np.array([placement.side * (BOX[1] - BOX[0]) >= SMALLEST for placement in placements], bool)
    return {"found": len(placements), "aligned": sum(one.aligned for one in placements), "judged": len(places),
            "missed": int((~same.any(axis=1)).sum()), "not seen by dlib": int((large & ~same.any(axis=0)).sum())}


def same_face(matrix, other):
    """Whether two placements hold one face: centres nearer than a third of a side, sides within a factor of 2."""
    side, other_side = (np.hypot(*m[:, 0]) for m in (matrix, other))
    between = np.subtract(*(transform(m, [(0.5, 0.5)])[0] for m in (matrix, other)))
    return bool(0.5 < side / other_side < 2 and np.hypot(*between) < max(side, other_side) / 3)


def change_outside(photo, edited, placements):
    """The largest change, in grey levels, of a pixel outside of all placements; 0 is right.

    photo, edited: uint8 RGB (H, W, 3). placements: [alignment.Placement].
    """
    height, width = photo.shape[:2]
    outside = np.ones((height, width), bool)
    for placement in placements:
        left, top, right, bottom = placement.within(height, width)
        if left < right and top < bottom:
            centres = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1) + 0.5
            outside[top:bottom, left:right] &= ~_inside(placement, centres)
    return int(np.abs(edited.astype(int) - photo)[outside].max(initial=0))


def largest_rim_step(photo, edited, placements):
    """By how many grey levels editing raises the largest step across the rim of a placement; 0: no visible rim.

    A step: between the pixels half a pixel inside and half a pixel outside of the rim. What lies in another placement,
    too, is left out: there the change of the other one goes on.
    """
    return max((_rim_step(photo, edited, placement, [other for other in placements if other is not placement])
                for placement in placements), default=0)


def _rim_step(photo, edited, placement, others):
    n = round(placement.side)
    along, half = (np.arange(n) + 0.5) / n, 0.5 / placement.side
    worst = 0
    for turn in range(4):
        inner, outer = (np.stack([along, np.full(n, place)], axis=1) for place in (half, -half))
        for _ in range(turn):  # the upper rim first, then the others
            inner, outer = (np.stack([1 - points[:, 1], points[:, 0]], axis=1) for points in (inner, outer))
        inner, outer = (np.floor(placement.at(points)).astype(int) for points in (inner, outer))
        seen = np.all([(p >= 0) & (p < photo.shape[1::-1]) for p in (inner, outer)], axis=(0, 2))
        for other in others:
            seen &= ~_inside(other, inner + 0.5) & ~_inside(other, outer + 0.5)
        (x, y), (u, v) = inner[seen].T, outer[seen].T
        before, after = (np.abs(p[y, x].astype(int) - p[v, u]).max(initial=0) for p in (photo, edited))
        worst = max(worst, int(after) - int(before))
    return worst


def _inside(placement, centres):
    """Whether a part of the pixels with these centres, (..., 2), lies in a placement: booleans (...)."""
    places = (centres - placement.matrix[:, 2]) @ np.linalg.inv(placement.matrix[:, :2]).T
    return (np.abs(places - 0.5) <= 0.5 + 0.5 / placement.side).all(axis=-1)
