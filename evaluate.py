"""How good a pair of generators is, as numbers with intervals and as pictures.

    python evaluate.py                                          saved_models on data/utkface/test -> evaluation/
    python evaluate.py --weights saved_models runs/00001-cpu/export --baseline nothing      a table with a row each
    python evaluate.py --weights runs/00001-cpu/export --card   the table also into the card beside the generators
    python evaluate.py --faces 60                               fewer faces a direction: faster, wider intervals
    python evaluate.py --photos holidays/                       the whole way, detection and blending, on photos
    python evaluate.py --data data/drawn/test                   drawn faces, without UTKFace

Needs `pip install -r requirements-eval.txt`. The report shows faces of the data set: it stays in a folder that git
ignores. Every estimate stands with its 95 % interval.
"""

import argparse
import dataclasses
import datetime
import itertools
import json
import time
from pathlib import Path

import numpy as np

import data_loader
from files import UserError, replacing, run_script

FEWEST = 8          # faces a domain below which no number means anything
HALVINGS = 100      # random halves of the real faces, for realism
STRENGTHS = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5)
CURVE_FACES = 40    # faces of the strength curve
SPOT = 4            # `forehead_spot` from which it counts as one: half of data_loader.MARK, a painted mark's
GREAT = 20          # years: the share of faces that gain as much is reported


@dataclasses.dataclass(frozen=True)
class Direction:
    """One generator's task. sign: of the change in age that is wanted."""

    name: str
    generator: str
    sign: int


DIRECTIONS = (Direction("age", "g_AB.onnx", 1), Direction("rejuvenate", "g_BA.onnx", -1))


class Nothing:
    """The baseline that returns every face as it is."""

    size, title = 128, ""

    def __call__(self, faces):
        return faces

    def change(self, faces):
        return np.zeros(faces.shape, np.float32)


@dataclasses.dataclass
class Faces:
    """Held-out faces of one domain at a generator's size.

    pixels: uint8 (n, S, S, 3). cells: (n,). readings: of the judges. mirrored_male, second_mirrored_male: booleans
    (n,), what the judges of gender say with left and right swapped: how often they change their minds about a face
    that nobody changed.
    """

    pixels: np.ndarray
    cells: np.ndarray
    readings: object
    mirrored_male: np.ndarray
    second_mirrored_male: np.ndarray


def main(argv=None):
    args = parse_arguments(argv)
    generators = load(args.weights, args.baseline, not args.no_mirror)
    from judges import Judges

    judges = Judges()
    folder = Path(args.output)
    check_output(folder, args.force)
    import report

    cards = {name: report.Card(Path(name, "card.md")) for name in args.weights} if args.card else {}

    if args.photos:
        rows = {name: evaluate_photos(pair, args.photos, judges) for name, pair in generators.items()}
        text, material = report.photo_tables(rows), {}
    else:
        rows, material, real = {}, {}, {}
        for name, pair in generators.items():
            if (size := pair[0].size) not in real:
                real[size] = held_out(args, size, judges)
            rows[name], material[name] = evaluate_pair(pair, *real[size], judges, name)
        text = report.tables(rows)
    print(text)
    write(folder, rows, text, material)
    for name, card in cards.items():
        card.put_measured(how_measured(args) + "\n\n" + report.tables({name: rows[name]}))
    print(f"\nwrote {folder}/report.md, report.json and pictures")
    return 0


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="*", default=["saved_models"], metavar="DIR",
                        help="folders with g_AB.onnx and g_BA.onnx (default: saved_models)")
    parser.add_argument("--baseline", choices=("nothing",), help="a further row: faces as they are")
    parser.add_argument("--no-mirror", action="store_true", help="run the generators on a face only, not on its mirror "
                                                                 "image too: the networks by themselves")
    parser.add_argument("--data", default="data/utkface/test", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--domains", nargs=2, default=("20s", "50s"), metavar=("A", "B"))
    parser.add_argument("--faces", type=int, default=0, metavar="N", help="at most so many a domain (default: all)")
    parser.add_argument("--photos", metavar="DIR", help="evaluate on the ordinary photos in this folder instead")
    parser.add_argument("--card", action="store_true", help="put the table into card.md beside the generators too, in "
                                                            "place of the one that stands there")
    parser.add_argument("-o", "--output", default="evaluation", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--force", action="store_true", help="overwrite a report that stands there")
    args = parser.parse_args(argv)
    if args.card and args.photos:
        parser.error("--card holds what is measured on a data set, not on --photos")
    return args


def how_measured(args):
    """Of a card's numbers: by what, on what, when."""
    by_themselves = ", the networks by themselves (`--no-mirror`)" if args.no_mirror else ""
    return (f"By `evaluate.py`, {datetime.date.today().isoformat()}, on "
            f"{'up to ' + str(args.faces) + ' faces a domain' if args.faces else 'all faces'} of {args.data}"
            f"{by_themselves}; 95 % intervals.")


def load(folders, baseline, mirror):
    """{row: (translator that ages, one that rejuvenates)}."""
    from translator import Translator

    rows = {str(f): tuple(Translator(Path(f, d.generator), mirror=mirror) for d in DIRECTIONS) for f in folders}
    if baseline:
        rows[baseline] = (Nothing(), Nothing())
    if not rows:
        raise UserError("command line: nothing to evaluate; name --weights or --baseline nothing")
    return rows


def check_output(folder, force):
    if (folder / "report.md").exists() and not force:
        raise UserError(f"{folder}/report.md: exists already; overwrite it with --force or choose another with -o")


def held_out(args, size, judges):
    """(A, B): Faces of both domains, the same ones for every row."""
    found = []
    for domain in args.domains:
        decoded = data_loader.load_domain(Path(args.data, domain), size)
        if len(decoded) < FEWEST:
            raise UserError(f"{args.data}/{domain}: {len(decoded)} faces are too few to measure anything; "
                            f"at least {FEWEST} are needed")
        chosen = np.arange(len(decoded))
        if args.faces:
            chosen = np.sort(np.random.default_rng(1).permutation(chosen)[:max(args.faces, FEWEST)])
        pixels = decoded.images[chosen]
        mirrored, title = np.ascontiguousarray(pixels[:, :, ::-1]), f"judging {domain}"
        found.append(Faces(pixels, decoded.cells[chosen], judges.read(pixels, title),
                           judges.male(mirrored, f"{title}, mirrored"),
                           judges.second.read(mirrored, f"{title}, mirrored, second judge").male))
    return found


def evaluate_pair(pair, A, B, judges, name):
    """(numbers {direction: {...}}, pictures' material {direction: {...}}) of the two generators of one row."""
    numbers, material = {}, {}
    for direction, network, back, source, target in zip(DIRECTIONS, pair, pair[::-1], (A, B), (B, A), strict=True):
        numbers[direction.name], material[direction.name] = evaluate_direction(
            direction, network, back, source, target, judges, name)
    return numbers, material


def evaluate_direction(direction, network, back, source, target, judges, name):
    import metrics
    from judges import SAME_PERSON

    begin = time.perf_counter()
    change = network.change(source.pixels)
    milliseconds = 1e3 * (time.perf_counter() - begin) / len(change)
    outputs = blended(source.pixels, change, 1)
    cycled = back(outputs)
    after = judges.read(outputs, f"judging {name}, {direction.name}")
    before = source.readings
    gain = direction.sign * (after.ages - before.ages)
    first = age_and_gender(direction, before, after, target.readings, source.mirrored_male)
    second = age_and_gender(direction, before.second, after.second, target.readings.second, source.second_mirrored_male)
    distance = before.distances(after)
    kept = before.male == after.male
    kept_mirrored = before.male == source.mirrored_male
    known, men = source.cells >= 0, data_loader.labels_of(source.cells)[:, data_loader.GENDERS.index("male")] == 1
    right_before, right_after = before.male == men, after.male == men
    cycle_error = metrics.mean_absolute(cycled, source.pixels)
    skin = metrics.skin_colour(source.pixels)
    recoloured = metrics.skin_colour(outputs) - skin
    skin_distance = np.linalg.norm(recoloured, axis=1)
    spot_before, spot_after = (np.array(list(map(data_loader.forehead_spot, p))) for p in (source.pixels, outputs))
    spot_drawn = (spot_before < SPOT) & (spot_after >= SPOT)
    same = network(target.pixels)
    order = np.random.default_rng(1).permutation(len(source.pixels))
    strangers = np.linalg.norm(before.descriptors - np.roll(before.descriptors[order], 1, 0)[np.argsort(order)], axis=1)
    few = order[:CURVE_FACES]
    ratio, levels = metrics.checkerboard(change)
    curve = {s: metrics.bootstrap(judges.ages(blended(source.pixels[few], change[few], s), f"strength {s}"))
             for s in STRENGTHS}
    up_to = [direction.sign * curve[s][0] for s in STRENGTHS if s <= 1.25]
    numbers = {
        "faces": len(outputs), **first, "median gain": metrics.bootstrap(gain, np.median),
        **{f"second judge, {name}": number for name, number in second.items()},
        "identity distance": metrics.bootstrap(distance), "strangers": metrics.bootstrap(strangers),
        "verified": metrics.proportion(distance < SAME_PERSON),
        # None where file names tell no gender.
        "gender right, inputs": metrics.proportion(right_before[known]) if known.any() else None,
        "gender right, outputs": metrics.proportion(right_after[known]) if known.any() else None,
        "spot drawn": metrics.proportion(spot_drawn),
        "skin lightness": metrics.bootstrap(recoloured[:, 0]),
        "skin colour": metrics.bootstrap(skin_distance),
        "by cell": by_cell(source.cells, {
            "gender kept": (metrics.proportion, kept), "gender kept, mirrored": (metrics.proportion, kept_mirrored),
            "second judge, gender kept": (metrics.proportion, before.second.male == after.second.male),
            "gender right, inputs": (metrics.proportion, right_before),
            "gender right, outputs": (metrics.proportion, right_after),
            "age gain": (metrics.bootstrap, gain), "spot drawn": (metrics.proportion, spot_drawn),
            "skin lightness": (metrics.bootstrap, skin[:, 0]),
            "its change": (metrics.bootstrap, recoloured[:, 0])}),
        **realism(outputs, after, source, target),
        "cycle error": metrics.bootstrap(cycle_error),
        "cycle PSNR": metrics.bootstrap(metrics.psnr(cycled, source.pixels), np.median),
        "identity error": metrics.bootstrap(metrics.mean_absolute(same, target.pixels)),
        "identity PSNR": metrics.bootstrap(metrics.psnr(same, target.pixels), np.median),
        "checkerboard": ratio, "checkerboard levels": levels,
        "strength curve": curve, "monotone": all(b >= a for a, b in itertools.pairwise(up_to)),
        "ms a face": milliseconds,
    }
    material = {"input": source.pixels, "output": outputs, "cycle": cycled, "gain": gain, "distance": distance,
                "kept": kept, "cycle error": cycle_error, "skin": skin_distance,
                "before": before.ages, "after": after.ages, "real": target.readings.ages, "curve": curve}
    return numbers, material


def age_and_gender(direction, before, after, target, mirrored_male):
    """{name: number} of what one judge says of age and gender. before, after, target: its Readings or Opinions."""
    import metrics

    gain = direction.sign * (after.ages - before.ages)
    gap = direction.sign * (target.ages.mean() - before.ages.mean())
    return {
        "gap": float(gap),
        "real age, source": metrics.bootstrap(before.ages), "real age, target": metrics.bootstrap(target.ages),
        "age gain": metrics.bootstrap(gain),
        # None where the judge takes the old for no older than the young: drawn faces, say.
        "of the gap": metrics.bootstrap(gain / gap) if gap > 0 else None,
        f"{GREAT} years or more": metrics.proportion(gain >= GREAT),
        "gender kept": metrics.proportion(before.male == after.male),
        "gender kept, mirrored": metrics.proportion(before.male == mirrored_male),
    }


def by_cell(cells, values):
    """{cell's name: {"faces": how many, name: estimate and interval of their values}}; unknown cells (-1) are left out.

    values: {name: (how to estimate, values (n,))}.
    """
    return {data_loader.cell_name(c): {"faces": int((cells == c).sum()),
                                       **{name: estimate(v[cells == c]) for name, (estimate, v) in values.items()}}
            for c in np.unique(cells[cells >= 0])}


def blended(pixels, change, strength):
    return np.clip(np.rint(pixels + strength * change), 0, 255).astype(np.uint8)


def realism(outputs, after, source, target):
    """{"Frechet" | "kernel" | "dark beside": {"outputs" | "nothing" | "real": (mean, low, high)}}.

    Mean and 95 % interval over HALVINGS random halves of the real target faces: outputs, the inputs themselves, and the
    other half, all of one number and one gender x race distribution, since distances depend on both. Frechet, kernel:
    each one's distance to the first half. dark beside: each one's own share of dark pixels beside the face, 0 to 1.

    outputs: uint8 (n, S, S, 3); after: what the judges read of them. source, target: Faces.
    """
    import metrics

    rng = np.random.default_rng(1)
    try:
        p, _, _ = data_loader.matched_distribution(source.cells, target.cells, 4)
    except UserError:  # names that tell no cell
        p = None
    m = min(len(source.cells), len(target.cells) // 2)
    features = {"outputs": after.descriptors, "nothing": source.readings.descriptors,
                "real": target.readings.descriptors}
    dark = {"outputs": metrics.dark_beside(outputs), "nothing": metrics.dark_beside(source.pixels),
            "real": metrics.dark_beside(target.pixels)}
    found = {kind: {who: [] for who in features} for kind in ("Frechet", "kernel", "dark beside")}
    for _ in range(HALVINGS):
        halves = np.array_split(rng.permutation(len(target.cells)), 2)
        cells = None if p is None else rng.choice(len(p), size=m, p=p)
        first, second = (_draw(target.cells, half, cells, m, rng) for half in halves)
        drawn = _draw(source.cells, np.arange(len(source.cells)), cells, m, rng)
        for who, which in (("outputs", drawn), ("nothing", drawn), ("real", second)):
            found["Frechet"][who].append(metrics.frechet(features[who][which], features["real"][first]))
            found["kernel"][who].append(metrics.kernel_distance(features[who][which], features["real"][first]))
            found["dark beside"][who].append(dark[who][which].mean())
    return {kind: {who: (float(np.mean(v)), *map(float, np.percentile(v, [2.5, 97.5]))) for who, v in by.items()}
            for kind, by in found.items()}


def _draw(cells, among, wanted, m, rng):
    """Indices out of `among`: one of each cell in `wanted`, or any where that half has none of it."""
    if wanted is None:
        return rng.choice(among, m)
    members = {c: among[cells[among] == c] for c in np.unique(wanted)}
    return np.array([rng.choice(members[c] if len(members[c]) else among) for c in wanted])


def evaluate_photos(pair, folder, judges):
    """[{photo, faces, ...}] of the whole way, detection and blending included, on the photos in `folder`."""
    import faces
    import infer_faces
    import photos
    from judges import SIDE

    paths = infer_faces.expand([folder]) if Path(folder).is_dir() else []
    if not paths:
        raise UserError(f"{folder}: no photos there")
    detector, out = faces.Detector(), []
    for path in paths:
        photo = photos.read(path).rgb
        found = detector.find(photo)
        for direction, network in zip(DIRECTIONS, pair, strict=True):
            begin = time.perf_counter()
            edited = faces.edit(photo, found, network)
            seconds = time.perf_counter() - begin
            change = np.abs(edited.astype(int) - photo)
            outside = np.ones(photo.shape[:2], bool)
            for face in found:
                x, y, side = face.square
                outside[max(y, 0):y + side, max(x, 0):x + side] = False
            line = {"photo": path.name, "direction": direction.name, "faces": len(found), "seconds": seconds,
                    "change outside": int(change[outside].max(initial=0)),
                    "rim step": max((rim_step(photo, edited, f.square) for f in found), default=0)}
            if found:
                was, now = (judges.read(np.stack([faces.crop(p, f.square, SIDE) for f in found]))
                            for p in (photo, edited))
                line["gain"] = float((direction.sign * (now.ages - was.ages)).mean())
                line["gain, second judge"] = float((direction.sign * (now.second.ages - was.second.ages)).mean())
                line["identity distance"] = float(was.distances(now).mean())
            out.append(line)
    return out


def rim_step(photo, edited, square):
    """How much larger, in grey levels, the largest step across a square's rim is in the edited photo; 0: no larger."""
    x, y, side = square
    worst = 0
    for axis, places in ((1, (x, x + side)), (0, (y, y + side))):
        for place in places:
            if 0 < place < photo.shape[axis]:
                steps = [np.abs(np.diff(np.take(p, [place - 1, place], axis).astype(int), axis=axis)).max()
                         for p in (photo, edited)]
                worst = max(worst, int(steps[1]) - int(steps[0]))
    return worst


def write(folder, rows, text, material):
    """report.json, report.md and the pictures into `folder`; other files there stay. report.md comes last."""
    import report

    links = [line for name, by_direction in material.items() for line in report.draw(folder, name, by_direction)]
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with replacing(folder / "report.md") as temporary:
        temporary.write_text("\n".join(["# Evaluation", "", text, "", *links]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_script(main)
