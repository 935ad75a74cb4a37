"""An evaluation as tables and pictures for people."""

import re

import numpy as np

import pictures
from files import UserError, reason, replacing

SHOWN = 10  # faces a strip

# (line of the table, key, how to write it)
LINES = [
    ("faces", "faces", "{:d}"), ("real age of the inputs", "real age, source", "{:.1f}"),
    ("real age of the target", "real age, target", "{:.1f}"), ("age gain, years", "age gain", "{:.1f}"),
    ("median gain", "median gain", "{:.0f}"), ("share of the gap", "of the gap", "{:.2f}"),
    ("gained 20 years or more", "20 years or more", "{:.1%}"),
    ("real age of the inputs, second judge", "second judge, real age, source", "{:.1f}"),
    ("real age of the target, second judge", "second judge, real age, target", "{:.1f}"),
    ("age gain, second judge", "second judge, age gain", "{:.1f}"),
    ("share of the gap, second judge", "second judge, of the gap", "{:.2f}"),
    ("gained 20 years or more, second judge", "second judge, 20 years or more", "{:.1%}"),
    ("identity distance", "identity distance", "{:.3f}"),
    ("distance of strangers", "strangers", "{:.3f}"), ("verified as the same", "verified", "{:.1%}"),
    ("gender kept", "gender kept", "{:.1%}"),
    ("the same of faces only mirrored", "gender kept, mirrored", "{:.1%}"),
    ("gender kept, second judge", "second judge, gender kept", "{:.1%}"),
    ("the same of faces only mirrored, second judge", "second judge, gender kept, mirrored", "{:.1%}"),
    ("gender read as labelled, inputs", "gender right, inputs", "{:.1%}"),
    ("gender read as labelled, outputs", "gender right, outputs", "{:.1%}"),
    ("a spot drawn on the forehead", "spot drawn", "{:.1%}"),
    ("cycle error, of 255", "cycle error", "{:.2f}"), ("cycle PSNR, dB", "cycle PSNR", "{:.1f}"),
    ("identity error, of 255", "identity error", "{:.2f}"), ("identity PSNR, dB", "identity PSNR", "{:.1f}"),
    ("skin lightness, change of L*", "skin lightness", "{:+.1f}"), ("skin colour, change dE*", "skin colour", "{:.1f}"),
    ("checkerboard, 1 is none", "checkerboard", "{:.2f}"),
    ("largest wave at its periods, of 255", "checkerboard levels", "{:.2f}"), ("monotone up to 1.25", "monotone", "{}"),
    ("ms a face", "ms a face", "{:.0f}"),
]

# (column of the table by group, key, how to write it)
BY_CELL = [("faces", "faces", "{:d}"), ("gender kept", "gender kept", "{:.0%}"),
           ("only mirrored", "gender kept, mirrored", "{:.0%}"),
           ("kept, second judge", "second judge, gender kept", "{:.0%}"),
           ("as labelled, before", "gender right, inputs", "{:.0%}"), ("after", "gender right, outputs", "{:.0%}"),
           ("years gained", "age gain", "{:.1f}"), ("spot drawn", "spot drawn", "{:.0%}"),
           ("skin L*", "skin lightness", "{:.1f}"), ("its change", "its change", "{:+.1f}")]


def tables(rows):
    """Markdown of {row: {direction: numbers}}: a column a row and direction, then a table of groups for each."""
    columns = {f"{name}: {d}" if len(rows) > 1 else d: numbers
               for name, by_direction in rows.items() for d, numbers in by_direction.items()}
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]

    def line(title, values, form):
        lines.append(f"| {title} | " + " | ".join(_written(v, form) for v in values) + " |")

    for title, key, form in LINES:
        line(title, [numbers[key] for numbers in columns.values()], form)
    for kind, measure, real, unit, form in (
            ("Frechet", "Frechet distance", "real against real", 1, "{:.3f}"),
            ("kernel", "kernel distance x 1000", "real against real", 1000, "{:.2f}"),
            ("dark beside", "dark pixels beside the face", "real faces of that age", 1, "{:.1%}")):
        for who, title in (("outputs", "outputs"), ("nothing", "doing nothing"), ("real", real)):
            line(f"{measure}, {title}",
                 [tuple(unit * v for v in numbers[kind][who]) for numbers in columns.values()], form)
    for strength in next(iter(columns.values()))["strength curve"]:
        line(f"age at strength {strength}",
             [numbers["strength curve"][strength] for numbers in columns.values()], "{:.0f}")
    for title, numbers in columns.items():
        lines += ["", f"By gender and group, {title}:", "",
                  "| | " + " | ".join(heading for heading, _, _ in BY_CELL) + " |", "|---" * (len(BY_CELL) + 1) + "|"]
        for cell, values in numbers["by cell"].items():
            lines.append(f"| {cell} | " + " | ".join(_written(values[key], form) for _, key, form in BY_CELL) + " |")
    return "\n".join(lines)


def _written(value, form):
    if value is None:
        return "-"
    if isinstance(value, tuple):
        middle, low, high = (form.format(v) for v in value)
        return f"{middle} ({low} to {high})"
    return form.format(value)


class Card:
    """The card of a pair of generators, as `train.py --export` writes it. Raises UserError if it cannot be read."""

    def __init__(self, path):
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            told = reason(error) if isinstance(error, OSError) else "no text"
            raise UserError(f"{path}: cannot be read ({told}); train.py --export writes a card") from error

    def put_measured(self, text):
        """`text` as the section "Measured", in place of the one that stands there or before the recipe."""
        sections = re.split(r"(?m)^(?=## )", self.text)
        kept = [section for section in sections if not section.startswith("## Measured\n")]
        old = next((i for i, s in enumerate(sections) if s.startswith(("## Measured\n", "## Recipe\n"))), len(kept))
        with replacing(self.path) as temporary:
            temporary.write_text("".join([*kept[:old], f"## Measured\n\n{text}\n\n", *kept[old:]]), encoding="utf-8")


def photo_tables(rows):
    """Markdown of {row: [a line a photo and direction]}."""
    titles = ("generators", "photo", "direction", "faces", "gain, years", "second judge", "identity distance",
              "change outside", "rim step", "seconds")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, photos in rows.items():
        for p in photos:
            judged = (f"{p['gain']:.1f} | {p['gain, second judge']:.1f} | {p['identity distance']:.2f}" if p["faces"]
                      else "- | - | -")
            lines.append(f"| {name} | {p['photo']} | {p['direction']} | {p['faces']} | {judged} | "
                         f"{p['change outside']} | {p['rim step']} | {p['seconds']:.2f} |")
    return "\n".join(lines)


def draw(folder, name, by_direction):
    """Write the pictures of one row into `folder`; Markdown lines that show them."""
    stem, lines = re.sub(r"\W+", "_", name).strip("_"), []
    for direction, m in by_direction.items():
        lines += [f"## {name}: {direction}", ""]
        for title, order in _selections(m):
            rows = [(kind, m[kind][order[:SHOWN]]) for kind in ("input", "output", "cycle")]
            path = folder / f"{stem}_{direction}_{re.sub(r'[^a-z]+', '_', title)}.png"
            pictures.save_grid(path, rows)
            lines += [f"{title}:", "", f"![{title}]({path.name})", ""]
        path = folder / f"{stem}_{direction}_ages.png"
        _curves(path, m, direction)
        lines += [f"![estimated ages]({path.name})", ""]
    return lines


def _selections(m):
    """(title, order of faces) of the strips: random ones, the best and the worst by each number."""
    order = np.random.default_rng(2).permutation(len(m["gain"]))
    chosen = [("random", order)]
    for number, least, most in (("gain", "smallest gain", "largest gain"),
                                ("distance", "nearest identity", "farthest identity"),
                                ("cycle error", "smallest cycle error", "largest cycle error"),
                                ("skin", "smallest change of skin colour", "largest change of skin colour")):
        chosen += [(least, np.argsort(m[number], kind="stable")), (most, np.argsort(-m[number], kind="stable"))]
    if (~m["kept"]).any():
        chosen.append(("gender not kept", np.flatnonzero(~m["kept"])))
    return chosen


def _curves(path, m, direction):
    """Histograms of estimated age before, after and of the real target; mean age over strength."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    bins = np.arange(0, 105, 5)
    for title, ages in (("input", m["before"]), ("output", m["after"]), ("real target", m["real"])):
        left.hist(np.clip(ages, 0, 100), bins, density=True, histtype="step", linewidth=2, label=title)
    left.set(xlabel="estimated age, years", ylabel="density", title=direction)
    left.legend()
    mean, low, high = np.transpose(list(m["curve"].values()))
    right.plot(list(m["curve"]), mean, marker="o")
    right.fill_between(list(m["curve"]), low, high, alpha=0.2)
    right.set(xlabel="strength", ylabel="mean estimated age, years")
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=90)
    plt.close(figure)
