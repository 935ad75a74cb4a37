"""Which strength makes a face how many years older or younger, as `evaluate.py` measured it for a pair of generators.

    strength, (low, high) = calibration.load("saved_models").strength_for("age", 10)

The file is calibration.json in the folder of the generators:
{"age": {"strength": [0, 0.25, ...], "years": [...], "low": [...], "high": [...]}, "rejuvenate": {...},
 "measured": "by what, on what, when"}
years: gained at each strength on average over faces, positive in the direction of the generator. low, high: the 95 %
confidence interval of this mean; single faces differ more.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from ageing.errors import UserError, reason

FILE = "calibration.json"
CHANGE = {"age": "older", "rejuvenate": "younger"}
HOW = "make it with `python evaluate.py --weights {} --card`"


class OutOfReach(UserError):
    """More years than the strongest change gives."""


def strengths(folder, directions, years=None, strength=None):
    """({direction: strength}, a line for each direction that says what to expect).

    For `years` the strengths are those of the calibration in `folder`; without, all are `strength` or 1, and no line.
    """
    if years is None:
        return dict.fromkeys(directions, 1.0 if strength is None else strength), []
    calibration, chosen, lines = load(folder), {}, []
    for direction in directions:
        chosen[direction], interval = calibration.strength_for(direction, years)
        low, high = (round(bound, 1) for bound in interval)
        lines.append(f"about {years:g} years {CHANGE[direction]} on average (95 % interval {low:g} to {high:g}), "
                     f"strength {chosen[direction]:.2f}")
    return chosen, lines


@dataclasses.dataclass(frozen=True)
class Curve:
    """float64 arrays of equal length: strength, increasing; years, which never falls; low and high, as measured."""

    strength: np.ndarray
    years: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclasses.dataclass(frozen=True)
class Calibration:
    """curves: {"age" or "rejuvenate": Curve}. measured: by what, on what and when, in one sentence."""

    curves: dict
    measured: str

    def strength_for(self, direction, years):
        """(smallest strength that gains `years`, (low, high) of the years gained at that strength).

        The curve is linear between measured points. Raises OutOfReach.
        """
        curve = self.curves[direction]
        if years > curve.years[-1]:
            most, low, high = (f"{round(float(values[-1]), 1):g}" for values in (curve.years, curve.low, curve.high))
            raise OutOfReach(f"--years {years:g}: out of reach; faces become at most {most} years {CHANGE[direction]} "
                             f"(95 % interval {low} to {high}), at strength {curve.strength[-1]:g}")
        after = int(np.searchsorted(curve.years, years))  # the first point that gains enough
        near = slice(max(after - 1, 0), after + 1)
        strength = float(np.interp(years, curve.years[near], curve.strength[near]))
        low, high = (float(np.interp(strength, curve.strength, bound)) for bound in (curve.low, curve.high))
        return strength, (min(low, years), max(high, years))


def load(folder):
    """The Calibration of the generators in `folder`. Raises UserError if it is missing or damaged."""
    path = Path(folder, FILE)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        curves = {direction: _curve(content[direction]) for direction in CHANGE}
        return Calibration(curves, str(content["measured"]))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file, but --years needs it; {HOW.format(folder)}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a calibration ({type(error).__name__}: {error}); {HOW.format(folder)}") from error


def _curve(points):
    """Curve of the points of one direction. Raises ValueError, KeyError or TypeError."""
    strength, *measured = (np.array(points[name], np.float64) for name in ("strength", "years", "low", "high"))
    if strength.ndim != 1 or len(strength) < 2 or any(values.shape != strength.shape for values in measured):
        raise ValueError("lists of different lengths")
    if not np.isfinite([strength, *measured]).all() or strength[0] != 0 or (np.diff(strength) <= 0).any():
        raise ValueError("strengths must rise from 0, and every number must be finite")
    years, low, high = measured
    return Curve(strength, np.maximum.accumulate(years), low, high)  # noise must not let a stronger change gain less
