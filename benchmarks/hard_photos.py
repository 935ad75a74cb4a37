"""What goes wrong: the public-domain portrait made hard in several ways; draws it rejuvenated, as it is, aged.

    python benchmarks/hard_photos.py           -> samples/astronaut-failures.jpg
    python benchmarks/hard_photos.py --weights runs/00001-cpu/export -o hard.png
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import photos  # noqa: E402
import pictures  # noqa: E402
from faces import Detector, crop, edit  # noqa: E402
from files import run_script  # noqa: E402
from translator import Translator  # noqa: E402

SHOWN = 1.3   # side of what is shown, of the face's square
SIDE = 160    # of what is shown, in the picture


def recompressed(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def covered(image, face):
    """The left half of the face behind a plain board."""
    left, top, side = face.square
    image = image.copy()
    image.paste((120, 100, 80), (left, top, left + side // 2, top + side))
    return image


def turned(image, face):
    left, top, side = face.square
    return image.rotate(35, Image.Resampling.BICUBIC, center=(left + side / 2, top + side / 2))


def small(image, face):
    """As if the face had been 20 pixels high."""
    size = [round(n * 20 / face.square[2]) for n in image.size]
    return image.resize(size, Image.Resampling.BOX).resize(image.size)


# What is done to the portrait: functions of the image and its Face -> the image
CONDITIONS = {
    "as it is": lambda image, face: image,
    "blurred": lambda image, face: image.filter(ImageFilter.GaussianBlur(face.square[2] / 30)),
    "20 pixels": small,
    "JPEG 4": lambda image, face: recompressed(image, 4),
    "grey": lambda image, face: image.convert("L").convert("RGB"),
    "dark": lambda image, face: ImageEnhance.Brightness(image).enhance(0.25),
    "turned": turned,
    "covered": covered,
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=ROOT / "saved_models", type=Path, metavar="DIR", help="generators")
    parser.add_argument("-o", "--output", default=ROOT / "samples/astronaut-failures.jpg", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    generators = [Translator(args.weights / name) for name in ("g_BA.onnx", "g_AB.onnx")]
    portrait = Image.open(ROOT / "samples/astronaut.jpg").convert("RGB")
    detector = Detector()
    face = detector.find(np.asarray(portrait))[0]
    left, top, side = face.square
    more = round((SHOWN - 1) / 2 * side)
    square = left - more, top - more, side + 2 * more
    columns = []
    for title, change in CONDITIONS.items():
        photo = np.asarray(change(portrait, face))
        found = detector.find(photo)[:1]
        younger, older = (edit(photo, found, generator) for generator in generators)
        shown = [crop(one, square, SIDE) for one in (younger, photo, older)]
        columns.append((title if found else f"{title}: no face", np.concatenate(shown)))
    photos.save_marked(args.output, pictures.side_by_side(columns))
    print(f"wrote {args.output}: younger, the photo, older, from top to bottom")
    return 0


if __name__ == "__main__":
    run_script(main)
