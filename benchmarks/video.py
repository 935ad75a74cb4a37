"""How fast clips are edited, how much their change flickers, and how many years they gain.

    python benchmarks/video.py                  frames a second at 1280 x 720, with one face
    python benchmarks/video.py --flicker        against editing frame by frame
    python benchmarks/video.py --smoothing      of the landmarks: shake and lag of some settings
    python benchmarks/video.py --years          against the portrait as a photo; needs requirements-eval.txt

The clips are the two portraits of samples/, moved, zoomed and turned along a known path, with a camera's noise.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "samples")]

import moving_portrait  # noqa: E402

from ageing.clips import tracking  # noqa: E402
from ageing.clips.steady_changes import SteadyChanges  # noqa: E402
from ageing.clips.video import ClipEditor  # noqa: E402
from ageing.faces import ages  # noqa: E402
from ageing.faces.alignment import Aligner, Placement, cut, rms, transform  # noqa: E402
from ageing.faces.blending import blend, changes_of, edit  # noqa: E402
from ageing.faces.detector import Detector  # noqa: E402
from ageing.faces.direction import Direction  # noqa: E402
from ageing.faces.translator import Translator, load  # noqa: E402
from ageing.photos import outputs, sources  # noqa: E402
from ageing.photos.editor import Editor  # noqa: E402

PORTRAITS = "astronaut", "grace-hopper"
RATE = 30


def write_clip(path, name, seconds):
    """An H.264 clip of the moving portrait."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height = moving_portrait.SIZE
        for photo, _ in moving_portrait.frames(moving_portrait.portrait(name), seconds, RATE):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(photo)))
        out.mux(stream.encode())


def speed(seconds, rounds):
    """On a machine that others use, too, read the processor time: of all cores, for each frame."""
    print("| clip | frames | frames/s | processor time | read | follow | translate | write |\n" + "|---" * 8 + "|")
    targets = ages.of_directions({Direction.AGE: Translator(ROOT / "saved_models/g_AB.onnx")})
    editor = ClipEditor(Editor(Detector(finest=tracking.FINEST), Aligner(), targets, force=True))
    with tempfile.TemporaryDirectory() as folder:
        for name in PORTRAITS:
            write_clip(Path(folder, f"{name}.mp4"), name, seconds)
        for _ in range(rounds):
            for name in PORTRAITS:
                job, = outputs.jobs(sources.find([f"{folder}/{name}.mp4"]), editor.editor.kinds, f"{folder}/out.mp4")
                begin, busy = time.perf_counter(), time.process_time()
                report = editor.process(job)
                whole, busy, frames = time.perf_counter() - begin, time.process_time() - busy, report["frames"]
                steps = " | ".join(f"{1e3 * value / frames:.0f} ms" for value in report["seconds"].values())
                print(f"| {name} | {frames} | {frames / whole:.1f} | {1e3 * busy / frames:.0f} ms | {steps} |",
                      flush=True)


def flicker(seconds):
    print("| portrait | motion | clip | frame by frame | ratio | size of the change, clip / frame by frame |")
    print("|---" * 6 + "|")
    detector, aligner, translator = Detector(), Aligner(), Translator(ROOT / "saved_models/g_AB.onnx")
    for name in PORTRAITS:
        portrait = moving_portrait.portrait(name)
        place, = aligner.align(portrait, detector.find(portrait)[:1])
        for motion in (0, 1):
            tracker, steady = tracking.Tracker(detector, aligner), SteadyChanges({"age": translator})
            read = {"clip": [], "frame": []}
            for i, (photo, matrix) in enumerate(moving_portrait.frames(portrait, seconds, RATE, motion=motion)):
                known = moving_portrait.carried(place, matrix)
                of_clip = steady.update(photo, tracker.update(photo, i / RATE), i / RATE)["age"]
                alone = changes_of(photo, aligner.align(photo, detector.find(photo)), translator)
                for kind, changes in (("clip", of_clip), ("frame", alone)):
                    read[kind].append(moving_portrait.in_face(photo.shape, changes, known))
            clip, frame = (moving_portrait.flicker(read[kind]) for kind in read)
            sizes = " / ".join(f"{np.abs(read[kind]).mean():.2f}" for kind in read)
            print(f"| {name} | {motion} | {clip:.4f} | {frame:.4f} | {clip / frame:.2f} | {sizes} |", flush=True)


def smoothing(seconds):
    """Shake: mean motion of the landmarks between frames, less the true one. Lag: mean distance from the raw ones."""
    print("| cutoff, Hz | beta | carried by the flow | shake at rest | shake in motion | lag in motion |")
    print("|---" * 6 + "|")
    found = {motion: raw_landmarks(seconds, motion) for motion in (0, 1)}
    for carried in (False, True):
        for cutoff, beta in ((1e6, 0), (1, 0), (1, 10), (1, 60), (0.3, 0), (0.3, 10), (0.3, 60)):
            numbers = [shake_and_lag(found[motion], cutoff, beta, carried) for motion in (0, 1)]
            print(f"| {cutoff:g} | {beta} | {'yes' if carried else 'no'} | {numbers[0][0]:.5f} | {numbers[1][0]:.5f} | "
                  f"{numbers[1][1]:.5f} |", flush=True)


def raw_landmarks(seconds, motion):
    """[(landmarks, the flow's similarity from the frame before or None, matrix)] of the astronaut."""
    tracker, found, before, track = tracking.Tracker(Detector(), Aligner()), [], None, None
    portrait = moving_portrait.portrait("astronaut")
    for i, (photo, matrix) in enumerate(moving_portrait.frames(portrait, seconds, RATE, motion=motion)):
        flow = tracking.motion.of_face(before, photo, track.unsmoothed) if before is not None else None
        track, = tracker.update(photo, i / RATE)
        found.append((track.places, flow, matrix))
        before = photo
    return found


def shake_and_lag(found, cutoff, beta, carried):
    """Both in sides of the frame."""
    one, smooth, raw = tracking.OneEuro(cutoff, beta), [], []
    side = tracking.fitted(found[0][0]).side
    for places, flow, matrix in found:
        if carried and flow is not None and one.value is not None:
            one.value = transform(flow, one.value)
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        smooth.append(transform(inverse, one(places, 1 / RATE, side)))
        raw.append(transform(inverse, places))
    scale = side * np.linalg.norm(np.linalg.inv(found[0][2][:, :2])[:, 0])
    return rms(np.diff(smooth, axis=0)).mean() / scale, rms(np.subtract(smooth, np.median(raw, axis=0))).mean() / scale


def years(seconds):
    """Years that both judges see more in the aged portrait than in the portrait; the frames' are means over a clip."""
    from ageing.evaluation.judges import SIZE, Judges

    print("| portrait | direction | photo | clip, at rest | clip, moving |\n" + "|---" * 5 + "|")
    detector, aligner, judges = Detector(), Aligner(), Judges()
    for name in PORTRAITS:
        portrait = moving_portrait.portrait(name)
        placements = aligner.align(portrait, detector.find(portrait)[:1])
        place = judges.find(portrait)[0]
        for direction, translator in load(ROOT / "saved_models").items():
            edited = edit(portrait, placements, translator)
            gained = [judged(judges, [cut(portrait, place, SIZE)], [cut(edited, place, SIZE)])]
            for motion in (0, 1):
                before, after = [], []
                tracker, steady = tracking.Tracker(detector, aligner), SteadyChanges({direction: translator})
                for i, (photo, matrix) in enumerate(moving_portrait.frames(portrait, seconds, RATE, motion=motion)):
                    changes = steady.update(photo, tracker.update(photo, i / RATE), i / RATE)[direction]
                    if i % 6 == 0:
                        known = moving_portrait.carried(Placement(place), matrix).matrix
                        before.append(cut(photo, known, SIZE))
                        after.append(cut(blend(photo, changes), known, SIZE))
                gained.append(judged(judges, before, after))
            print(f"| {name} | {direction} | {' | '.join(f'{value:+.1f}' for value in gained)} |", flush=True)


def judged(judges, before, after):
    return (judges.mean_ages(np.stack(after)) - judges.mean_ages(np.stack(before))).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("flicker", "smoothing", "years"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--seconds", type=float, default=4, help="length of each clip")
    parser.add_argument("--rounds", type=int, default=2, help="how often the speed is measured")
    args = parser.parse_args()
    if args.flicker:
        flicker(args.seconds)
    elif args.smoothing:
        smoothing(args.seconds)
    elif args.years:
        years(args.seconds)
    else:
        speed(args.seconds, args.rounds)


if __name__ == "__main__":
    main()
