"""The stops of the slider, from the youngest to the oldest: a direction, a strength and what to expect of it."""

import dataclasses
from pathlib import Path

from ageing.errors import kind_of
from ageing.photos import STRONGEST, calibration

STEP = 0.05     # of a slider without years, in strength


@dataclasses.dataclass(frozen=True)
class Stop:
    """value: years, or the strength where there are none; negative is younger. direction: None leaves the photo.

    title: what it does, for example "18 years older". expected: what is known of it, or "".
    """

    value: float
    direction: str | None
    strength: float
    title: str
    expected: str = ""


def stops(folder, directions):
    """([Stop] with "nothing changed" among them, how the years were measured or "").

    They are whole years if there is a calibration.json in `folder`, the same as `infer_faces.py --years`; else
    strengths. Raises UserError if the calibration is damaged.
    """
    middle = Stop(0, None, 0.0, "as it is")
    if kind_of(Path(folder, calibration.FILE)) is None:
        sides = {direction: _strengths(direction) for direction in directions}
        measured = ""
    else:
        curves = calibration.load(folder)
        sides = {direction: _years(direction, curves) for direction in directions}
        measured = curves.measured
    return [*reversed(sides.get("rejuvenate", [])), middle, *sides.get("age", [])], measured


def start(stops):
    """Index of the stop that is shown first: of the direction of ageing, the one with a strength nearest to 1."""
    ageing = [i for i, stop in enumerate(stops) if stop.direction == "age"] or range(len(stops))
    return min(ageing, key=lambda i: abs(stops[i].strength - 1))


def _years(direction, curves):
    made = []
    for years in range(1, int(curves.curves[direction].years[-1]) + 1):
        strength, (low, high) = curves.strength_for(direction, years)
        title = f"{years} year{'s' * (years > 1)} {calibration.CHANGE[direction]}"
        expected = f"on average (95 % interval {round(low, 1):g} to {round(high, 1):g})"
        made.append(Stop(_sign(direction) * years, direction, strength, title, expected))
    return made


def _strengths(direction):
    count = round(STRONGEST / STEP)
    return [Stop(_sign(direction) * i * STEP, direction, STRONGEST * i / count,
                 f"{calibration.CHANGE[direction]}, strength {STRONGEST * i / count:.2f}") for i in range(1, count + 1)]


def _sign(direction):
    return 1 if direction == "age" else -1
