"""Numbers of ordinary photos as Markdown tables."""

from ageing.evaluation.report import line, written

# Rows of the summary and columns of the photos: (title, key in the numbers, format)
ROWS = [
    ("faces", "faces", "{:d}"),
    ("estimated age, both judges", "estimated age", "{:.1f}"),
    ("age gain, years", "age gain, years", "{:.1f}"),
    ("age gain, years, second judge", "age gain, years, second judge", "{:.1f}"),
    ("verified as the same person", "verified as the same person", "{:.1%}"),
    ("gender kept", "gender kept", "{:.1%}"),
    ("gender kept, second judge", "gender kept, second judge", "{:.1%}"),
]
COLUMNS = [
    ("found", "found", "{:d}"),
    ("aligned", "aligned", "{:d}"),
    ("judged", "judged", "{:d}"),
    ("missed", "missed", "{:d}"),
    ("not seen by dlib", "not seen by dlib", "{:d}"),
    ("age gain, years", "age gain, years", "{:.1f}"),
    ("second judge", "age gain, years, second judge", "{:.1f}"),
    ("identity distance", "identity distance", "{:.2f}"),
    ("change outside, grey levels", "change outside", "{:d}"),
    ("rim step, grey levels", "rim step", "{:d}"),
    ("seconds", "seconds", "{:.2f}"),
]

LEGEND = """\
Judged: the faces of 60 pixels or more that dlib finds in the originals, cut out by dlib's alignment before and after.
Photos / crops: the age gain on photos as a share of the gain on validation crops. It is the number that counts."""


def summary(rows):
    """Markdown of {row: {direction: numbers}}, as `measure_photos` returns them: a table for each direction."""
    lines = []
    for row, directions in rows.items():
        for direction, numbers in directions.items():
            lines += [f"### {row}: {direction}", "", line("", "photos", "validation crops", "photos / crops"),
                      "|---" * 4 + "|"]
            for group, compared in numbers["groups"].items():
                lines += [line(f"**{group}**", "", "", ""), *_rows(compared)]
            lines += ["", _totals(numbers["totals"]), ""]
    return "\n".join([*lines, LEGEND])


def _rows(compared):
    photos, crops, ratios = (compared[key] or {} for key in ("photos", "crops", "photos / crops"))
    return [line(title, written(photos.get(key), form), written(crops.get(key), form),
                 written(ratios[key], "{:.2f}") if key in ratios else "") for title, key, form in ROWS]


def _totals(t):
    return (f"{t['photos']} photos: {t['found']} faces found, {t['aligned']} of them aligned. {t['missed']} of the "
            f"{t['judged']} judged faces missed, {t['not seen by dlib']} found where dlib sees none (dlib errs, too). "
            f"Largest change outside of the frames: {t['change outside']} grey levels; largest step added at a rim: "
            f"{t['rim step']}. {t['seconds']:.2f} s per photo, from detection to blending.")


def photos(rows):
    """Markdown of {row: {direction: numbers}}: a line for each photo and direction."""
    lines = [line("generators", "direction", "photo", *(title for title, _, _ in COLUMNS)),
             "|---" * (3 + len(COLUMNS)) + "|"]
    for row, directions in rows.items():
        for direction, numbers in directions.items():
            lines += [line(row, direction, photo["photo"], *(written(photo[key], form) for _, key, form in COLUMNS))
                      for photo in numbers["photos"]]
    return "\n".join(lines)
