"""Drawn faces only: how far the generators are from the true aged faces."""

from ageing import drawn_faces
from ageing.training.sample_grids import translate


def report(recipe, gan):
    """Lines of text: mean absolute error of each generator, of 255, beside that of the identity."""
    young, old = drawn_faces.true_pairs(recipe.data.path, recipe.data.domain_A, recipe.data.domain_B, gan.stage.size)
    lines = ["mean absolute error against the true faces, of 255 (ratio below 1: better than the identity):"]
    for title, ratio, error, identity in errors(gan, young, old):
        lines.append(f"  {title}: {error:.2f}   identity: {identity:.2f}   ratio {ratio:.2f}")
    return lines


def errors(gan, young, old):
    """[(direction, ratio, error, error of the identity)]. young, old: uint8 (n, H, W, 3), the same people."""
    found = []
    for title, generator, source, target in (("young -> old", gan.age, young, old),
                                           ("old -> young", gan.rejuvenate, old, young)):
        error, identity = (abs(x.astype(float) - target).mean() for x in (translate(generator, source), source))
        found.append((title, error / identity, error, identity))
    return found
