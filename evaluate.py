"""Measure pairs of generators: tables with 95 % confidence intervals, and pictures.

    python evaluate.py                                        saved_models on data/utkface/validation -> evaluation/
    python evaluate.py --weights saved_models runs/00001-cpu/export --baseline      one row each, and unchanged faces
    python evaluate.py --weights runs/00001-cpu/export --card                       card.md and calibration.json too
    python evaluate.py --faces 60                             fewer faces a domain: faster, wider intervals
    python evaluate.py --photos holidays/                     on ordinary photos, beside the validation crops
    python evaluate.py --data data/drawn/validation           on drawn faces, without UTKFace

Needs `pip install -r requirements-eval.txt`. The report shows faces of the data set, so git ignores its folder.
"""

import argparse
import datetime
import json
from pathlib import Path

from ageing.errors import UserError, run_script
from ageing.evaluation import calibration, gallery, photo_tables, report, validation_set
from ageing.evaluation.card_update import Card
from ageing.evaluation.judges import Judges
from ageing.evaluation.measure import measure_pair
from ageing.evaluation.photo_measure import measure_photos, photos_in
from ageing.evaluation.translation import DIRECTIONS, Unchanged
from ageing.photos.translator import Translator
from ageing.storage import replacing

SAVED_MODELS = Path(__file__).parent / "saved_models"


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="*", default=[SAVED_MODELS], metavar="DIR",
                        help="folders with g_AB.onnx and g_BA.onnx (default: saved_models)")
    parser.add_argument("--baseline", action="store_true", help="add a row for unchanged faces")
    parser.add_argument("--no-self-ensemble", action="store_true",
                        help="run the generators on each face only, not on its mirror image too")
    parser.add_argument("--data", default="data/utkface/validation", metavar="DIR",
                        help="folder with the two domains (default: %(default)s)")
    parser.add_argument("--domains", nargs=2, default=("20s", "50s"), metavar=("A", "B"),
                        help="the younger and the older subfolder of --data (default: 20s 50s)")
    parser.add_argument("--faces", type=int, default=0, metavar="N", help="at most N faces a domain (default: all)")
    parser.add_argument("--photos", metavar="DIR",
                        help="measure on the ordinary photos in this folder, beside the faces of --data")
    parser.add_argument("--card", action="store_true",
                        help="also write the table into card.md, and calibration.json, in each folder of --weights")
    parser.add_argument("-o", "--output", type=Path, default=Path("evaluation"), metavar="DIR",
                        help="default: %(default)s")
    parser.add_argument("--force", action="store_true", help="overwrite an existing report")
    args = parser.parse_args(argv)
    if args.card and args.photos:
        parser.error("--card takes numbers of a data set, not of --photos")
    return args


def main(argv=None):
    args = parse_arguments(argv)
    pairs = load_generators(args)
    judges = Judges()
    if (args.output / "report.md").exists() and not args.force:
        raise UserError(f"{args.output}/report.md: exists already; overwrite it with --force or choose another with -o")
    cards = {row_name(folder): Card(Path(folder, "card.md")) for folder in args.weights} if args.card else {}

    if args.photos:
        paths = photos_in(args.photos)
        crops = load_crops(args, pairs, judges) if Path(args.data).is_dir() else {}
        rows = measure_photos(pairs, paths, crops, judges)
        text, more = photo_tables.summary(rows), [photo_tables.photos(rows)]
    else:
        rows, more = measure_all(args, pairs, judges)
        text = report.tables(rows)
    print(text)
    write(args.output, rows, text, more)
    for name, card in cards.items():
        card.put_measured(f"{how_measured(args)}\n\n{report.tables({name: rows[name]})}")
        calibration.write(card.path.parent, rows[name], how_measured(args))
    print(f"\nwrote {args.output}/report.md, report.json and pictures")
    return 0


def load_generators(args):
    """{row: (G_AB, G_BA)}."""
    pairs = {row_name(folder): tuple(Translator(Path(folder, d.file), mirror=not args.no_self_ensemble)
                                     for d in DIRECTIONS) for folder in args.weights}
    if args.baseline:
        pairs["unchanged"] = (Unchanged(), Unchanged())
    if not pairs:
        raise UserError("command line: nothing to evaluate; name --weights or --baseline")
    return pairs


def row_name(folder):
    return SAVED_MODELS.name if folder == SAVED_MODELS else str(folder)


def load_crops(args, pairs, judges):
    """{row: [ValidationFaces of A, of B]} at the size of its generators; the same faces for every row."""
    sizes = {pair[0].size for pair in pairs.values()}
    loaded = {size: validation_set.load(args.data, args.domains, size, args.faces, judges) for size in sizes}
    return {name: loaded[pair[0].size] for name, pair in pairs.items()}


def measure_all(args, pairs, judges):
    """({row: {direction: numbers}}, Markdown lines that show the pictures)."""
    rows, links = {}, []
    for name, crops in load_crops(args, pairs, judges).items():
        rows[name], translations = measure_pair(pairs[name], *crops, judges, name)
        links += gallery.draw(args.output, name, translations, rows[name])
    return rows, links


def write(folder, rows, text, more):
    """Write report.json and, last of all, report.md. more: lines below the tables of `text`."""
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with replacing(folder / "report.md") as temporary:
        temporary.write_text("\n".join(["# Evaluation", "", text, "", *more]) + "\n", encoding="utf-8")


def how_measured(args):
    faces = f"up to {args.faces} faces a domain" if args.faces else "all faces"
    ensemble = ", without self-ensemble" if args.no_self_ensemble else ""
    return (f"By `evaluate.py`, {datetime.date.today().isoformat()}, on {faces} of {args.data}{ensemble}; 95 % "
            "confidence intervals.")


if __name__ == "__main__":
    run_script(main, "requirements-eval.txt")
