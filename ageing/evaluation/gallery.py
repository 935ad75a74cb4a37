"""An evaluation as pictures: faces before and after, chosen at random and by each number, and curves of age."""

import re

import numpy as np

from ageing import pictures

SHOWN = 10  # faces in a picture


def draw(folder, name, translations, numbers):
    """Write the pictures of one pair of generators into `folder`. Returns Markdown lines that show them.

    name: of the pair. translations: {direction: Translation}. numbers: {direction: what metrics.measure returns}.
    """
    stem, lines = re.sub(r"\W+", "_", name).strip("_"), []
    for direction, translation in translations.items():
        lines += [f"## {name}: {direction}", ""]
        for title, order in _selections(translation):
            shown = order[:SHOWN]
            path = folder / f"{stem}_{direction}_{re.sub(r'[^a-z]+', '_', title)}.png"
            pictures.save_grid(path, [("input", translation.inputs.pixels[shown]),
                                      ("output", translation.outputs[shown]), ("cycle", translation.cycled[shown])])
            lines += [f"{title}:", "", f"![{title}]({path.name})", ""]
        path = folder / f"{stem}_{direction}_ages.png"
        _save_age_curves(path, translation, numbers[direction]["age gain by strength"])
        lines += [f"![estimated ages]({path.name})", ""]
    return lines


def _selections(translation):
    """[(title, order of the faces)]: random, then from the best and from the worst by each number."""
    selections = [("random", np.random.default_rng(2).permutation(len(translation)))]
    for values, lowest, highest in (
            (translation.age_gain, "smallest age gain", "largest age gain"),
            (translation.identity_distance, "nearest identity", "farthest identity"),
            (translation.cycle_error, "smallest cycle error", "largest cycle error"),
            (np.linalg.norm(translation.skin_change, axis=1), "smallest skin colour change",
             "largest skin colour change")):
        selections += [(lowest, np.argsort(values, kind="stable")), (highest, np.argsort(-values, kind="stable"))]
    if not translation.gender_kept.all():
        selections.append(("gender not kept", np.flatnonzero(~translation.gender_kept)))
    return selections


def _save_age_curves(path, translation, curve):
    """Histograms of estimated ages: inputs, outputs, target domain. Beside it, the mean age gain over strength."""
    figure, (left, right) = pictures.panels(2, 11, 4)
    bins = np.arange(0, 105, 5)
    for title, ages in (("inputs", translation.before.ages), ("outputs", translation.after.ages),
                        ("target domain", translation.real.ages)):
        left.hist(np.clip(ages, 0, 100), bins, density=True, histtype="step", linewidth=2, label=title)
    left.set(xlabel="estimated age, years", ylabel="density", title=translation.direction)
    left.legend()
    mean, low, high = np.transpose(list(curve.values()))
    right.plot(list(curve), mean, marker="o")
    right.fill_between(list(curve), low, high, alpha=0.2)
    right.set(xlabel="strength", ylabel="mean age gain, years")
    pictures.save_figure(path, figure)
