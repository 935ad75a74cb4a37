"""losses.png: the curves of a run's log."""

import itertools

import numpy as np

from ageing import pictures
from ageing.storage import read_json_lines
from ageing.training.recipe import TERMS

FINISHING = ("teacher", "spot")
STYLES = {"AB": "-", "BA": "--", "A": "-", "B": "--", "": "-"}  # by the end of a loss' name: its way or its domain
COLOURS = {term: f"C{i}" for i, term in enumerate(("adversarial", *TERMS, *FINISHING, "d"))}  # in all panels
LOWEST = 1e-4  # of the log axis: a smaller term weighs nothing


def save_curves(log_path, path):
    """Draw the losses in the log at `log_path` over steps into the picture `path`. Stages are marked."""
    lines = read_json_lines(log_path)
    if not lines:
        return
    figure, (terms, shares, discriminators) = pictures.panels(3, 16, 5)
    # The terms differ by factors of a hundred: on a linear axis all but the adversarial ones would lie on zero.
    _draw(terms, lines, [f"{term}_{way}" for term in ("adversarial", *TERMS, *FINISHING) for way in ("AB", "BA")])
    terms.set(title="generators: terms, unweighted (log axis)", yscale="log", ylim=(LOWEST, None))
    _draw(shares, lines, [f"share_{term}" for term in ("adversarial", *TERMS)])
    shares.set(title="generators: share of the weighted loss", ylim=(0, 1))
    _draw(discriminators, lines, ["d_A", "d_B"])
    discriminators.set(title="discriminators", ylim=(0, None))
    for panel in (terms, shares, discriminators):
        _mark_stages(panel, lines)
        panel.set_xlabel("step")
        if panel.get_legend_handles_labels()[1]:  # a warm start draws no generator term
            panel.legend(fontsize=8, ncols=2)
    pictures.save_figure(path, figure)


def _draw(panel, lines, names):
    """One smoothed curve for each of `names` that the log holds and that is not zero throughout."""
    for name in names:
        points = [(line["step"], line[name]) for line in lines if name in line]
        if not any(value for _, value in points):
            continue
        steps, values = np.array(points).T
        term, _, end = name.removeprefix("share_").partition("_")
        panel.plot(steps, values, alpha=0.15, color=COLOURS[term])
        panel.plot(steps, _smooth(values), label=name.removeprefix("share_"), color=COLOURS[term],
                   linestyle=STYLES[end])


def _mark_stages(panel, lines):
    for before, after in itertools.pairwise(lines):
        if before["size"] != after["size"]:
            panel.axvline(after["step"], color="grey", linestyle=":")
            panel.text(after["step"], 0.98, f" {after['size']} px", transform=panel.get_xaxis_transform(), va="top")


def _smooth(values, weight=0.9):
    """Exponential moving average, with the bias of its start corrected."""
    out, total, mass = [], 0.0, 0.0
    for value in values:
        total, mass = weight * total + (1 - weight) * value, weight * mass + 1 - weight
        out.append(total / mass)
    return out
