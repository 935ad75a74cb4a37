"""The numbers of ordinary photos: years gained, also as a share of the years gained on validation crops."""

import numpy as np

from ageing.evaluation import metrics
from ageing.evaluation.judges import SAME_PERSON
from ageing.evaluation.translation import with_change

# Faces that a generator learned to translate, by the mean of both judges' ages. Others have less to gain.
FITTING = {"age": ("faces that look under 35", lambda ages: ages < 35),
           "rejuvenate": ("faces that look 35 or older", lambda ages: ages >= 35)}
GAINS = "age gain, years", "age gain, years, second judge"


def compare(direction, before, after):
    """{what: (n,)} of n faces, from Readings before and after."""
    return {"estimated age": before.mean_ages,
            "age gain, years": direction.sign * (after.ages - before.ages),
            "age gain, years, second judge": direction.sign * (after.second.ages - before.second.ages),
            "identity distance": before.distances(after),
            "gender kept": before.male == after.male,
            "gender kept, second judge": before.second.male == after.second.male}


def compare_crops(direction, generator, inputs, judges):
    """`compare` of ValidationFaces `inputs` with their translations."""
    outputs = with_change(inputs.pixels, generator.change(inputs.pixels))
    return compare(direction, inputs.readings, judges.read(outputs, f"judging crops, {direction.name}"))


def numbers(direction, photos, crops):
    """Of one generator. photos: [dict], see photo_measure.measure_photos; crops: as `compare`, or None.

    Returns {"groups": {title: {"photos", "crops", "photos / crops"}}, "totals", "photos"}: for all faces and for those
    that fit, each with its estimates; over all photos; a dict for each photo.
    """
    faces = [photo["faces"] for photo in photos if photo["faces"]]
    faces = {key: np.concatenate([f[key] for f in faces]) for key in faces[0]}
    title, fits = FITTING[direction.name]
    groups = {name: {"photos": summary(chosen(faces, where)), "crops": crops and summary(chosen(crops, where)),
                     "photos / crops": crops and ratios(chosen(faces, where), chosen(crops, where))}
              for name, where in (("all faces", np.isfinite), (title, fits))}
    return {"groups": groups, "totals": totals(photos), "photos": [line(photo) for photo in photos]}


def chosen(faces, where):
    """Those of `faces`, as `compare` returns them, whose estimated age fulfils `where`."""
    return {key: values[where(faces["estimated age"])] for key, values in faces.items()}


def summary(faces):
    """{title: number or estimate}; no estimates without faces."""
    if not len(faces["estimated age"]):
        return {"faces": 0}
    return {"faces": len(faces["estimated age"]),
            **{title: metrics.bootstrap(faces[title]) for title in ("estimated age", *GAINS)},
            "verified as the same person": metrics.proportion(faces["identity distance"] < SAME_PERSON),
            **{title: metrics.proportion(faces[title]) for title in ("gender kept", "gender kept, second judge")}}


def ratios(faces, crops):
    """{title: estimate} of the mean gains on photos, divided by those on crops; None where crops gain nothing."""
    if not len(faces["estimated age"]) or not len(crops["estimated age"]):
        return {}
    return {title: metrics.ratio_of_means(faces[title], crops[title]) if crops[title].mean() > 0 else None
            for title in GAINS}


def totals(photos):
    def total(key):
        return sum(photo[key] for photo in photos)

    return {"photos": len(photos), **{key: total(key) for key in (
                "found", "aligned", "judged", "missed", "not seen by dlib")},
            **{key: max(photo[key] for photo in photos) for key in ("change outside", "rim step")},
            "seconds": total("seconds") / len(photos)}


def line(photo):
    """`photo` with the means of its faces in place of each face's numbers."""
    means = {title: float(photo["faces"][title].mean()) if photo["faces"] else None
             for title in (*GAINS, "identity distance")}
    return {key: value for key, value in photo.items() if key != "faces"} | means
