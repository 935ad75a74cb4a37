"""An evaluation as pictures: faces before and after, chosen at random and by some numbers."""

import re

import numpy as np

from ageing import pictures
from ageing.evaluation import natural

SHOWN = 10  # faces in a picture


def draw(folder, name, translations):
    """Write the pictures of one pair of generators into `folder`. Returns Markdown lines that show them.

    name: of the pair. translations: {title: Translation}.
    """
    stem, lines = re.sub(r"\W+", "_", name).strip("_"), []
    for made, translation in translations.items():
        lines += [f"## {name}: {made}", ""]
        for title, order in _selections(translation):
            shown = order[:SHOWN]
            path = folder / f"{stem}_{made.replace(' ', '_')}_{title.replace(' ', '_')}.png"
            pictures.save_grid(path, [("input", translation.inputs.pixels[shown]),
                                      ("output", translation.outputs[shown]), ("cycle", translation.cycled[shown])])
            lines += [f"{title}:", "", f"![{title}]({path.name})", ""]
    return lines


def _selections(translation):
    """[(title, order of the faces)]: random, then from the best and from the worst by each number."""
    selections = [("random", np.random.default_rng(2).permutation(len(translation)))]
    for values, lowest, highest in (
            (translation.age_gain, "smallest age gain", "largest age gain"),
            (translation.identity_distance, "nearest identity", "farthest identity"),
            (translation.natural[natural.STAINS], "fewest stains", "most stains")):
        selections += [(lowest, np.argsort(values, kind="stable")), (highest, np.argsort(-values, kind="stable"))]
    if not translation.gender_kept.all():
        selections.append(("gender not kept", np.flatnonzero(~translation.gender_kept)))
    return selections
