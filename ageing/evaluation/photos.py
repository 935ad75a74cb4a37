"""Measure pairs of generators on ordinary photos: detection, alignment and blending included.

Judged are the faces that dlib finds in the original, cut out by dlib's alignment from original and output alike. So a
face that `ageing.faces` misses or aligns badly counts as one that hardly ages.
"""

import dataclasses
import time

import numpy as np
from tqdm import tqdm

from ageing.errors import UserError, kind_of
from ageing.evaluation import metrics, natural
from ageing.evaluation.comparison import Comparison
from ageing.evaluation.formulas import bootstrap
from ageing.evaluation.judges import BOX, SIZE, SMALLEST, Readings
from ageing.faces.alignment import Aligner, cut, transform
from ageing.faces.blending import edit
from ageing.faces.detector import Detector
from ageing.faces.direction import Direction
from ageing.faces.landmarks import Landmarks
from ageing.photos import photo_file, sources

# Faces that a generator learned to translate, by the mean of both judges' ages. Others have less to gain.
FITTING = {Direction.AGE: ("faces that look under 35", lambda ages: ages < 35),
           Direction.REJUVENATE: ("faces that look 35 or older", lambda ages: ages >= 35)}

# (n,) numbers of a Comparison.
GAINS = {"age gain, years": lambda faces: faces.age_gain,
         "age gain, years, second judge": lambda faces: faces.second_age_gain}
# Titles of metrics.METRICS that are measured on photos too.
SAME = {*GAINS, "verified as the same person", "gender kept", "gender kept, second judge", "estimated age, outputs",
        "estimated age, outputs, second judge", "error against the age told, years",
        "error against the age told, years, second judge"}
# (title, format in the tables, function of a Comparison)
METRICS = (("faces", "{:d}", len),
           ("estimated age, inputs, both judges", "{:.1f}", lambda faces: bootstrap(faces.before.mean_ages)),
           *(row for row in metrics.METRICS if row[0] in SAME))

OF_FACES = "faces", "outputs", "noise"  # what a record holds of each face


def photos_in(folder):
    """Paths of the photos in `folder`, without earlier outputs. Raises UserError if there is none."""
    if kind_of(folder) != "folder":
        raise UserError(f"{folder}: no such folder")
    return [source.path for source in sources.find([str(folder)]).photos]


def measure(plans, paths, judges):
    """{row: {title: numbers}} of `plans`, {row: {title: comparison.Way}}, on the photos at `paths`.

    numbers: see `numbers_of`. Raises UserError if dlib finds no face.
    """
    tools, records = (Detector(), Aligner(), Landmarks(), judges), []
    for path in tqdm(paths, desc="photos", leave=False, disable=None):
        records.append(measure_photo(path, plans, *tools))
    if not any(of["judged"] for by_way in records for of in by_way.values()):
        raise UserError(f"--photos: dlib finds no face of {SMALLEST} pixels or more in {len(paths)} photo(s)")
    rows = {}
    for row, ways in plans.items():
        of_ways = {title: [of[row, title] for of in records] for title in ways}
        told = [gathered(of_ways[title]) for title, way in ways.items() if way.age]
        rows[row] = {title: numbers_of(of_ways[title], told if way.age else []) for title, way in ways.items()}
    return rows


def measure_photo(path, plans, detector, aligner, network, judges):
    """{(row, title): record}. record: a dict; "faces" in it is their Comparison, "outputs" and "noise" are their
    natural measures, {title: (n,)}; all None without a face."""
    photo = photo_file.read(path).rgb
    begin = time.perf_counter()
    placements = aligner.align(photo, detector.find(photo))
    spent = time.perf_counter() - begin
    places, records, faces = judges.find(photo), {}, dict.fromkeys(OF_FACES)
    if places:
        crops = cut_out(photo, places)
        before = judges.read(crops)
        points, mirrored = (natural.find_points(some, network) for some in (crops, crops[:, :, ::-1]))
    for row, ways in plans.items():
        for title, way in ways.items():
            begin = time.perf_counter()
            edited = edit(photo, placements, way.generator)
            seconds = spent + time.perf_counter() - begin
            if places:
                outputs = cut_out(edited, places)
                measured = natural.of_edits(crops, outputs, points)
                faces = {"faces": Comparison(way.direction, before, judges.read(outputs), age=way.age),
                         "outputs": measured, "noise": natural.noise(measured, crops, outputs, mirrored)}
            records[row, title] = {"photo": path.name, **count(placements, places), "seconds": seconds, **faces}
    return records


def cut_out(photo, places):
    """uint8 (n, SIZE, SIZE, 3): the faces of a photo that the placements `places`, at least one."""
    return np.stack([cut(photo, place, SIZE) for place in places])


def gathered(records):
    """The Comparison of all faces of `records`."""
    seen = [record["faces"] for record in records if record["faces"]]
    before, after = (Readings(*map(np.concatenate, zip(*several, strict=True))) for several in (
        [few.before for few in seen], [few.after for few in seen]))
    return dataclasses.replace(seen[0], before=before, after=after)


def numbers_of(records, told):
    """Of one generator. records: as `measure_photo` returns them, with at least one face; told: the Comparison of all
    faces for each of the ages that it is told.

    Returns {"groups": {title: estimates}, "totals", "photos"}: for all faces and for those that fit; over all photos; a
    dict for each photo.
    """
    faces = gathered(records)
    measured = {who: {title: np.concatenate([record[who][title] for record in records if record["faces"]])
                      for title in natural.TITLES} for who in ("outputs", "noise")}
    title, fits = FITTING[faces.direction]
    groups = {name: estimates(faces, measured, told, where(faces.before.mean_ages))
              for name, where in (("all faces", np.isfinite), (title, fits))}
    return {"groups": groups, "totals": totals(records), "photos": [of_photo(record) for record in records]}


def estimates(faces, measured, told, rows):
    """{title: number, estimate, or {"outputs" | "noise": estimate}}; no estimates without faces."""
    if not rows.any():
        return {"faces": 0}
    of_natural = {who: natural.estimates({title: values[rows] for title, values in of.items()})
                  for who, of in measured.items()}
    return {title: of(faces.take(rows)) for title, _, of in METRICS} | metrics.rises([t.take(rows) for t in told]) | {
        title: {who: of[title] for who, of in of_natural.items()} for title in natural.TITLES}


def totals(records):
    n = len(records)
    sums = ("found", "aligned", "judged", "missed", "not seen by dlib")
    return {"photos": n, **{key: sum(record[key] for record in records) for key in sums},
            "seconds": sum(record["seconds"] for record in records) / n}


def of_photo(record):
    """`record` with the means of its faces in place of what each of them has."""
    faces = record["faces"]
    means = GAINS | {"identity distance": lambda faces: faces.identity_distance}
    return {key: value for key, value in record.items() if key not in OF_FACES} | {
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
