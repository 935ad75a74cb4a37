"""The stops of the slider, from the youngest to the oldest: a direction and a strength."""

from typing import NamedTuple

from ageing.faces import STRONGEST
from ageing.faces.direction import Direction

PER_STRENGTH = 20   # stops for a strength of 1


class Stop(NamedTuple):
    """direction: None leaves the photo. title: for the visitor."""

    direction: Direction | None
    strength: float
    title: str


STRENGTHS = [i / PER_STRENGTH for i in range(1, round(STRONGEST * PER_STRENGTH) + 1)]   # as of infer_faces.py
STOPS = [*(Stop(Direction.REJUVENATE, s, f"younger, strength {s:.2f}") for s in reversed(STRENGTHS)),
         Stop(None, 0.0, "as it is"),
         *(Stop(Direction.AGE, s, f"older, strength {s:.2f}") for s in STRENGTHS)]
START = STOPS.index(Stop(Direction.AGE, 1.0, "older, strength 1.00"))     # is shown first
