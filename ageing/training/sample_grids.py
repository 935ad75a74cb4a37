"""What the generators make of fixed validation faces: the sample grids and, of drawn faces, their error."""

import functools
from pathlib import Path

import numpy as np

from ageing import drawn_faces, pictures
from ageing.errors import kind_of
from ageing.face_folder import fixed_faces
from ageing.pixels import to_floats, to_pixels
from ageing.training.plan import GENERATOR
from ageing.utkface import DECADES

FACES = 8   # of A and of B in a grid: as many as a screen shows at a readable size


def grid_faces(data, size):
    """((A, B), notes): uint8 (n, size, size, 3) of both domains, the same faces in every grid; lines of text.

    data: recipe.Data. Faces of the train split are used, and a note says so, where there is no validation split.
    """
    root, faces, notes = Path(data.path), [], []
    for domain in data.domains:
        folder = root / "validation" / domain
        if kind_of(folder) != "folder":
            notes.append(f"{folder} is missing: the sample grids show training faces")
            folder = root / "train" / domain
        n = FACES if domain == data.domain_A else -(-FACES // len(data.domains_B))
        faces.append(fixed_faces(folder, size, n))
    return (faces[0], np.concatenate(faces[1:])), notes


def translate(generator, pixels):
    """uint8 (n, H, W, 3) through a generator, a function of images, to the same, eight at a time."""
    return np.concatenate([to_pixels(generator(to_floats(pixels[i:i + 8]))) for i in range(0, len(pixels), 8)])


def sample_grid(gan, faces):
    """uint8 RGB picture: what the moving averages make of `faces` (A, B)."""
    if ages := gan.recipe.data.ages:
        return pictures.grid(*age_rows(gan, faces, ages))
    return pictures.grid(sample_rows(gan, faces))


def age_rows(gan, faces, ages):
    """([(title, uint8 (n, H, W, 3))], titles of the columns): each face in a row, made young, told each of `ages`, and
    its cycle, to 55 years and back."""
    sources = np.concatenate(faces)
    made = [sources, translate(gan.rejuvenate, sources)]
    made += [translate(functools.partial(gan.age, age=age), sources) for age in ages]
    made.append(translate(gan.rejuvenate, translate(gan.age, sources)))
    rows = np.stack(made, axis=1)
    titles = ["A"] * len(faces[0]) + ["B"] * len(faces[1])
    columns = ["", gan.recipe.data.domain_A, *(f"{age:g}" for age in ages), "cycle"]
    return list(zip(titles, rows, strict=True)), columns


def sample_rows(gan, faces):
    """[(title, uint8 (n, H, W, 3))]: translation, cycle and identity of both domains, by the moving averages."""
    A, B, rows = ("A", faces[0]), ("B", faces[1]), []
    for (x, sources), (y, targets), G, F in ((A, B, gan.age, gan.rejuvenate), (B, A, gan.rejuvenate, gan.age)):
        made = translate(G, sources)
        rows += [(x, sources), (f"G_{x}{y}({x})", made), (f"G_{y}{x}(G_{x}{y}({x}))", translate(F, made)),
                 (f"G_{x}{y}({y}) identity", translate(G, targets))]
    return rows


def batch_grid(gan, faces):
    """uint8 RGB picture of a training batch as the generators see it. faces: data_loader.UnpairedFaces."""
    pairs = gan.prepare({"faces": faces.batch(FACES, GENERATOR, 0), "rounds": []})["faces"]
    rows = [(name, to_pixels(some.images)) for name, some in zip("AB", pairs, strict=True)]
    ages = pairs[1].ages
    return pictures.grid(rows, () if ages is None else [f"{age:.0f}" for age in np.ravel(ages)])


def true_error(recipe, gan):
    """Drawn faces only. Lines of text: mean absolute error of each generator, of 255, beside that of the identity."""
    lines = ["mean absolute error against the true faces, of 255 (ratio below 1: better than the identity):"]
    for domain in (data := recipe.data).domains_B:
        young, old = drawn_faces.true_pairs(data.path, data.domain_A, domain, gan.stage.size)
        for title, ratio, error, identity in true_errors(gan, young, old, data.domain_A, domain):
            lines.append(f"  {title}: {error:.2f}   identity: {identity:.2f}   ratio {ratio:.2f}")
    return lines


def true_errors(gan, young, old, domain_A="20s", domain_B="50s"):
    """[(title, ratio, error, error of the identity)] of both ways. young, old: uint8 (n, H, W, 3), the same people."""
    found, age = [], functools.partial(gan.age, age=DECADES[domain_B]) if gan.recipe.data.ages else gan.age
    for title, generator, source, target in ((f"{domain_A} -> {domain_B}", age, young, old),
                                             (f"{domain_B} -> {domain_A}", gan.rejuvenate, old, young)):
        error, identity = (abs(x.astype(float) - target).mean() for x in (translate(generator, source), source))
        found.append((title, error / identity, error, identity))
    return found
