"""The stops of the slider, from the youngest to the oldest: a direction and a strength."""

import dataclasses

from ageing.faces import STRONGEST
from ageing.faces.direction import Direction

PER_STRENGTH = 20   # stops for a strength of 1


@dataclasses.dataclass(frozen=True)
class Stop:
    """value: the strength; negative is younger. direction: None leaves the photo. title: for the visitor."""

    value: float
    direction: Direction | None
    strength: float
    title: str


def stops(directions):
    """[Stop] of the generators that there are, with "as it is" among them. Strengths as of `infer_faces.py`."""
    strengths = [i / PER_STRENGTH for i in range(1, round(STRONGEST * PER_STRENGTH) + 1)]
    younger = [Stop(-s, Direction.REJUVENATE, s, f"younger, strength {s:.2f}") for s in reversed(strengths)]
    older = [Stop(s, Direction.AGE, s, f"older, strength {s:.2f}") for s in strengths]
    return [stop for stop in (*younger, Stop(0, None, 0.0, "as it is"), *older)
            if stop.direction is None or stop.direction in directions]


def start(stops):
    """Index of the stop that is shown first: of the direction of ageing, the one with a strength nearest to 1."""
    ageing = [i for i, stop in enumerate(stops) if stop.direction == Direction.AGE] or range(len(stops))
    return min(ageing, key=lambda i: abs(stops[i].strength - 1))
