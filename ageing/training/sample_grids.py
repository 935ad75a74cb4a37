"""What the generators make of fixed validation faces: the sample grids and, of drawn faces, their error."""

from pathlib import Path

import numpy as np

from ageing import drawn_faces
from ageing.errors import kind_of
from ageing.face_folder import fixed_faces
from ageing.pixels import to_floats, to_pixels
from ageing.training.plan import GENERATOR

FACES = 8   # in a grid: as many as a screen shows at a readable size


def grid_faces(data, size):
    """((A, B), notes): uint8 (n, size, size, 3) of both domains, the same faces in every grid; lines of text.

    data: recipe.Data. Faces of the train split are used, and a note says so, where there is no validation split.
    """
    root, faces, notes = Path(data.path), [], []
    for domain in (data.domain_A, data.domain_B):
        folder = root / "validation" / domain
        if kind_of(folder) != "folder":
            notes.append(f"{folder} is missing: the sample grids show training faces")
            folder = root / "train" / domain
        faces.append(fixed_faces(folder, size, FACES))
    return tuple(faces), notes


def translate(generator, pixels):
    """uint8 (n, H, W, 3) through a generator, a function of images, to the same, eight at a time."""
    return np.concatenate([to_pixels(generator(to_floats(pixels[i:i + 8]))) for i in range(0, len(pixels), 8)])


def sample_rows(gan, faces):
    """[(title, uint8 (n, H, W, 3))]: translation, cycle and identity of both domains, by the moving averages."""
    A, B, rows = ("A", faces[0]), ("B", faces[1]), []
    for (x, sources), (y, targets), G, F in ((A, B, gan.age, gan.rejuvenate), (B, A, gan.rejuvenate, gan.age)):
        made = translate(G, sources)
        rows += [(x, sources), (f"G_{x}{y}({x})", made), (f"G_{y}{x}(G_{x}{y}({x}))", translate(F, made)),
                 (f"G_{x}{y}({y}) identity", translate(G, targets))]
    return rows


def batch_rows(gan, faces):
    """[(title, uint8 (n, H, W, 3))]: a training batch as the generators see it. faces: data_loader.UnpairedFaces."""
    pairs = gan.prepare({"faces": faces.batch(FACES, GENERATOR, 0), "rounds": []})["faces"]
    domains = faces.settings.domain_A, faces.settings.domain_B
    return [(domain, to_pixels(some.images)) for domain, some in zip(domains, pairs, strict=True)]


def true_error(recipe, gan):
    """Drawn faces only. Lines of text: mean absolute error of each generator, of 255, beside that of the identity."""
    young, old = drawn_faces.true_pairs(recipe.data.path, recipe.data.domain_A, recipe.data.domain_B, gan.stage.size)
    lines = ["mean absolute error against the true faces, of 255 (ratio below 1: better than the identity):"]
    for title, ratio, error, identity in true_errors(gan, young, old):
        lines.append(f"  {title}: {error:.2f}   identity: {identity:.2f}   ratio {ratio:.2f}")
    return lines


def true_errors(gan, young, old):
    """[(direction, ratio, error, error of the identity)]. young, old: uint8 (n, H, W, 3), the same people."""
    found = []
    for title, generator, source, target in (("young -> old", gan.age, young, old),
                                           ("old -> young", gan.rejuvenate, old, young)):
        error, identity = (abs(x.astype(float) - target).mean() for x in (translate(generator, source), source))
        found.append((title, error / identity, error, identity))
    return found
