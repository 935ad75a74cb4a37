"""An evaluation as Markdown tables, and the report's files."""

import json

from ageing.evaluation import metrics, photos
from ageing.storage import replacing

COMPARED = {"outputs": "outputs", "unchanged": "unchanged inputs", "real": "real faces of the target domain",
            "noise": "noise", "between": "real faces"}
RATES = (metrics.RISES, "{:.1%}"), (f"{metrics.RISES}, second judge", "{:.1%}")

# Columns of the table of photos: (title, key in the numbers, format)
PHOTO_COLUMNS = [
    *((key, key, "{:d}") for key in ("found", "aligned", "judged", "missed", "not seen by dlib")),
    ("age gain, years", "age gain, years", "{:.1f}"),
    ("second judge", "age gain, years, second judge", "{:.1f}"),
    ("identity distance", "identity distance", "{:.2f}"),
    ("seconds", "seconds", "{:.2f}"),
]

NATURAL = """\
From colour on skin to outside of the face: natural measures, what the outputs differ by from the inputs. Noise: by how
much the measure of a face differs in its mirror image. Real faces: what the target domain differs by from the inputs'
domain."""
LEGEND = """\
Age gap: mean estimated age of the target domain minus that of the inputs, in the wanted direction. Told an age, the
target domain are real faces of that decade. Mirrored inputs: the judge reads the gender of faces that are only
mirrored; 100 % minus this number is its label-flip rate, which is its own noise. Power: of the skin's grey values,
sharp half of the faces, relative to real faces of the younger domain.
""" + NATURAL
PHOTO_LEGEND = """\
Judged: the faces of 60 pixels or more that dlib finds in the originals, cut out by dlib's alignment before and after.
""" + NATURAL


def of_crops(rows):
    """Markdown of {row: {title: numbers of metrics.measure}}: a column for each, then a table of its groups."""
    columns = _columns(rows)
    lines = _head("", *columns)
    for title, form in (*((title, form) for title, form, _ in metrics.METRICS if form), *RATES):
        lines += _row(title, form, [numbers.get(title) for numbers in columns.values()])
    for title, form in (*((title, form) for title, form, _ in metrics.BESIDE_REAL), *metrics.NATURAL):
        lines += _compared(title, form, [numbers.get(title, {}) for numbers in columns.values()])
    lines += ["", LEGEND]
    for column, numbers in columns.items():
        lines += ["", f"By gender and race, {column}:", "", *_head("", *(title for title, _ in metrics.GROUP_METRICS))]
        lines += [_line(group, *(_written(of[title], form) for title, form in metrics.GROUP_METRICS))
                  for group, of in numbers["by group"].items()]
    return "\n".join(lines)


def of_photos(rows):
    """Markdown of {row: {title: numbers of photos.measure}}: a column for each."""
    columns, lines = _columns(rows), []
    for group in dict.fromkeys(group for numbers in columns.values() for group in numbers["groups"]):
        of_group = {name: of["groups"][group] for name, of in columns.items() if group in of["groups"]}
        lines += [f"{group.capitalize()}:", "", *_head("", *of_group)]
        for title, form in (*((title, form) for title, form, _ in photos.METRICS), *RATES):
            lines += _row(title, form, [numbers.get(title) for numbers in of_group.values()])
        for title, form in metrics.NATURAL:
            lines += _compared(title, form, [numbers.get(title, {}) for numbers in of_group.values()])
        lines.append("")
    return "\n".join([*lines, *(f"{name}: {_totals(of['totals'])}" for name, of in columns.items()), "", PHOTO_LEGEND])


def _columns(rows):
    return {f"{row}: {title}" if len(rows) > 1 else title: numbers
            for row, by_title in rows.items() for title, numbers in by_title.items()}


def _compared(title, form, columns):
    """Lines of {"outputs" and others of COMPARED: estimate} for each column."""
    return [line for who, whose in COMPARED.items()
            for line in _row(f"{title}, {whose}", form, [column.get(who) for column in columns])]


def _row(title, form, values):
    """[line], or none without a value."""
    return [_line(title, *(_written(value, form) for value in values))] if any(v is not None for v in values) else []


def _totals(t):
    return (f"{t['photos']} photos, {t['found']} faces found, {t['aligned']} of them aligned. {t['missed']} of the "
            f"{t['judged']} judged faces missed, {t['not seen by dlib']} found where dlib sees none (dlib errs, too). "
            f"{t['seconds']:.2f} s per photo, from detection to blending.")


def of_each_photo(rows):
    """Markdown of {row: {title: numbers of photos.measure}}: a line for each photo and title."""
    lines = _head("generators", "made", "photo", *(title for title, _, _ in PHOTO_COLUMNS))
    for row, by_title in rows.items():
        for title, numbers in by_title.items():
            lines += [_line(row, title, of["photo"], *(_written(of[key], form) for _, key, form in PHOTO_COLUMNS))
                      for of in numbers["photos"]]
    return "\n".join(lines)


def _head(*titles):
    return [_line(*titles), "|---" * len(titles) + "|"]


def _line(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def _written(value, form):
    """A number, an estimate with its interval, or "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, tuple):
        estimate, low, high = map(form.format, value)
        return f"{estimate} ({low} to {high})"
    return form.format(value)


def write(folder, rows, text, more):
    """Write report.json and, last of all, report.md. more: lines below the tables of `text`."""
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with replacing(folder / "report.md") as temporary:
        temporary.write_text("\n".join(["# Evaluation", "", text, "", *more]) + "\n", encoding="utf-8")
