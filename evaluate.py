"""Measure pairs of generators: tables with 95 % confidence intervals, and pictures.

    python evaluate.py                                        saved_models on data/utkface/validation -> evaluation/
    python evaluate.py --weights saved_models runs/00001-cpu/export --baseline      one row each, and unchanged faces
    python evaluate.py --weights runs/00001-cpu/export --card                       the table into its card.md too
    python evaluate.py --faces 60                             fewer faces per domain: faster, wider intervals
    python evaluate.py --photos holidays/                     on ordinary photos
    python evaluate.py --data data/drawn/validation           on drawn faces, without UTKFace

Generators that are told an age are measured at 45, 55, 65, 75 and 85 years, beside real faces of each decade.
Needs `pip install -r requirements-eval.txt`. The report shows faces of the data set, so git ignores its folder.
"""

import argparse
import datetime
import functools
from pathlib import Path

from ageing.errors import UserError, kind_of, run_script
from ageing.evaluation import FEWEST
from ageing.project import PROJECT

SAVED_MODELS = PROJECT / "saved_models"


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="*", default=[SAVED_MODELS], metavar="DIR",
                        help="folders with g_AB.onnx and g_BA.onnx (default: saved_models)")
    parser.add_argument("--baseline", action="store_true", help="add a row for unchanged faces")
    parser.add_argument("--no-self-ensemble", action="store_true",
                        help="run the generators on each face only, not on its mirror image too")
    parser.add_argument("--data", default="data/utkface/validation", metavar="DIR",
                        help="folder with the domains and the decades 40s to 80s (default: %(default)s)")
    parser.add_argument("--domains", nargs=2, default=("20s", "50s"), metavar=("A", "B"),
                        help="the younger and the older subfolder of --data (default: 20s 50s)")
    parser.add_argument("--faces", type=int, default=0, metavar="N", help="at most N faces per domain (default: all)")
    parser.add_argument("--photos", metavar="DIR",
                        help="measure on the ordinary photos in this folder, not on --data")
    parser.add_argument("--card", action="store_true",
                        help="also write the table into card.md in each folder of --weights")
    parser.add_argument("-o", "--output", type=Path, default=Path("evaluation"), metavar="DIR",
                        help="default: %(default)s")
    parser.add_argument("--force", action="store_true", help="overwrite an existing report")
    args = parser.parse_args(argv)
    if args.faces and args.faces < FEWEST:
        parser.error(f"--faces {args.faces}: with fewer than {FEWEST} faces the intervals say nothing")
    if args.card and args.photos:
        parser.error("--card takes numbers of a data set, not of --photos")
    return args


def main(argv=None):
    args = parse_arguments(argv)

    # Imported here: --help and wrong arguments answer at once.
    from ageing.evaluation import comparison, photos, tables
    from ageing.evaluation.card import Card
    from ageing.evaluation.judges import Judges

    folders = {SAVED_MODELS.name if folder == SAVED_MODELS else str(folder): folder for folder in args.weights}
    pairs = comparison.load_pairs(folders, args.baseline, not args.no_self_ensemble)
    judges = Judges()
    if kind_of(args.output / "report.md") and not args.force:
        raise UserError(f"{args.output}/report.md: exists already; overwrite it with --force or choose another with -o")
    cards = {name: Card(Path(folder, "card.md")) for name, folder in folders.items()} if args.card else {}
    plans = {name: comparison.ways(pair, *args.domains) for name, pair in pairs.items()}

    if args.photos:
        rows = photos.measure(plans, photos.photos_in(args.photos), judges)
        text, more = tables.of_photos(rows), [tables.of_each_photo(rows)]
    else:
        rows, more = measure_crops(args, plans, judges)
        text = tables.of_crops(rows)
    print(text)
    tables.write(args.output, rows, text, more)
    for name, card in cards.items():
        card.put_measured(f"{how_measured(args)}\n\n{tables.of_crops({name: rows[name]})}")
    print(f"\nwrote {args.output}/report.md, report.json and pictures")
    return 0


def measure_crops(args, plans, judges):
    """({row: {title: numbers}}, lines that show pictures) of `plans`, {row: {title: comparison.Way}}, on --data."""
    from ageing.evaluation import crops, gallery, metrics
    from ageing.face_folder import contents

    @functools.cache
    def faces(domain, size):
        return crops.load(Path(args.data, domain), size, args.faces, judges)

    @functools.cache
    def of_decade(decade, size):
        folder = Path(args.data, decade)
        if kind_of(folder) == "folder" and len(contents(folder)[0]) >= FEWEST:
            return faces(decade, size)
        print(f"{folder}: no {FEWEST} faces there; what is told this age has no real faces beside it")
        return None

    rows, lines = {}, []
    for name, ways in plans.items():
        translations = {}
        for title, way in ways.items():
            size, real = way.generator.size, of_decade if way.age else faces
            translations[title] = crops.translate(way, faces(way.source, size), real(way.target, size), judges,
                                                  f"{name}, {title}")
        rows[name] = metrics.measure_all(translations)
        lines += gallery.draw(args.output, name, translations)
    return rows, lines


def how_measured(args):
    faces = f"up to {args.faces} faces per domain" if args.faces else "all faces"
    ensemble = ", without self-ensemble" if args.no_self_ensemble else ""
    return (f"By `evaluate.py`, {datetime.date.today().isoformat()}, on {faces} of {args.data}{ensemble}; 95 % "
            "confidence intervals.")


if __name__ == "__main__":
    run_script(main, "requirements-eval.txt")
