"""Draw clip.jpg: frames of a clip in which the astronaut's portrait moves, and the same frames aged.

    python samples/draw_clip.py                                    writes clip.jpg beside this script
    python samples/draw_clip.py --weights runs/00001-cpu/export -o out/
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).resolve().parent
sys.path.insert(0, str(SAMPLES.parent))

import moving_portrait  # noqa: E402

from ageing import pictures  # noqa: E402
from ageing.clips import tracking  # noqa: E402
from ageing.clips.steady_changes import SteadyChanges  # noqa: E402
from ageing.errors import run_script  # noqa: E402
from ageing.faces import blending  # noqa: E402
from ageing.faces.alignment import Aligner  # noqa: E402
from ageing.faces.detector import Detector  # noqa: E402
from ageing.faces.direction import Direction  # noqa: E402
from ageing.faces.translator import load  # noqa: E402
from ageing.photos.photo_file import save_sheet  # noqa: E402

STRENGTH = 1.5      # as in ageing.jpg
RATE, MOTION = 15, 1.6
SHOWN = 0.6, 1.4, 2.2, 3.0, 3.8     # seconds
LEFT, RIGHT, SIDE, GAP = 350, 900, 270, 4   # columns of the frames; pixels in the picture


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=SAMPLES.parent / "saved_models", type=Path, metavar="DIR",
                        help="folder with g_AB.onnx (default: saved_models)")
    parser.add_argument("-o", "--output", default=SAMPLES, type=Path, metavar="DIR", help="default: samples")
    args = parser.parse_args(argv)
    portrait = moving_portrait.portrait("astronaut")
    tracker, steady = tracking.Tracker(Detector(), Aligner()), SteadyChanges(load(args.weights, [Direction.AGE]))
    columns = []
    for i, (photo, _) in enumerate(moving_portrait.frames(portrait, SHOWN[-1] + 0.1, RATE, motion=MOTION)):
        now = i / RATE
        changes = steady.update(photo, tracker.update(photo, now), now)[Direction.AGE]
        if any(round(time * RATE) == i for time in SHOWN):
            both = [photo, blending.blend(photo, changes, STRENGTH)]
            parts = [np.asarray(Image.fromarray(one[:RIGHT - LEFT, LEFT:RIGHT]).resize((SIDE, SIDE))) for one in both]
            parts.insert(1, np.full((GAP, SIDE, 3), 255, np.uint8))
            columns.append((f"{now:.1f} s", np.concatenate(parts)))
    save_sheet(args.output / "clip.jpg", pictures.side_by_side(columns, height=2 * SIDE + GAP))
    print(f"wrote {args.output / 'clip.jpg'}")
    return 0


if __name__ == "__main__":
    run_script(main, "requirements-photos.txt")
