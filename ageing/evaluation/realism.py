"""How near translated faces are to real faces of the target domain, as distributions."""

import numpy as np

from ageing.errors import UserError
from ageing.evaluation import metrics
from ageing.forehead import has_spot
from ageing.utkface import matched_distribution

HALVINGS = 100  # random splits of the real faces into halves
SHARES = {"dark pixels beside the face": metrics.dark_beside, "spot on the forehead": has_spot}


def realism(translation):
    """{measure: {"outputs" | "unchanged" | "real": (mean, low, high)}}, mean and 95 % interval over HALVINGS.

    Each time the real faces of the target domain are split into two random halves. "outputs", "unchanged" (the inputs
    themselves) and "real" (the second half) are compared with the first half. All are drawn with the same number of
    faces and the same gender x race distribution, because the distances depend on both.

    Measures: Frechet and kernel distance to the first half, in the descriptors of the face recognition network; and
    SHARES, 0 to 1, which are each one's own: of dark pixels beside the face, of faces with a spot on the forehead.
    """
    inputs, targets = translation.inputs, translation.targets
    descriptors = {"outputs": translation.readings.descriptors, "unchanged": inputs.readings.descriptors,
                   "real": targets.readings.descriptors}
    pixels = {"outputs": translation.outputs, "unchanged": inputs.pixels, "real": targets.pixels}
    shares = {measure: {who: share(faces) for who, faces in pixels.items()} for measure, share in SHARES.items()}
    found = {measure: {who: [] for who in descriptors} for measure in ("Frechet distance", "kernel distance", *SHARES)}
    for reference, chosen in _draws(inputs.cells, targets.cells):
        real = descriptors["real"][reference]
        for who, rows in chosen.items():
            features = descriptors[who][rows]
            found["Frechet distance"][who].append(metrics.frechet(features, real))
            found["kernel distance"][who].append(metrics.kernel_distance(features, real))
            for measure, of in shares.items():
                found[measure][who].append(of[who][rows].mean())
    return {measure: {who: (float(np.mean(v)), *map(float, np.percentile(v, [2.5, 97.5]))) for who, v in by.items()}
            for measure, by in found.items()}


def _draws(input_cells, target_cells):
    """HALVINGS times (rows of the reference half, {who: rows to compare with it}); all of one length."""
    rng = np.random.default_rng(1)
    try:
        p, _, _ = matched_distribution(input_cells, target_cells)
    except UserError:  # the file names tell no cells
        p = None
    n = min(len(input_cells), len(target_cells) // 2)
    for _ in range(HALVINGS):
        halves = np.array_split(rng.permutation(len(target_cells)), 2)
        wanted = None if p is None else rng.choice(len(p), size=n, p=p)
        reference, real = (_draw(target_cells, half, wanted, n, rng) for half in halves)
        inputs = _draw(input_cells, np.arange(len(input_cells)), wanted, n, rng)
        yield reference, {"outputs": inputs, "unchanged": inputs, "real": real}


def _draw(cells, among, wanted, n, rng):
    """n rows out of `among`: one of each cell in `wanted`, or any row where `among` has none of that cell."""
    if wanted is None:
        return rng.choice(among, n)
    members = {c: among[cells[among] == c] for c in np.unique(wanted)}
    return np.array([rng.choice(members[c] if len(members[c]) else among) for c in wanted])
