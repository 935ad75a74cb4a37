"""Compare pairs of generators on the same faces: a row for each pair, and the report's files."""

import json
from pathlib import Path

from ageing.errors import UserError
from ageing.evaluation import gallery, validation_set
from ageing.evaluation.measure import measure_pair
from ageing.evaluation.translation import DIRECTIONS, Unchanged
from ageing.photos.translator import Translator
from ageing.storage import replacing


def load_pairs(folders, baseline, self_ensemble):
    """{row: (G_AB, G_BA)}. folders: {row: folder with g_AB.onnx and g_BA.onnx}. baseline: add a row of unchanged faces.

    Raises UserError if there is no row or a file is missing.
    """
    pairs = {name: tuple(Translator(Path(folder, d.file), mirror=self_ensemble) for d in DIRECTIONS)
             for name, folder in folders.items()}
    if baseline:
        pairs["unchanged"] = (Unchanged(), Unchanged())
    if not pairs:
        raise UserError("command line: nothing to evaluate; name --weights or --baseline")
    return pairs


def load_crops(folder, domains, limit, pairs, judges):
    """{row: [ValidationFaces of A, of B]} at the size of its generators; the same faces for every row."""
    sizes = {pair[0].size for pair in pairs.values()}
    loaded = {size: validation_set.load(folder, domains, size, limit, judges) for size in sizes}
    return {name: loaded[pair[0].size] for name, pair in pairs.items()}


def measure_all(pairs, crops, judges, folder):
    """({row: {direction: numbers}}, Markdown lines that show the pictures, which are written into `folder`)."""
    rows, links = {}, []
    for name, faces in crops.items():
        rows[name], translations = measure_pair(pairs[name], *faces, judges, name)
        links += gallery.draw(folder, name, translations, rows[name])
    return rows, links


def write_report(folder, rows, text, more):
    """Write report.json and, last of all, report.md. more: lines below the tables of `text`."""
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with replacing(folder / "report.md") as temporary:
        temporary.write_text("\n".join(["# Evaluation", "", text, "", *more]) + "\n", encoding="utf-8")
