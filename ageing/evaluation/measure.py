"""Measure a pair of generators on the validation set.

Numbers are nested dicts, whose keys are the row titles of the report's tables. An estimate is a tuple (estimate, low,
high) with its 95 % confidence interval.
"""

import itertools

import numpy as np

from ageing.evaluation import metrics
from ageing.evaluation.bands import bands
from ageing.evaluation.judges import SAME_PERSON
from ageing.evaluation.realism import realism
from ageing.evaluation.translation import DIRECTIONS, translate, with_change
from ageing.utkface import cell_name

STRENGTHS = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5)
MONOTONE_UP_TO = 1.25   # strength; above it, faces become masks and the judges guess
CURVE_FACES = 200       # in the strength curve; both judges read them at each strength
LARGE_GAIN = 20         # years


def measure_pair(pair, A, B, judges, title):
    """({direction: numbers}, {direction: Translation}) of `pair`, the generators (G_AB, G_BA).

    A, B: ValidationFaces at the generators' size. title: of the progress bars.
    """
    numbers, translations = {}, {}
    for direction, generator, other, inputs, targets in zip(DIRECTIONS, pair, pair[::-1], (A, B), (B, A), strict=True):
        translation = translate(direction, generator, other, inputs, targets, judges, title)
        translations[direction.name] = translation
        numbers[direction.name] = measure(translation, judges)
    return numbers, translations


def measure(translation, judges):
    """{row title: number, estimate or dict} of one direction."""
    return {
        "faces": len(translation),
        **age_and_gender(translation),
        **identity(translation),
        **labelled_gender(translation),
        **spots(translation),
        **skin(translation),
        **cycle(translation),
        **identity_mapping(translation),
        **checkerboard(translation),
        **realism(translation),
        **bands(translation),
        **strength_curve(translation, judges),
        "by group": by_group(translation),
        "ms per face": 1e3 * translation.seconds / len(translation),
    }


def age_and_gender(t):
    """By the first and by the second judge."""
    before, after, real = t.inputs.readings, t.readings, t.targets.readings
    first = _opinion(t.direction.sign, before, after, real, t.inputs.mirrored_male)
    second = _opinion(t.direction.sign, before.second, after.second, real.second, t.inputs.second_mirrored_male)
    return {**first, "median age gain, years": metrics.bootstrap(t.age_gain, np.median),
            **{f"{title}, second judge": number for title, number in second.items()}}


def _opinion(sign, before, after, real, mirrored_male):
    """Of one judge. before, after, real: its ages and male for inputs, outputs and real faces of the target domain."""
    gain = sign * (after.ages - before.ages)
    gap = sign * (real.ages.mean() - before.ages.mean())
    return {
        "age gap, years": float(gap),
        "estimated age, inputs": metrics.bootstrap(before.ages),
        "estimated age, target domain": metrics.bootstrap(real.ages),
        "age gain, years": metrics.bootstrap(gain),
        # None if the judge sees no gap, as on drawn faces.
        "age gain / age gap": metrics.bootstrap(gain / gap) if gap > 0 else None,
        f"age gain of {LARGE_GAIN} years or more": metrics.proportion(gain >= LARGE_GAIN),
        "gender kept": metrics.proportion(before.male == after.male),
        "gender kept, mirrored inputs": metrics.proportion(before.male == mirrored_male),
    }


def identity(t):
    """Is the output the same person? Beside it, the distance of each input to another input: different people."""
    descriptors = t.inputs.readings.descriptors
    others = np.roll(descriptors[t.order], 1, axis=0)[np.argsort(t.order)]
    return {
        "identity distance": metrics.bootstrap(t.identity_distance),
        "identity distance, different people": metrics.bootstrap(np.linalg.norm(descriptors - others, axis=1)),
        "verified as the same person": metrics.proportion(t.identity_distance < SAME_PERSON),
    }


def labelled_gender(t):
    """Does the judge read the gender that the data set's labels say? None without labels."""
    known, male = t.inputs.labelled, t.inputs.labelled_male
    return {title: metrics.proportion((readings.male == male)[known]) if known.any() else None
            for title, readings in (("gender as labelled, inputs", t.inputs.readings),
                                    ("gender as labelled, outputs", t.readings))}


def spots(t):
    return {"spot added on the forehead": metrics.proportion(t.spot_added)}


def skin(t):
    return {"skin lightness change, L*": metrics.bootstrap(t.skin_change[:, 0]),
            "skin colour change, dE*": metrics.bootstrap(np.linalg.norm(t.skin_change, axis=1))}


def cycle(t):
    """Cycle consistency: F(G(x)) against x."""
    return {"cycle error, grey levels": metrics.bootstrap(t.cycle_error),
            "cycle PSNR, dB": metrics.bootstrap(metrics.psnr(t.cycled, t.inputs.pixels), np.median)}


def identity_mapping(t):
    """G(y) against y, a face that is in the target domain already."""
    real = t.targets.pixels
    return {"identity mapping error, grey levels": metrics.bootstrap(metrics.mean_absolute(t.mapped, real)),
            "identity mapping PSNR, dB": metrics.bootstrap(metrics.psnr(t.mapped, real), np.median)}


def checkerboard(t):
    ratio, amplitude = metrics.checkerboard(t.change)
    return {"checkerboard power ratio": ratio, "checkerboard amplitude, grey levels": amplitude}


def strength_curve(t, judges):
    """Mean age gain of up to CURVE_FACES faces at each strength, by the mean of both judges' ages."""
    few = t.order[:CURVE_FACES]
    ages = {0: t.inputs.readings.mean_ages[few], 1: t.readings.mean_ages[few]}
    for strength in set(STRENGTHS) - set(ages):
        outputs = with_change(t.inputs.pixels[few], t.change[few], strength)
        ages[strength] = judges.mean_ages(outputs, f"strength {strength}")
    gains = {strength: t.direction.sign * (ages[strength] - ages[0]) for strength in STRENGTHS}
    curve = {strength: metrics.bootstrap(gain) for strength, gain in gains.items()}
    return {"faces in the strength curve": len(few), "age gain by strength": curve,
            f"age monotone in strength up to {MONOTONE_UP_TO}": all(
                after >= before for (before, *_), (after, *_) in itertools.pairwise(
                    gain for strength, gain in curve.items() if strength <= MONOTONE_UP_TO))}


def by_group(t):
    """{gender and race: numbers}, for the labelled faces."""
    before, after, male = t.inputs.readings, t.readings, t.inputs.labelled_male
    values = {
        "gender kept": (metrics.proportion, t.gender_kept),
        "gender kept, mirrored inputs": (metrics.proportion, before.male == t.inputs.mirrored_male),
        "gender kept, second judge": (metrics.proportion, before.second.male == after.second.male),
        "gender as labelled, inputs": (metrics.proportion, before.male == male),
        "gender as labelled, outputs": (metrics.proportion, after.male == male),
        "age gain, years": (metrics.bootstrap, t.age_gain),
        "spot added on the forehead": (metrics.proportion, t.spot_added),
        "skin lightness of the inputs, L*": (metrics.bootstrap, t.input_skin[:, 0]),
        "skin lightness change, L*": (metrics.bootstrap, t.skin_change[:, 0]),
    }
    groups = {}
    for cell in np.unique(t.inputs.cells[t.inputs.labelled]):
        rows = t.inputs.cells == cell
        groups[cell_name(cell)] = {"faces": int(rows.sum()),
                                   **{title: estimate(v[rows]) for title, (estimate, v) in values.items()}}
    return groups
