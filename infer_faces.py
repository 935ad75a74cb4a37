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
import os
import sys
import time
from pathlib import Path

from files import UserError, reason, replacing, run_script

GENERATORS = {"age": "g_AB.onnx", "rejuvenate": "g_BA.onnx"}
SHEETS = ("compare", "faces")  # outputs that show the photo again
# Files of a folder that are taken for photos; a file that is named itself may be any that Pillow reads.
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif", ".jp2",
            ".ppm", ".pgm"}
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
    parser.add_argument("--compare", action="store_true", help="also one sheet with before and after, cut to the faces")
    parser.add_argument("--steps", type=_within(2, 50, int), metavar="N", help="also a strip of N strengths, 0 to 1.5")
    parser.add_argument("--draw-boxes", action="store_true", help="also the photo with its faces, boxed and numbered")
    parser.add_argument("--json", metavar="FILE", help="a report: boxes, confidences, times; - prints it")
    parser.add_argument("--force", action="store_true", help="overwrite outputs that exist")
    parser.add_argument("--confidence", type=_within(0.01, 1), default=0.8, metavar="0..1",
                        help="what counts as a face (default: 0.8)")
    parser.add_argument("--small-faces", action="store_true", help="search large photos longer, for faces under 1/50 "
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


def _within(low, high, kind=float):
    def number(text):
        value = kind(text)
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
    if into_file(args.output) and (len(sources) > 1 or args.direction == "both"):
        raise UserError(f"{args.output}: one file cannot take several outputs; name a folder with -o")
    protected = {absolute(source) for source in sources}
    if args.json not in (None, "-"):
        refuse(Path(args.json), protected, args.force)

    from tqdm import tqdm

    editor = Editor(args, protected)
    reports = []
    told = sys.stderr if args.json == "-" else sys.stdout
    bar = tqdm(sources, unit="photo", disable=None if len(sources) > 1 else True)
    try:
        for source in bar:
            reports.append(report := attempt(editor, source))
            bar.write(summary(report), file=sys.stderr if "error" in report else told)
    finally:  # what was done is told, Ctrl-C or not
        if args.json:
            write_report(args.json, reports)
    if any("error" in report for report in reports):
        return 1
    return 0 if any(report["faces"] for report in reports) else NO_FACE


def attempt(editor, source):
    """The report of one photo; what went wrong with it is in it, and the others go on."""
    try:
        return editor.photo(source)
    except UserError as error:
        text = str(error)
    except Exception as error:  # a last resort: no photo may stop the ones after it
        text = f"{source}: {type(error).__name__}: {error}"
    return {"photo": str(source), "error": " ".join(text.split())}


def expand(names):
    """Files named by paths, folders and patterns, in order, each once. A folder's earlier outputs are left out."""
    import photos

    found = {}
    for name in names:
        path = Path(name)
        try:
            if path.is_dir():
                inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
                found |= dict.fromkeys(p for p in inside if not photos.is_marked(p))
            elif glob.has_magic(name) and not path.exists():
                found |= dict.fromkeys(sorted(Path(p) for p in glob.glob(name) if os.path.isfile(p)))
            else:
                found[path] = None
        except OSError as error:
            raise UserError(f"{name[:80]}: cannot be read ({reason(error)})") from error
    return list(found)


def absolute(path):
    return Path(os.path.realpath(path))


def into_file(output):
    """Whether -o names a file: it has a suffix, no slash at its end, and is no folder."""
    return bool(output and Path(output).suffix and not output.endswith(("/", os.sep)) and not os.path.isdir(output))


def refuse(path, protected, force):
    """Raises UserError if `path` may not be written."""
    if absolute(path) in protected:
        raise UserError(f"{path}: is one of the photos, which are never overwritten; choose another name with -o")
    if os.path.exists(path) and not force:
        raise UserError(f"{path}: exists already; overwrite it with --force or choose another with -o")


class Editor:
    """Everything that is loaded once: detector and generators."""

    def __init__(self, args, protected):
        """protected: absolute paths of all photos, which are never overwritten."""
        import faces
        from translator import Translator

        self.args, self.protected = args, protected
        model, config = [*(args.detector or (None,)), None][:2]
        self.detector = faces.Detector(model, config, args.confidence, 4000 if args.small_faces else 1400)
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
        for path in wanted:
            if path in self.written:
                raise UserError(f"{source}: {path} was just written for another photo; rename one or use another -o")
            refuse(path, self.protected, args.force)
        self.written.update(wanted)
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
            part = faces.around(photo.rgb.shape, next(iter(changes.values())))
            photos.save_marked(compare, pictures.side_by_side([(title, rgb[part]) for title, rgb in order], least=360))
        if boxes:
            photos.save_marked(boxes, pictures.with_boxes(photo.rgb, found))
        outputs += map(str, wanted)

    def target(self, source, photo, title):
        """Where the output `title` of `source` goes."""
        import photos

        output = self.args.output
        if into_file(output):
            output = Path(output)
            photos.output_format(photo, output.suffix)
            return output.with_name(f"{output.stem}_{title}{output.suffix}") if title in SHEETS else output
        suffix = photos.output_format(photo)[1]
        if photos.format_of(source.suffix) == photo.format:
            suffix = source.suffix  # .jpeg stays .jpeg
        return Path(output or source.parent) / f"{source.stem}_{title}{suffix}"


def summary(report):
    """One line a photo."""
    if "error" in report:
        return f"error: {report['error']}"
    n = len(report["faces"])
    if not n:
        return f"{report['photo']}: no face found, nothing written (lower --confidence to find more)"
    edited = sum(f["edited"] for f in report["faces"])
    note = f" ({report['note']})" if "note" in report else ""
    return f"{report['photo']}: {edited} of {n} face{'s' * (n > 1)} -> {', '.join(report['outputs'])}{note}"


def write_report(where, reports):
    text = json.dumps(reports, indent=2)
    if where == "-":
        print(text)
        return
    with replacing(where) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_script(main)
