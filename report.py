"""An evaluation as tables and pictures for people."""

import re

import numpy as np

import data_loader
import pictures
from files import replacing

SHOWN = 10  # faces a strip

# (line of the table, key, how to write it)
LINES = [
    ("faces", "faces", "{:d}"), ("real age of the inputs", "real age, source", "{:.1f}"),
    ("real age of the target", "real age, target", "{:.1f}"), ("age gain, years", "age gain", "{:.1f}"),
    ("median gain", "median gain", "{:.0f}"), ("share of the gap", "of the gap", "{:.2f}"),
    ("gained 20 years or more", "20 years or more", "{:.1%}"), ("identity distance", "identity distance", "{:.3f}"),
    ("distance of strangers", "strangers", "{:.3f}"), ("verified as the same", "verified", "{:.1%}"),
    ("gender kept", "gender kept", "{:.1%}"),
    ("the same of faces only mirrored", "gender kept, mirrored", "{:.1%}"),
    ("cycle error, of 255", "cycle error", "{:.2f}"), ("cycle PSNR, dB", "cycle PSNR", "{:.1f}"),
    ("identity error, of 255", "identity error", "{:.2f}"), ("identity PSNR, dB", "identity PSNR", "{:.1f}"),
    ("skin lightness, change of L*", "skin lightness", "{:+.1f}"), ("skin colour, change dE*", "skin colour", "{:.1f}"),
    ("checkerboard, 1 is none", "checkerboard", "{:.2f}"),
    ("largest wave at its periods, of 255", "checkerboard levels", "{:.2f}"), ("monotone up to 1.25", "monotone", "{}"),
    ("ms a face", "ms a face", "{:.0f}"),
]

CELL = ("{gender kept:.0%} ({gender kept, mirrored:.0%}), {age gain:.1f}, {skin lightness:.1f} {its change:+.1f} "
        "({faces})")


def tables(rows):
    """Markdown of {row: {direction: numbers}}: a column a row and direction, then gender by cell."""
    columns = [(name, d) for name, by in rows.items() for d in by]
    lines = ["| | " + " | ".join(f"{name}: {d}" for name, d in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for title, key, form in LINES:
        lines.append(f"| {title} | " + " | ".join(_written(rows[n][d][key], form) for n, d in columns) + " |")
    for kind, distance, unit, form in (("Frechet", "Frechet distance", 1, "{:.3f}"),
                                       ("kernel", "kernel distance x 1000", 1000, "{:.2f}")):
        for who, title in (("outputs", "outputs"), ("nothing", "doing nothing"), ("real", "real against real")):
            lines.append(f"| {distance}, {title} | " + " | ".join(
                _written(tuple(unit * v for v in rows[n][d][kind][who]), form) for n, d in columns) + " |")
    for strength in rows[columns[0][0]][columns[0][1]]["strength curve"]:
        lines.append(f"| age at strength {strength} | " + " | ".join(
            _written(rows[n][d]["strength curve"][strength], "{:.0f}") for n, d in columns) + " |")
    lines += ["", "By gender and group: gender kept (of faces only mirrored), years gained, skin lightness L* and its "
                  "change (faces):", "",
              "| | " + " | ".join(f"{name}: {d}" for name, d in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for cell in range(len(data_loader.GENDERS) * len(data_loader.RACES)):
        cell = data_loader.cell_name(cell)
        found = [rows[n][d]["by cell"].get(cell) for n, d in columns]
        if any(found):
            lines.append(f"| {cell} | " + " | ".join(CELL.format(**f) if f else "-" for f in found) + " |")
    return "\n".join(lines)


def _written(value, form):
    if value is None:
        return "-"
    if isinstance(value, tuple):
        middle, low, high = (form.format(v) for v in value)
        return f"{middle} ({low} to {high})"
    return form.format(value)


def photo_tables(rows):
    """Markdown of {row: [a line a photo and direction]}."""
    titles = ("generators", "photo", "direction", "faces", "gain, years", "identity distance", "change outside",
              "rim step", "seconds")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, photos in rows.items():
        for p in photos:
            judged = f"{p['gain']:.1f} | {p['identity distance']:.2f}" if p["faces"] else "- | -"
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
