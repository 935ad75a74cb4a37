"""How many faces the detector finds, how many it invents, and how long it takes.

    python benchmarks/detect.py                      photos that it makes: faces pasted into scenes without faces
    python benchmarks/detect.py PHOTOS               the photos of a folder, each as it is and turned three times
    python benchmarks/detect.py --also OLD/faces.py  beside another version: a module with the same class Detector
    python benchmarks/detect.py --time               seconds per photo, the versions alternating

Faces are those of samples/astronaut.jpg and samples/grace-hopper.jpg. A face counts as found if a box overlaps its
place by an intersection over union of at least 0.4; every other box counts as false. In a folder the truth is unknown:
the table shows the number of boxes and, if dlib is installed, how many of the faces that its detector finds were found.
Prints tables, asserts nothing.
"""

import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ageing.faces.detector import Detector  # noqa: E402

# Left, top, right, bottom of the two faces in pixels of the sample pictures, as the detector frames faces.
PORTRAITS = (("astronaut.jpg", (175, 58, 274, 176)), ("grace-hopper.jpg", (184, 127, 352, 333)))
SIZES = (20, 25, 30, 40, 60, 100, 200, 400, 700, 1000)  # height of a pasted face in pixels
TILTS = (0, 15, 30, 45, 60, 90, 180, 270)               # degrees, clockwise
PLACES = ("touching", "cut off")                        # a quarter of the face's width lies outside
FOUND = 0.4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--also", metavar="FILE")
    parser.add_argument("--time", action="store_true")
    args = parser.parse_args()
    detectors = {"this": Detector().find}
    if args.also:
        detectors["other"] = other_version(Path(args.also))
    if args.time:
        print_times(detectors, args.folder)
    elif args.folder:
        print_folder(detectors, Path(args.folder))
    else:
        print_scenes(detectors)
        print_faces(detectors)


def other_version(path):
    sys.path.insert(0, str(path.resolve().parent))
    return importlib.import_module(path.stem).Detector().find


def scenes(height, width, seed=0):
    """{kind: uint8 RGB (height, width, 3)}: scenes without faces."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)

    def smooth(shape):
        noise = rng.normal(size=(*shape, 3)).astype(np.float32)
        return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)

    def colours(n):
        return rng.integers(0, 256, (n, 3)).tolist()

    made = {"grey": np.full((height, width, 3), 128, np.float32),
            "gradient": 255 * np.stack([x, y, 1 - x], axis=-1),
            "noise": 128 + 60 * rng.normal(size=(height, width, 3)).astype(np.float32),
            "stripes": np.repeat(128 + 90 * np.sin(150 * (x + 0.4 * y) + 3 * np.sin(9 * y))[..., None], 3, axis=-1),
            "clouds": 128 + sum(70 * smooth((4 * 2**k, 5 * 2**k)) / 1.6**k for k in range(6))}
    clutter, blobs = np.full((height, width, 3), 150, np.uint8), np.full((height, width, 3), (200, 170, 150), np.uint8)
    for colour in colours(150):
        size, place = rng.exponential(0.08, 2) * max(height, width) + 4, rng.uniform(0, (width, height))
        corner, end = (tuple(map(int, p)) for p in (place, place + size))
        cv2.rectangle(clutter, corner, end, colour, -1)
        cv2.ellipse(blobs, corner, tuple(map(int, size / 2 + 1)), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    made |= {"rectangles": clutter, "ellipses": blobs}
    return {kind: np.clip(pixels, 0, 255).astype(np.uint8) for kind, pixels in made.items()}


def pasted(scene, portrait, size, place, tilt):
    """(photo, box): a face of `size` pixels height, turned clockwise, pasted with a soft rim; box of the face."""
    name, (left, top, right, bottom) = portrait
    picture = np.asarray(Image.open(ROOT / "samples" / name).convert("RGB"))
    height, width = scene.shape[:2]
    half = np.array([right - left, bottom - top]) / 2
    zoom, middle = size / (2 * half[1]), np.array([left + right, top + bottom]) / 2
    angle = np.deg2rad(tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reach = np.abs(turn) @ half * zoom if tilt % 90 == 0 else half * zoom  # half of the box that a detector should give
    target = {"middle": np.array([width, height]) / 2, "touching": reach, "cut off": reach * (0.5, 1.5)}[place]
    if zoom < 1:   # shrink first: warpAffine has no filter
        shrunk = max(zoom, 0.02)
        picture = cv2.resize(picture, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
        middle, zoom, half = middle * shrunk, zoom / shrunk, half * shrunk
    matrix = np.concatenate([zoom * turn, (target - zoom * turn @ middle)[:, None]], axis=1)
    y, x = np.mgrid[:picture.shape[0], :picture.shape[1]]
    # The head with its hair: an ellipse 1.5 times as wide and 1.6 times as high as the box
    distance = np.hypot((x - middle[0]) / (1.5 * half[0]), (y - middle[1]) / (1.6 * half[1]))
    alpha = np.clip((1 - distance) / 0.1, 0, 1).astype(np.float32)
    layers = [cv2.warpAffine(layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
              for layer in (picture.astype(np.float32), alpha)]
    photo = scene + (layers[0] - scene) * layers[1][..., None]
    return np.rint(photo).astype(np.uint8), np.concatenate([target - reach, target + reach])


def overlap(a, b):
    """Intersection over union."""
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def judged(faces, box, tilt):
    """(found, false boxes, right turn) for the one face of a photo."""
    right = [face for face in faces if overlap(np.array(face.box), box) >= FOUND]
    turn = bool(right) and abs((getattr(right[0], "turn", 0) - tilt + 180) % 360 - 180) <= 60
    return bool(right), len(faces) - bool(right), turn


def print_scenes(detectors):
    print("Photos without a face: boxes in 7 scenes of a size\n")
    print("| pixels |" + "".join(f" {name} |" for name in detectors) + "\n|---" + "|---" * len(detectors) + "|")
    for height, width in ((250, 200), (512, 512), (1200, 1600), (700, 2400), (3000, 2250)):
        counts = [sum(len(find(scene)) for scene in scenes(height, width).values()) for find in detectors.values()]
        print(f"| {width} x {height} |" + "".join(f" {n} |" for n in counts), flush=True)


def print_faces(detectors):
    rows = [(f"height {size}", [("middle", 0, size)]) for size in SIZES]
    rows += [(f"at the border, {place}", [(place, 0, size) for size in (40, 100, 400)]) for place in PLACES]
    rows += [(f"tilt {tilt}", [("middle", tilt, size) for size in (60, 150, 400)]) for tilt in TILTS]
    backgrounds = [*scenes(512, 512, seed=1).values()][2:] + [scenes(1200, 1600, seed=1)["rectangles"]]
    print("\nOne face in a scene: found / false boxes / in the right turn, of so many photos\n")
    print("| | photos |" + "".join(f" {name} |" for name in detectors) + "\n|---|---" + "|---" * len(detectors) + "|")
    for label, cases in rows:
        photos = [(*pasted(scene, PORTRAITS[k % 2], size, place, tilt), tilt) for place, tilt, size in cases
                  for k, scene in enumerate(backgrounds) if size < len(scene)]
        sums = [np.sum([judged(find(photo), box, tilt) for photo, box, tilt in photos], axis=0)
                for find in detectors.values()]
        print(f"| {label} | {len(photos)} |" + "".join(" {} / {} / {} |".format(*row) for row in sums), flush=True)


def read_folder(folder):
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")):
        yield path, np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


def dlib_boxes(photo):
    """Boxes of dlib's HOG detector in the photo, enlarged to faces of 40 pixels and more; None without dlib."""
    try:
        import dlib
    except ImportError:
        return None
    found = dlib.get_frontal_face_detector()(photo, 1)
    return [np.array([b.left(), b.top(), b.right(), b.bottom()], float) for b in found]


def print_folder(detectors, folder):
    print("Boxes, if the photo is turned by 0 / 90 / 180 / 270 degrees. dlib: its faces, how many of them are found\n")
    print(f"| photo | {' | '.join(detectors)} | dlib |\n|---|---" + "|---" * len(detectors) + "|")
    for path, photo in read_folder(folder):
        cells, truth = [], dlib_boxes(photo)
        recalls = [] if truth is None else [str(len(truth))]
        for find in detectors.values():
            found = [find(np.ascontiguousarray(np.rot90(photo, -k))) for k in range(4)]
            cells.append(" / ".join(str(len(faces)) for faces in found))
            if truth is not None:
                recalls.append(str(sum(any(overlap(np.array(f.box), t) > 0.2 for f in found[0]) for t in truth)))
        print(f"| {path.name} | " + " | ".join(cells) + f" | {', '.join(recalls) or '-'} |", flush=True)


def print_times(detectors, folder):
    """Median seconds of a call. The versions alternate, so that both see the same load of the machine."""
    from infer import group

    photos = [(f"{n} faces, {width} x {height}", group(width, height, n)) for width, height, n in
              ((512, 512, 1), (1600, 1200, 10), (4000, 3000, 10))]
    photos += [(path.name, photo) for path, photo in read_folder(Path(folder))] if folder else []
    print("| photo |" + "".join(f" {name} |" for name in detectors) + "\n|---" + "|---" * len(detectors) + "|")
    totals = dict.fromkeys(detectors, 0)
    for label, photo in photos:
        seconds = {name: [] for name in detectors}
        for k in range(2 if folder else 8):
            for name, find in detectors.items():
                begin = time.perf_counter()
                find(photo)
                if k:  # the first one warms up
                    seconds[name].append(time.perf_counter() - begin)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        totals = {name: totals[name] + medians[name] for name in totals}
        print(f"| {label} |" + "".join(f" {value:.3f} s |" for value in medians.values()), flush=True)
    print("| all |" + "".join(f" {value:.2f} s |" for value in totals.values()))


if __name__ == "__main__":
    main()
