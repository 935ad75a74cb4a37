"""An evaluation as Markdown tables, and the report's files."""

import json

from ageing.evaluation import metrics, photos
from ageing.storage import replacing

FACTORS = {"kernel distance": 1000}  # shown times this
COMPARED = {"outputs": "outputs", "unchanged": "unchanged inputs", "real": "real faces of the target domain"}

# Columns of the table of photos: (title, key in the numbers, format)
PHOTO_COLUMNS = [
    *((key, key, "{:d}") for key in ("found", "aligned", "judged", "missed", "not seen by dlib")),
    ("age gain, years", "age gain, years", "{:.1f}"),
    ("second judge", "age gain, years, second judge", "{:.1f}"),
    ("identity distance", "identity distance", "{:.2f}"),
    ("change outside, grey levels", "change outside", "{:d}"),
    ("rim step, grey levels", "rim step", "{:d}"),
    ("seconds", "seconds", "{:.2f}"),
]

LEGEND = """\
Age gap: mean estimated age of the target domain minus that of the inputs, in the wanted direction. Mirrored inputs: the
judge reads the gender of faces that are only mirrored; 100 % minus this number is its label-flip rate, which is its own
noise. Checkerboard power ratio: 1 means none. Power: of the skin's grey values, sharp half of the faces, relative to
real faces of the younger domain."""
PHOTO_LEGEND = """\
Judged: the faces of 60 pixels or more that dlib finds in the originals, cut out by dlib's alignment before and after.
Photos / crops: the age gain on photos as a share of the gain on validation crops. It is the number that counts."""


def of_crops(rows):
    """Markdown of {row: {direction: numbers of metrics.measure}}: a column for each, then a table of its groups."""
    columns = {f"{name}: {direction}" if len(rows) > 1 else direction: numbers
               for name, by_direction in rows.items() for direction, numbers in by_direction.items()}
    lines = _head("", *columns)
    for title, form, _ in metrics.METRICS:
        if form:
            lines.append(_line(title, *(_written(numbers[title], form) for numbers in columns.values())))
    for key, form, _ in metrics.BESIDE_REAL:
        factor = FACTORS.get(key, 1)
        for who, whose in COMPARED.items():
            title = f"{key}, {whose}" if factor == 1 else f"{key} x {factor}, {whose}"
            lines.append(_line(title, *(_written(numbers[key][who], form, factor) for numbers in columns.values())))
    curves = [numbers["age gain by strength"] for numbers in columns.values()]
    for strength in curves[0]:
        lines.append(_line(f"age gain at strength {strength}, years, mean of both judges",
                           *(_written(curve[strength], "{:.1f}") for curve in curves)))
    lines += ["", LEGEND]
    for title, numbers in columns.items():
        lines += ["", f"By gender and race, {title}:", "", *_head("", *(title for title, _ in metrics.GROUP_METRICS))]
        lines += [_line(group, *(_written(of[title], form) for title, form in metrics.GROUP_METRICS))
                  for group, of in numbers["by group"].items()]
    return "\n".join(lines)


def of_photos(rows):
    """Markdown of {row: {direction: numbers of photos.measure}}: a table for each direction."""
    lines = []
    for row, directions in rows.items():
        for direction, numbers in directions.items():
            lines += [f"### {row}: {direction}", "", *_head("", "photos", "validation crops", "photos / crops")]
            for group, compared in numbers["groups"].items():
                of_photos, of_crops, ratios = (compared[key] or {} for key in ("photos", "crops", "photos / crops"))
                lines.append(_line(f"**{group}**", "", "", ""))
                lines += [_line("estimated age, both judges" if title == "estimated age" else title,
                                _written(of_photos.get(title), form), _written(of_crops.get(title), form),
                                _written(ratios[title], "{:.2f}") if title in ratios else "")
                          for title, form, _ in photos.METRICS]
            lines += ["", _totals(numbers["totals"]), ""]
    return "\n".join([*lines, PHOTO_LEGEND])


def _totals(t):
    return (f"{t['photos']} photos: {t['found']} faces found, {t['aligned']} of them aligned. {t['missed']} of the "
            f"{t['judged']} judged faces missed, {t['not seen by dlib']} found where dlib sees none (dlib errs, too). "
            f"Largest change outside of the frames: {t['change outside']} grey levels; largest step added at a rim: "
            f"{t['rim step']}. {t['seconds']:.2f} s per photo, from detection to blending.")


def of_each_photo(rows):
    """Markdown of {row: {direction: numbers of photos.measure}}: a line for each photo and direction."""
    lines = _head("generators", "direction", "photo", *(title for title, _, _ in PHOTO_COLUMNS))
    for row, directions in rows.items():
        for direction, numbers in directions.items():
            lines += [_line(row, direction, of["photo"], *(_written(of[key], form) for _, key, form in PHOTO_COLUMNS))
                      for of in numbers["photos"]]
    return "\n".join(lines)


def _head(*titles):
    return [_line(*titles), "|---" * len(titles) + "|"]


def _line(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def _written(value, form, factor=1):
    """A number, an estimate with its interval, or "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, tuple):
        estimate, low, high = (form.format(factor * v) for v in value)
        return f"{estimate} ({low} to {high})"
    return form.format(value)


def write(folder, rows, text, more):
    """Write report.json and, last of all, report.md. more: lines below the tables of `text`."""
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with replacing(folder / "report.md") as temporary:
        temporary.write_text("\n".join(["# Evaluation", "", text, "", *more]) + "\n", encoding="utf-8")
