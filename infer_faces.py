"""Age the faces in photos.

    python infer_faces.py photo.jpg                               -> photo_50s.jpg beside it
    python infer_faces.py holidays/ "scans/*.png" -o aged/        folders and patterns, into a folder
    python infer_faces.py photo.jpg --direction both --compare    older and younger, and before and after side by side
    python infer_faces.py photo.jpg --strength 0.6                less: 0 is the photo itself, 1.5 the most
    python infer_faces.py photo.jpg --steps 6                     a strip over strengths
    python infer_faces.py group.jpg --draw-boxes                  which face has which number
    python infer_faces.py group.jpg --face 2 --json report.json

Everything stays on this machine. Use it on people who agreed. An existing file is never overwritten without --force,
the photo itself never. Exit codes: 0 done, 1 a file could not be read or written, 2 wrong arguments, 3 no face found.
"""

import argparse
import glob
import json
import sys
import time
from pathlib import Path

from files import UserError, exit_with_one_line, replacing

GENERATORS = {"age": "g_AB.onnx", "rejuvenate": "g_BA.onnx"}
NO_FACE = 3
MOST = 1.5  # strength: beyond, faces become masks


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders, patterns")
    parser.add_argument("-o", "--output", metavar="PATH",
                        help="a file for one photo, else a folder (default: beside the photo)")
    parser.add_argument("--direction", choices=("age", "rejuvenate", "both"), default="age")
    parser.add_argument("--strength", type=_within(0, MOST), default=1.0, metavar="0..1.5", help="default: 1")
    parser.add_argument("--face", type=_face, default="all", metavar="largest|all|N", help="N: 1 is the largest")
    parser.add_argument("--compare", action="store_true", help="also one sheet with before and after")
    parser.add_argument("--steps", type=_whole(2, 50), metavar="N", help="also a strip over N strengths from 0 to 1.5")
    parser.add_argument("--draw-boxes", action="store_true", help="also the photo with its faces, boxed and numbered")
    parser.add_argument("--json", metavar="FILE", help="a report: boxes, confidences, times; - prints it")
    parser.add_argument("--force", action="store_true", help="overwrite outputs that exist")
    parser.add_argument("--confidence", type=_within(0.01, 1), default=0.8, metavar="0..1",
                        help="what counts as a face (default: 0.8)")
    parser.add_argument("--small-faces", action="store_true", help="search large photos longer, for faces under 1/60 "
                        "of their width")
    parser.add_argument("--max-megapixels", type=_within(0.001, 10_000), default=150, metavar="N",
                        help="larger photos are refused (default: 150)")
    parser.add_argument("--weights", default=Path(__file__).parent / "saved_models", metavar="DIR",
                        help="holds g_AB.onnx and g_BA.onnx (default: saved_models)")
    parser.add_argument("--detector", nargs="+", metavar="FILE", help="another SSD face detector that OpenCV reads: "
                        "its weights and, if its format has one, its configuration")
    args = parser.parse_args(argv)
    if args.detector and len(args.detector) > 2:
        parser.error("--detector takes one file of weights and one of configuration")
    return args


def _within(low, high):
    def number(text):
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    return number


def _whole(low, high):
    def number(text):
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    return number


def _face(text):
    if text in ("largest", "all"):
        return text
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not largest, all, or a number from 1")
    return int(text)


def main(argv=None):
    args = parse_arguments(argv)
    sources = expand(args.photos)
    if not sources:
        raise UserError(f"{' '.join(args.photos)}: no photos there")
    if args.output and Path(args.output).suffix and not Path(args.output).is_dir() and (
            len(sources) > 1 or args.direction == "both"):
        raise UserError(f"{args.output}: one file cannot take several outputs; name a folder with -o")

    from tqdm import tqdm

    editor = Editor(args)
    reports, failed, without = [], 0, 0
    bar = tqdm(sources, unit="photo", disable=None if len(sources) > 1 else True)
    for source in bar:
        try:
            report = editor.photo(source)
            bar.write(summary(report))
            without += not report["faces"]
        except UserError as error:
            report = {"photo": str(source), "error": " ".join(str(error).split())}
            bar.write(f"error: {report['error']}", file=sys.stderr)
            failed += 1
        reports.append(report)
    if args.json:
        write_report(args.json, reports, args.force)
    return 1 if failed else NO_FACE if without == len(sources) else 0


def expand(names):
    """Files named by paths, folders and patterns, in order, each once. A folder's earlier outputs are left out."""
    from PIL import Image

    suffixes = Image.registered_extensions()
    found = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes and p.is_file())
            stems = {p.stem for p in inside}
            found |= dict.fromkeys(p for p in inside if not any(
                p.stem.startswith(f"{stem}_") and p.stem[len(stem) + 1:].split("_")[0] in MADE for stem in stems))
        elif not path.exists() and glob.has_magic(name):
            found |= dict.fromkeys(sorted(Path(p) for p in glob.glob(name) if Path(p).is_file()))
        else:
            found[path] = None
    return list(found)


SHEETS = ("compare", "faces")
MADE = {"50s", "20s", "age", "rejuvenate", *SHEETS}  # what outputs add to a photo's name


class Editor:
    """Everything that is loaded once: detector and generators."""

    def __init__(self, args):
        import faces
        from translator import Translator

        self.args = args
        model, config = [*(args.detector or (None,)), None][:2]
        self.detector = faces.Detector(model, config, args.confidence, 4000 if args.small_faces else 1600)
        directions = tuple(GENERATORS) if args.direction == "both" else (args.direction,)
        self.translators = {d: Translator(Path(args.weights, GENERATORS[d])) for d in directions}
        self.written = set()

    def photo(self, source):
        """Age the faces of one photo and write what was asked for; a report of it. Raises UserError."""
        import faces
        import photos

        begin = time.perf_counter()
        photo = photos.read(source, self.args.max_megapixels)
        read = time.perf_counter()
        found = self.detector.find(photo.rgb)
        chosen = self.choose(found, source)
        detected = time.perf_counter()
        report = {"photo": str(source), "width": photo.rgb.shape[1], "height": photo.rgb.shape[0],
                  "faces": [{"box": [round(v, 1) for v in f.box], "confidence": round(f.confidence, 3),
                             "edited": f in chosen} for f in found],
                  "outputs": [], "seconds": {"read": read - begin, "detect": detected - read}}
        if photo.frames > 1:
            report["note"] = f"only the first of its {photo.frames} pictures is read"
        if chosen:
            changes = {direction: faces.changes(photo.rgb, chosen, translator)
                       for direction, translator in self.translators.items()}
            translated = time.perf_counter()
            self.write(source, photo, found, changes, report["outputs"])
            done = time.perf_counter()
            report["seconds"] |= {"translate": translated - detected, "blend and write": done - translated}
        report["seconds"] = {name: round(value, 3) for name, value in report["seconds"].items()}
        return report

    def choose(self, found, source):
        if isinstance(self.args.face, int):
            if found and self.args.face > len(found):
                raise UserError(f"{source}: --face {self.args.face}, but {len(found)} found; see --draw-boxes")
            return found[self.args.face - 1:self.args.face]
        return found[:1] if self.args.face == "largest" else found

    def write(self, source, photo, found, changes, outputs):
        """Write the outputs of one photo, and their names into `outputs`. Nothing is written if one of them exists."""
        import faces
        import photos
        import pictures

        args = self.args
        targets = {d: self.target(source, photo, self.translators[d].title or d) for d in changes}
        strips = {d: path.with_name(f"{path.stem}_steps.jpg") for d, path in targets.items() if args.steps}
        compare = self.target(source, photo, "compare").with_suffix(".jpg") if args.compare else None
        boxes = self.target(source, photo, "faces").with_suffix(".jpg") if args.draw_boxes else None
        wanted = [*targets.values(), *strips.values(), *filter(None, (compare, boxes))]
        self.refuse_existing(source, wanted)
        shown = {"photo": photo.rgb}
        for d, path in targets.items():
            edited = photo.edited(faces.strips(photo.native.shape, changes[d], args.strength))
            photos.save(path, photo, edited)
            if args.compare:
                shown[self.translators[d].title or d] = photo.rgb_of(edited)
            if args.steps:
                part, moved = faces.cut_out(photo.rgb, changes[d])
                strengths = [MOST * i / (args.steps - 1) for i in range(args.steps)]
                strip = [(f"{s:.2f}", faces.apply(part, moved, s)) for s in strengths]
                photos.save_marked(strips[d], pictures.side_by_side(strip, height=256))
        if compare:
            order = list(shown.items())
            if "rejuvenate" in changes:  # from young to old: the rejuvenated one stands before the photo
                order.insert(0, order.pop())
            photos.save_marked(compare, pictures.side_by_side(order))
        if boxes:
            photos.save_marked(boxes, pictures.with_boxes(photo.rgb, found))
        outputs += map(str, wanted)

    def target(self, source, photo, title):
        """Where the output `title` of `source` goes."""
        import photos

        _, suffix = photos.output_format(photo)
        if source.suffix.lower() in _suffixes(photo.format):
            suffix = source.suffix
        output = Path(self.args.output) if self.args.output else None
        if output and output.suffix and not output.is_dir():
            photos.output_format(photo, output.suffix)
            return output.with_name(f"{output.stem}_{title}{output.suffix}") if title in SHEETS else output
        return (output or source.parent) / f"{source.stem}_{title}{suffix}"

    def refuse_existing(self, source, paths):
        for path in paths:
            if path.exists() and path.resolve() == source.resolve():
                raise UserError(f"{path}: is the photo itself, which is never overwritten; choose another with -o")
            if path in self.written:
                raise UserError(f"{source}: {path} was just written for another photo; rename one or use another -o")
            if path.exists() and not self.args.force:
                raise UserError(f"{path}: exists already; overwrite it with --force or choose another with -o")
        self.written.update(paths)


def _suffixes(form):
    import photos

    if form not in photos.FORMATS:
        return ()
    from PIL import Image
    return [suffix for suffix, name in Image.registered_extensions().items() if name == form]


def summary(report):
    """One line a photo."""
    n = len(report["faces"])
    if not n:
        return f"{report['photo']}: no face found, nothing written (lower --confidence to find more)"
    edited = sum(f["edited"] for f in report["faces"])
    note = f" ({report['note']})" if "note" in report else ""
    return f"{report['photo']}: {edited} of {n} face{'s' * (n > 1)} -> {', '.join(report['outputs'])}{note}"


def write_report(where, reports, force):
    text = json.dumps(reports, indent=2)
    if where == "-":
        print(text)
        return
    if Path(where).exists() and not force:
        raise UserError(f"{where}: exists already; overwrite it with --force")
    with replacing(where) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        exit_with_one_line(error)
    except KeyboardInterrupt:
        sys.exit(130)
