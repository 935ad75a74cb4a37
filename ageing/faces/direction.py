"""The two directions in which a face is changed, and which of them leads to an age."""

import enum
from typing import NamedTuple

YOUNGEST, OLDEST = 20, 85   # years that can be asked for
AS_IT_IS = 40               # the age below which a face is made younger
MADE = 25                   # the middle of the 20s, which g_BA makes
USUAL = 55                  # years: what a generator that is told an age is told if nothing else is asked


class Direction(enum.StrEnum):
    """From a source domain to a target domain: A is young, B is old.

    A direction is also its own name, as on the command line and in reports: Direction("age") == "age".
    """

    AGE = "age", "A", "B"
    REJUVENATE = "rejuvenate", "B", "A"

    def __new__(cls, text, source, target):
        direction = str.__new__(cls, text)
        direction._value_, direction.source, direction.target = text, source, target
        return direction

    @property
    def generator(self):
        """The name of its file in a folder of weights."""
        return f"g_{self.source}{self.target}.onnx"

    @property
    def sign(self):
        """Of the wanted change in age."""
        return 1 if self.source < self.target else -1


class Aim(NamedTuple):
    """How a face gets to an age: the direction, the age in years that its generator is told (None: it makes one domain
    only), and the share of its change that is taken."""

    direction: Direction
    told: float | None
    share: float


def aim(age):
    """The Aim of `age`, YOUNGEST to OLDEST years. From 40 on g_AB is told the age. Below 40 it is the share
    (40 - age) / 15, at most 1, of what g_BA changes: at 40 the face as it is, from 25 down its 20s."""
    if age >= AS_IT_IS:
        return Aim(Direction.AGE, age, 1.0)
    return Aim(Direction.REJUVENATE, None, min(1.0, (AS_IT_IS - age) / (AS_IT_IS - MADE)))
