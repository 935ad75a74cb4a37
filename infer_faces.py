"""Age the faces in photos and clips.

    python infer_faces.py photo.jpg                               writes photo_50s.jpg beside it
    python infer_faces.py photo.jpg --age 70                      about 70 years old, 20 to 85: photo_70.jpg
    python infer_faces.py photo.jpg --age 30 50 70 --compare      three photos, and all beside each other
    python infer_faces.py photo.jpg --gif                         photo_ages.webp moves through all ages and back
    python infer_faces.py photo.jpg --direction rejuvenate        younger, without an age: photo_20s.jpg
    python infer_faces.py photo.jpg --strength 0.6                a weaker effect: 0 returns the photo, 1.5 is the most
    python infer_faces.py holidays/ "scans/*.png" -o aged/        folders and patterns; writes into the folder aged/
    python infer_faces.py -r holidays/ -o aged/                   with the folders inside; run it again to continue
    python infer_faces.py group.jpg --draw-boxes                  only the photo with its faces numbered
    python infer_faces.py group.jpg --face 2 --json report.json   only face 2, and a report
    python infer_faces.py clip.mp4                                writes clip_50s.mp4 beside it, with its sound
    python infer_faces.py --camera 0                              shows the first camera's picture in a window; q ends

Clips need PyAV: pip install -r requirements-video.txt. Photos and clips never leave this machine. Edit only those of
people who agreed. They are never overwritten, other files only with --force. Exit codes: 0 success, 1 a file could not
be read or written, 2 wrong arguments, 3 no face to edit.
"""

import argparse
import dataclasses
import re
import signal
import sys
from pathlib import Path

from ageing.errors import UserError, between, run_script
from ageing.faces import STRONGEST
from ageing.faces.direction import OLDEST, YOUNGEST, Direction, aim
from ageing.project import PROJECT, as_installed

CODECS = "h264", "hevc", "av1", "vp9", "prores", "ffv1"     # those of clip_file, which only clips load
NO_FACE = 3     # exit code
NUMBER = r"[-+]?\d+([.,]\d*)?"
# Options of other tools and of earlier versions, and what does the same here.
INSTEAD = {
    r"-[ist]|--(in|input|image|img|photo|file|source|src|target)([-_](path|file|image|dir|folder))?":
        "name photos without an option: infer_faces.py photo.jpg --age 70",
    r"--(out|save|result|dest).*": "-o names a file or folder",
    r"--(years|.*age.*|to|from)": "--age 70 makes the face about 70 years old, --age 25 young",
    r"--(steps|stages|strip|range|grid|sequence|interpolate)": "--age 30 50 70 --compare shows several ages",
    r"--(younger|young|older|old|rejuvenate)": "--direction is age or rejuvenate; --age 70 names an age",
    r"--(alpha|intensity|amount|weight|scale|factor|blend)": "--strength goes from 0 to 1.5",
    r"--(model|checkpoint|ckpt|model[-_]path|checkpoint[-_]path|load)": "--weights names a folder with generators",
    r"--(video|clip|movie)": "name clips without an option: infer_faces.py clip.mp4",
    r"--(webcam|cam|live)": "--camera 0 shows the first camera",
    r"--(webp|animate|animation|morph)": "--gif writes a moving picture",
    r"--(overwrite|yes)|-[fy]": "--force overwrites outputs that exist",
    r"--(gpu|cuda|device|cpu|gpu[-_]ids?)": "leave it out: this runs on the processor",
}


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=as_installed(__doc__),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="photos, clips, folders or patterns")
    parser.add_argument("-r", "--recursive", action="store_true", help="also the photos in folders inside of folders")
    parser.add_argument("-o", "--output", metavar="PATH",
                        help="a file if there is one photo, else a folder (default: beside the photo)")
    parser.add_argument("--age", nargs="+", default=[], metavar="YEARS",
                        help=f"make the faces about this old, {YOUNGEST} to {OLDEST}; several give several outputs")
    parser.add_argument("--direction", choices=(*map(str, Direction), "both"),
                        help="without an age: older, younger or both (default: age)")
    parser.add_argument("--strength", type=strength, metavar="0..1.5",
                        help="share of the change that is added (default: 1)")
    parser.add_argument("--face", type=_face, metavar="largest|all|N",
                        help="which faces to edit; 1 is the largest (default: all)")
    parser.add_argument("--compare", action="store_true", help="also write before and after side by side")
    parser.add_argument("--gif", nargs="?", const="webp", metavar="webp|gif",
                        help="write a moving picture through the ages (default: webp); alone, nothing else is written")
    parser.add_argument("--draw-boxes", action="store_true",
                        help="write the photo with its faces numbered; alone, nothing else is written")
    parser.add_argument("--json", metavar="FILE", help="write a report: faces, outputs, notes, times; - prints it")
    parser.add_argument("--codec", choices=CODECS,
                        help="of clips (default: h264; hevc for clips with more than 8 bits)")
    parser.add_argument("--camera", metavar="INDEX",
                        help="in place of photos: show what this camera sees; 0 is the first")
    parser.add_argument("--force", action="store_true", help="overwrite outputs that exist")
    parser.add_argument("--confidence", type=between(0.01, 1), default=0.8, metavar="0..1",
                        help="minimum confidence of the face detector (default: 0.8)")
    parser.add_argument("--small-faces", action="store_true",
                        help="also find faces smaller than 1/50 of a large photo's width; takes longer")
    parser.add_argument("--max-megapixels", type=between(0.001, 10_000), default=150, metavar="N",
                        help="refuse photos that are larger (default: 150)")
    parser.add_argument("--weights", default=PROJECT / "saved_models", type=Path, metavar="DIR",
                        help="folder with g_AB.onnx and g_BA.onnx (default: saved_models)")
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        option = unknown[0].partition("=")[0]
        instead = next((f"; {text}" for names, text in INSTEAD.items() if re.fullmatch(names, option)), "")
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{instead}")
    try:
        args.age, photos = _ages(args.age)
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --age: {error}")
    if args.gif not in (None, "webp", "gif"):  # --gif photo.jpg
        photos, args.gif = [args.gif, *photos], "webp"
    args.photos += photos
    for name in args.photos:
        if re.fullmatch(NUMBER, name) and not Path(name).exists():
            parser.error(f"{name}: no such file; --age {70 if name.isdecimal() else 25} names an age")
    if args.age and args.direction:
        parser.error("--age says the direction, too; use it without --direction")
    for_files = {"PHOTO": args.photos, "-r": args.recursive, "-o": args.output, "--compare": args.compare,
                 "--gif": args.gif, "--draw-boxes": args.draw_boxes, "--json": args.json, "--codec": args.codec,
                 "--force": args.force, "--direction both": args.direction == "both",
                 "several ages": len(args.age) > 1}
    if args.camera is None and not args.photos:
        parser.error("the following arguments are required: PHOTO")
    if args.camera is not None and any(for_files.values()):
        given = ", ".join(name for name, value in for_files.items() if value)
        parser.error(f"--camera only shows a picture; use it without {given}")
    edits = args.age or args.direction or args.compare or (not args.gif and (args.strength, args.face) != (None, None))
    args.edits = bool(edits or not (args.gif or args.draw_boxes))  # else only sheets are asked for
    args.strength = 1.0 if args.strength is None else args.strength
    args.face = args.face or "all"
    return args


def _ages(values):
    """([age] from young to old, [photo]) of what follows --age, which may be photos at its end."""
    numbers = next((i for i, value in enumerate(values) if not re.fullmatch(NUMBER, value)), len(values))
    if values and not numbers:
        raise argparse.ArgumentTypeError(f"{values[0]!r} is no age; it is a number of years, as in --age 70")
    for value in values[:numbers]:
        if not (value.isdecimal() and YOUNGEST <= int(value) <= OLDEST):
            raise argparse.ArgumentTypeError(f"{value}: ages are whole years from {YOUNGEST} to {OLDEST}")
    return sorted(set(map(int, values[:numbers]))), values[numbers:]


def strength(text):
    if text.startswith("-"):
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {STRONGEST}; --direction rejuvenate or --age 25 "
                                         "makes younger")
    return between(0, STRONGEST)(text)


def _face(text):
    if text in ("largest", "all"):
        return text
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not largest, all, or a number from 1")
    return int(text)


def main(argv=None):
    args = parse_arguments(argv)
    return edit_files(args) if args.camera is None else show_camera(args)


def edit_files(args):
    """Age photos and clips."""
    # Imported here, as all below: --help and wrong arguments answer at once.
    from ageing.photos import outputs, photo_report, sources

    found = sources.find(args.photos, args.recursive)
    if sources.names_a_file(args.output) and (len(found.photos) > 1 or len(args.age) > 1 or args.direction == "both"):
        raise UserError(f"{args.output}: one file cannot take several outputs; name a folder with -o")
    clips = {photo.path for photo in found.photos if sources.is_clip(photo.path)}
    if len(clips) == len(found.photos) and (args.compare or args.gif or args.draw_boxes):
        raise UserError("--compare, --gif and --draw-boxes show photos, not clips; leave them out")
    protected = {sources.real_path(photo.path) for photo in found.photos}
    earlier = photo_report.read(args.json) if args.json and found.resumes else None
    if args.json not in (None, "-"):
        sources.check_writable(Path(args.json), protected, args.force or earlier is not None)
    editor = load_editor(args, protected)
    jobs = outputs.jobs(found, editor.kinds, args.output, args.codec)
    clip_editor = load_clip_editor(args, editor) if clips else None

    reports = photo_report.Reports(sys.stderr if args.json == "-" else sys.stdout, len(jobs), earlier)
    for folder, why in found.unreadable.items():
        reports.add(photo_report.report_error(folder, f"{folder}: cannot be read ({why})", "folder"))
    try:
        for job in reports.progress(jobs):
            reports.add((clip_editor if job.photo in clips else editor).attempt(job))
            if job.photo in clips and (number := clip_editor.asked_to_end()):
                signal.raise_signal(number)
        reports.close(found.told_skipped)
    finally:  # also after Ctrl-C
        if args.json:
            reports.write(args.json)
    return 1 if reports.failed else 0 if reports.succeeded else NO_FACE


def show_camera(args):
    """Show what a camera sees, with the faces aged."""
    from ageing.clips import camera, tracking

    window = camera.open_window()
    editor = load_editor(args, frozenset())
    print("q in the window ends")
    tracker = tracking.Tracker(load_detector(args, tracking.FINEST), editor.aligner, args.face)
    camera.run(int(args.camera) if args.camera.isdecimal() else args.camera, tracker, editor.targets[0], window)
    return 0


def load_editor(args, protected):
    from ageing.faces.alignment import Aligner
    from ageing.faces.detector import FINEST
    from ageing.photos.editor import Editor

    targets, tour = load_targets(args)
    return Editor(load_detector(args, FINEST), Aligner(), targets, face=args.face, compare=args.compare, tour=tour,
                  draw_boxes=args.draw_boxes, force=args.force, max_megapixels=args.max_megapixels,
                  protected=protected)


def load_targets(args):
    """([ages.Target] to edit for, ages.Tour or None), with the generators that they need. Raises UserError."""
    from ageing.faces import ages
    from ageing.faces.translator import load

    directions = Direction if args.direction == "both" else [Direction(args.direction or "age")]
    if not args.edits or args.age:
        directions = {aim(age).direction for age in args.age}
    translators = load(args.weights, Direction if args.gif else directions)
    tour = ages.Tour(ages.stops(translators), args.strength, f".{args.gif}") if args.gif else None
    if args.age:
        return ages.of_ages(args.age, translators, args.strength), tour
    return ages.of_directions({one: translators[one] for one in directions}, args.strength), tour


def load_clip_editor(args, editor):
    from ageing.clips.tracking import FINEST
    from ageing.clips.video import ClipEditor

    return ClipEditor(dataclasses.replace(editor, detector=load_detector(args, FINEST)), args.codec)


def load_detector(args, finest):
    from ageing.faces.detector import FINEST_SMALL_FACES, Detector

    return Detector(confidence=args.confidence, finest=FINEST_SMALL_FACES if args.small_faces else finest)


def command():
    run_script(main, "requirements-photos.txt")


if __name__ == "__main__":
    command()
