"""Years that faces gain in photos that are turned: do tilted heads age as upright ones do?

    python benchmarks/tilt.py holidays/        needs: pip install -r requirements-eval.txt

Every second photo is turned clockwise, the others counter-clockwise. Faces are found and framed by dlib in the photo as
it is, and these placements are turned with it: so every angle is judged on the same faces, framed in the same way.
Prints a table with 95 % confidence intervals, asserts nothing.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ageing.evaluation.comparison import Comparison  # noqa: E402
from ageing.evaluation.formulas import bootstrap  # noqa: E402
from ageing.evaluation.judges import Judges  # noqa: E402
from ageing.evaluation.photos import GAINS, count, cut_out, photos_in  # noqa: E402
from ageing.faces.alignment import Aligner, between_centres  # noqa: E402
from ageing.faces.blending import edit  # noqa: E402
from ageing.faces.detector import Detector  # noqa: E402
from ageing.faces.direction import Direction  # noqa: E402
from ageing.faces.translator import Translator  # noqa: E402
from ageing.photos import photo_file  # noqa: E402

ANGLES = (0, 15, 30, 45, 60)  # degrees


def turned(photo, degrees):
    """(photo turned clockwise about its centre, on a canvas that holds all of it; the turn as float64 (3, 3))."""
    height, width = photo.shape[:2]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    size = (round(abs(c) * width + abs(s) * height), round(abs(s) * width + abs(c) * height))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    turn[:2, 2] = np.array(size) / 2 - turn[:2, :2] @ [width / 2, height / 2]
    return cv2.warpAffine(photo, between_centres(turn[:2]), size, flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REPLICATE), turn


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder")
    parser.add_argument("--weights", default=ROOT / "saved_models/g_AB.onnx", metavar="FILE", help="that ages")
    args = parser.parse_args()
    judges, detector, aligner, generator = Judges(), Detector(), Aligner(), Translator(args.weights)
    faces, counts = {angle: [] for angle in ANGLES}, {angle: [] for angle in ANGLES}
    for i, path in enumerate(photos_in(args.photos)):
        photo = photo_file.read(path).rgb
        places = judges.find(photo)
        for angle in ANGLES if places else ():
            original, turn = turned(photo, angle * (-1) ** i)
            there = [turn[:2, :2] @ place + [[0, 0, v] for v in turn[:2, 2]] for place in places]
            placements = aligner.align(original, detector.find(original))
            edited = edit(original, placements, generator)
            readings = (judges.read(cut_out(one, there)) for one in (original, edited))
            faces[angle].append(Comparison(Direction.AGE, *readings))
            counts[angle].append(count(placements, there))
    print_table(faces, counts)


def print_table(faces, counts):
    """faces: {angle: [Comparison of a photo's faces]}; counts: {angle: [photos.count]}."""
    print("| turned by | faces | missed | found, aligned | age gain, years | second judge | relative to 0° |")
    print("|---" * 7 + "|")
    upright = None
    for angle in ANGLES:
        gains = [np.concatenate([of(few) for few in faces[angle]]) for of in GAINS.values()]
        upright = upright or [gain.mean() for gain in gains]
        total = {key: sum(c[key] for c in counts[angle]) for key in counts[angle][0]}
        cells = ["{:+.1f} ({:.1f} to {:.1f})".format(*bootstrap(gain)) for gain in gains]
        relative = " / ".join(f"{gain.mean() / before:.2f}" for gain, before in zip(gains, upright, strict=True))
        print(f"| {angle}° | {total['judged']} | {total['missed']} | {total['found']}, {total['aligned']} | "
              f"{' | '.join(cells)} | {relative} |")


if __name__ == "__main__":
    main()
