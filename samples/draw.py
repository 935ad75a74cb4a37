"""Draw the README's pictures: what the shipped generators do to two portraits in the public domain.

    python samples/draw.py                                          writes three pictures beside this script
    python samples/draw.py --weights runs/00001-cpu/export -o out/  with other generators, into another folder

ageing.jpg                  both faces, younger, as they are, and older
astronaut-strengths.jpg     one face at strengths from 0 to 1.5
astronaut-failures.jpg      what goes wrong: the same face blurred, tiny, dark, tilted, covered, ...
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

SAMPLES = Path(__file__).resolve().parent
sys.path.insert(0, str(SAMPLES.parent))

from ageing import pictures  # noqa: E402
from ageing.errors import run_script  # noqa: E402
from ageing.faces.alignment import Aligner, about_centre, cut, placement_of  # noqa: E402
from ageing.faces.blending import edit  # noqa: E402
from ageing.faces.detector import Detector  # noqa: E402
from ageing.faces.translator import load  # noqa: E402
from ageing.photos.photo_file import save_sheet  # noqa: E402

STRENGTH = 1.5      # of ageing.jpg: at 1 a stranger has to look twice
LARGE = 400         # side in pixels of a face in ageing.jpg
GAP = 4             # white pixels between the rows of ageing.jpg
SMALL = 160         # side in pixels of a face in the two others
SURROUNDINGS = 1.3  # what is shown: side relative to that of the face's square


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=SAMPLES.parent / "saved_models", type=Path, metavar="DIR",
                        help="folder with g_AB.onnx and g_BA.onnx (default: saved_models)")
    parser.add_argument("-o", "--output", default=SAMPLES, type=Path, metavar="DIR", help="default: samples")
    args = parser.parse_args(argv)
    finder = Finder()
    older, younger = load(args.weights).values()
    astronaut, hopper = (Image.open(SAMPLES / name).convert("RGB") for name in ("astronaut.jpg", "grace-hopper.jpg"))
    for name, picture in (("ageing.jpg", ageing((astronaut, hopper), finder, younger, older)),
                          ("astronaut-strengths.jpg", strengths(astronaut, finder, older)),
                          ("astronaut-failures.jpg", failures(astronaut, finder, younger, older))):
        save_sheet(args.output / name, picture)
        print(f"wrote {args.output / name}")
    return 0


def ageing(portraits, finder, younger, older):
    """Both faces, a row each: younger, as they are, older."""
    rows = []
    for portrait in portraits:
        photo = np.asarray(portrait)
        face, placement = finder.largest(photo)
        versions = edit(photo, [placement], younger, STRENGTH), photo, edit(photo, [placement], older, STRENGTH)
        shown = placement_of(face.box).matrix
        rows.append([np.pad(cut(version, shown, LARGE), ((0, GAP), (0, 0), (0, 0)), constant_values=255)
                     for version in versions])
    titles = f"younger, strength {STRENGTH}", "photo", f"older, strength {STRENGTH}"
    columns = [(title, np.concatenate(column)) for title, column in zip(titles, zip(*rows, strict=True), strict=True)]
    return pictures.side_by_side(columns, height=len(rows) * (LARGE + GAP))


def strengths(portrait, finder, older):
    """The face at six strengths."""
    photo = np.asarray(portrait)
    face, placement = finder.largest(photo)
    shown = about_centre(placement_of(face.box).matrix, SURROUNDINGS)
    return pictures.side_by_side([(f"{strength:.2f}", cut(edit(photo, [placement], older, strength), shown, SMALL))
                                  for strength in (0, 0.3, 0.6, 0.9, 1.2, 1.5)])


def failures(portrait, finder, younger, older):
    """A column for each condition: younger, as it is, older, at strength 1."""
    placement = placement_of(finder.largest(np.asarray(portrait))[0].box)
    shown = about_centre(placement.matrix, SURROUNDINGS)
    columns = []
    for title, condition in CONDITIONS.items():
        photo = np.asarray(condition(portrait, placement))
        found = finder.find(photo)[:1]
        versions = edit(photo, found, younger), photo, edit(photo, found, older)
        columns.append((title if found else f"{title}: no face",
                        np.concatenate([cut(version, shown, SMALL) for version in versions])))
    return pictures.side_by_side(columns)


class Finder:
    """The product's detector and aligner."""

    def __init__(self):
        self.detector, self.aligner = Detector(), Aligner()

    def find(self, photo):
        """[Placement], the largest face's first."""
        return self.aligner.align(photo, self.detector.find(photo))

    def largest(self, photo):
        """(Face, Placement) of the largest face."""
        face = self.detector.find(photo)[0]
        return face, self.aligner.align(photo, [face])[0]


def recompressed(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def covered(image, placement):
    """The left half of the face behind a plain board."""
    left, top, side = placement.square
    image = image.copy()
    image.paste((120, 100, 80), (left, top, left + side // 2, top + side))
    return image


def tilted(image, placement):
    left, top, side = placement.square
    return image.rotate(35, Image.Resampling.BICUBIC, center=(left + side / 2, top + side / 2))


def tiny(image, placement):
    """As if the face had been 20 pixels high."""
    size = [round(n * 20 / placement.square[2]) for n in image.size]
    return image.resize(size, Image.Resampling.BOX).resize(image.size)


# What is done to the portrait: {title: function of the image and its Placement that returns an image}
CONDITIONS = {
    "as it is": lambda image, placement: image,
    "blurred": lambda image, placement: image.filter(ImageFilter.GaussianBlur(placement.square[2] / 30)),
    "20 pixels": tiny,
    "JPEG 4": lambda image, placement: recompressed(image, 4),
    "grey": lambda image, placement: image.convert("L").convert("RGB"),
    "dark": lambda image, placement: ImageEnhance.Brightness(image).enhance(0.25),
    "turned": tilted,
    "covered": covered,
}


if __name__ == "__main__":
    run_script(main, "requirements-photos.txt")
