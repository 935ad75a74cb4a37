"""What is measured on translated crops: a metric is one function and one row of METRICS, or of those BESIDE_REAL.

Numbers are nested dicts, whose keys are the titles of the rows. An estimate is a tuple (estimate, low, high) with its
95 % confidence interval, or None where it cannot be measured.
"""

import numpy as np

from ageing.errors import UserError
from ageing.evaluation import formulas, natural
from ageing.evaluation.formulas import bootstrap, proportion
from ageing.evaluation.judges import SAME_PERSON
from ageing.forehead import has_spot
from ageing.utkface import cell_name, matched_distribution

HALVINGS = 100          # random splits of the real faces into halves
RISES = "age rises with every age told"


def age_gap(t, judge):
    """Mean age of real faces of the target domain minus that of the inputs, in the wanted direction, or None.

    judge: the name of its ages in Readings.
    """
    if not t.real:
        return None
    return float(t.direction.sign * (getattr(t.real, judge).mean() - getattr(t.before, judge).mean()))


def share_of_gap(gain, gap):
    """None if the judge sees no gap, as on drawn faces."""
    return bootstrap(gain / gap) if gap and gap > 0 else None


def error(t, ages):
    """Mean absolute difference of `ages` to the age that was told."""
    return bootstrap(np.abs(ages - t.age)) if t.age else None


def to_others(t):
    """(n,) identity distance of each input to another input: different people."""
    descriptors, shuffled = t.before.descriptors, np.random.default_rng(1).permutation(len(t))
    others = np.roll(descriptors[shuffled], 1, axis=0)[np.argsort(shuffled)]
    return np.linalg.norm(descriptors - others, axis=1)


def as_labelled(t, readings):
    """Does the first judge read the gender that the data set's labels say? None without labels."""
    known = t.inputs.labelled
    return proportion((readings.male == t.inputs.labelled_male)[known]) if known.any() else None


# (title, format in the tables, function of a Translation). Without a format only report.json has it.
METRICS = (
    ("faces", "{:d}", len),
    ("age gap, years", None, lambda t: age_gap(t, "ages")),
    ("estimated age, inputs", "{:.1f}", lambda t: bootstrap(t.before.ages)),
    ("estimated age, outputs", "{:.1f}", lambda t: bootstrap(t.after.ages)),
    ("estimated age, target domain", "{:.1f}", lambda t: t.real and bootstrap(t.real.ages)),
    ("age gain, years", "{:.1f}", lambda t: bootstrap(t.age_gain)),
    ("age gain / age gap", "{:.2f}", lambda t: share_of_gap(t.age_gain, age_gap(t, "ages"))),
    ("error against the age told, years", "{:.1f}", lambda t: error(t, t.after.ages)),
    ("age gap, years, second judge", None, lambda t: age_gap(t, "second_ages")),
    ("estimated age, inputs, second judge", "{:.1f}", lambda t: bootstrap(t.before.second_ages)),
    ("estimated age, outputs, second judge", "{:.1f}", lambda t: bootstrap(t.after.second_ages)),
    ("estimated age, target domain, second judge", "{:.1f}", lambda t: t.real and bootstrap(t.real.second_ages)),
    ("age gain, years, second judge", "{:.1f}", lambda t: bootstrap(t.second_age_gain)),
    ("age gain / age gap, second judge", "{:.2f}",
     lambda t: share_of_gap(t.second_age_gain, age_gap(t, "second_ages"))),
    ("error against the age told, years, second judge", "{:.1f}", lambda t: error(t, t.after.second_ages)),
    ("identity distance", "{:.3f}", lambda t: bootstrap(t.identity_distance)),
    ("identity distance, different people", "{:.3f}", lambda t: bootstrap(to_others(t))),
    ("verified as the same person", "{:.1%}", lambda t: proportion(t.identity_distance < SAME_PERSON)),
    ("gender kept", "{:.1%}", lambda t: proportion(t.gender_kept)),
    ("gender kept, mirrored inputs", "{:.1%}", lambda t: proportion(t.before.male == t.inputs.mirrored_male)),
    ("gender kept, second judge", "{:.1%}", lambda t: proportion(t.before.second_male == t.after.second_male)),
    ("gender kept, mirrored inputs, second judge", "{:.1%}",
     lambda t: proportion(t.before.second_male == t.inputs.second_mirrored_male)),
    ("gender as labelled, inputs", "{:.1%}", lambda t: as_labelled(t, t.before)),
    ("gender as labelled, outputs", "{:.1%}", lambda t: as_labelled(t, t.after)),
    ("spot added on the forehead", "{:.1%}", lambda t: proportion(has_spot(t.outputs) & ~has_spot(t.inputs.pixels))),
    ("cycle error, grey levels", "{:.2f}", lambda t: bootstrap(t.cycle_error)),
    # Of faces that are in the target domain already.
    ("identity mapping error, grey levels", "{:.2f}",
     lambda t: t.targets and bootstrap(formulas.mean_absolute(t.mapped, t.targets.pixels))),
    ("skin lightness change, L*", "{:+.1f}", lambda t: bootstrap(t.skin_change[:, 0])),
    ("skin colour change, dE*", "{:.1f}", lambda t: bootstrap(np.linalg.norm(t.skin_change, axis=1))),
    ("ms per face", "{:.0f}", lambda t: 1e3 * t.seconds / len(t)),
    ("by group", None, lambda t: by_group(t)),
)

# (title, format in the tables) by gender and race. The function is that of METRICS, on the faces of a group.
GROUP_METRICS = (
    ("faces", "{:d}"),
    ("gender kept", "{:.0%}"),
    ("gender kept, mirrored inputs", "{:.0%}"),
    ("gender kept, second judge", "{:.0%}"),
    ("gender as labelled, inputs", "{:.0%}"),
    ("gender as labelled, outputs", "{:.0%}"),
    ("age gain, years", "{:.1f}"),
    ("spot added on the forehead", "{:.0%}"),
    ("skin lightness of the inputs, L*", "{:.1f}"),
    ("skin lightness change, L*", "{:+.1f}"),
)

# What outputs, unchanged inputs and real faces of the target domain have each: (title, format, function). First the
# distance of descriptors to those of real faces, then (n,) numbers of faces, whose means are compared.
DISTANCES = (("Frechet distance", "{:.3f}", formulas.frechet),)
OF_FACES = (
    ("dark pixels beside the face", "{:.1%}", formulas.dark_beside),
    ("spot on the forehead", "{:.1%}", has_spot),
)
POWERS = tuple((f"power, {low} to {high} cycles a face", "{:.2f}", band)
               for band, (low, high) in enumerate(formulas.FREQUENCIES))
# What the outputs and real faces of the target domain differ by from the inputs, and the noise: (title, format).
NATURAL = tuple((title, "{:+.2f}" if title in natural.LEVELS else "{:.2f}") for title in natural.TITLES)
BESIDE_REAL = DISTANCES + OF_FACES + POWERS


def measure_all(translations):
    """{title: {title of a row: number, estimate or dict}} of {title: Translation}, of the same generators."""
    rates = rises([t for t in translations.values() if t.age])
    return {title: measure(t) | (rates if t.age else {}) for title, t in translations.items()}


def measure(t):
    return {title: of(t) for title, _, of in METRICS} | beside_inputs(t) | (realism(t) | powers(t) if t.targets else {})


def rises(told):
    """Shares of faces whose estimated age rises from each of the ages told to the next. told: [Comparison], or []."""
    if len(told) < 2:
        return {}
    return {title: proportion((np.diff([getattr(t.after, judge) for t in told], axis=0) > 0).all(axis=0))
            for title, judge in ((RISES, "ages"), (f"{RISES}, second judge", "second_ages"))}


def beside_inputs(t):
    """{title of NATURAL: {"outputs" | "noise" | "between": estimate}}, without "between" if there are no targets."""
    found = {"outputs": natural.estimates(t.natural), "noise": natural.estimates(t.natural_noise)}
    if t.targets:
        found["between"] = natural.between(t.inputs.natural, t.targets.natural)
    return {title: {who: of[title] for who, of in found.items() if title in of} for title, _ in NATURAL}


def by_group(t):
    """{gender and race: numbers}, for the labelled faces."""
    of = {title: of for title, _, of in METRICS}
    of["skin lightness of the inputs, L*"] = lambda t: bootstrap(t.input_skin[:, 0])
    groups = {cell_name(cell): t.take(t.inputs.cells == cell) for cell in np.unique(t.inputs.cells[t.inputs.labelled])}
    return {name: {title: of[title](group) for title, _ in GROUP_METRICS} for name, group in groups.items()}


def realism(t):
    """{title: {"outputs" | "unchanged" | "real": (mean, low, high)}}, mean and 95 % interval over HALVINGS.

    Each time the real faces of the target domain are split into two random halves. "outputs", "unchanged" (the inputs
    themselves) and "real" (the second half) are compared with the first half. All are drawn with the same number of
    faces and the same gender x race distribution, because the distances depend on both.
    """
    descriptors = {"outputs": t.after.descriptors, "unchanged": t.before.descriptors, "real": t.real.descriptors}
    pixels = {"outputs": t.outputs, "unchanged": t.inputs.pixels, "real": t.targets.pixels}
    of_faces = {title: {who: of(faces) for who, faces in pixels.items()} for title, _, of in OF_FACES}
    drawn = {title: {who: [] for who in pixels} for title, *_ in DISTANCES + OF_FACES}
    for reference, chosen in _draws(t.inputs.cells, t.targets.cells):
        for who, rows in chosen.items():
            for title, _, distance in DISTANCES:
                drawn[title][who].append(distance(descriptors[who][rows], descriptors["real"][reference]))
            for title, numbers in of_faces.items():
                drawn[title][who].append(numbers[who][rows].mean())
    return {title: {who: (float(np.mean(v)), *map(float, np.percentile(v, [2.5, 97.5]))) for who, v in by.items()}
            for title, by in drawn.items()}


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


def powers(t):
    """{title: {"outputs" | "unchanged" | "real": estimate}}: does ageing draw wrinkles, or does it only shade?

    Geometric means, divided by that of real faces of the younger domain. Of the sharp half: faces sharper at the eyes
    than the median of both domains; an output counts where its input does.
    """
    inputs, targets = t.inputs.pixels, t.targets.pixels
    sharpness = formulas.sharpness(inputs), formulas.sharpness(targets)
    sharp, sharp_targets = (values > np.median(np.concatenate(sharpness)) for values in sharpness)
    power = {"outputs": formulas.power(t.outputs[sharp]), "unchanged": formulas.power(inputs[sharp]),
             "real": formulas.power(targets[sharp_targets])}
    young = power["unchanged" if t.direction.sign > 0 else "real"]
    return {title: {who: formulas.ratio_of_geometric_means(values[:, band], young[:, band])
                    for who, values in power.items()} for title, _, band in POWERS}
