"""Where eyes, nose and mouth lie in UTKFace's framing: alignment.PLACES.

    python assets/landmarks/measure_places.py data/utkface

Medians of every tenth training face, as the landmark network sees them.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ageing.faces.alignment import Aligner, means

EVERY = 10


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: measure_places.py FOLDER, with train/20s and train/50s in it")
    paths = sorted(Path(sys.argv[1], "train").glob("[25]0s/*"))[::EVERY]
    aligner = Aligner()
    places = []
    for path in paths:
        face = np.asarray(Image.open(path).convert("RGB"))
        height, width = face.shape[:2]
        matrix = np.array([[width, 0.0, 0], [0, height, 0]])
        places.append(means(aligner.points(face, [matrix], mirror=True)[0][0]) / (width, height))
    print(f"{len(paths)} faces")
    print(np.median(places, 0).round(4).tolist())


if __name__ == "__main__":
    main()
