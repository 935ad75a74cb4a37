"""The slider: its stops from the youngest to the oldest, and the layers of which the browser makes them.

A layer is what one generator, told one age, changes in the faces. A stop is shown as one layer or two, each times a
share. A generator that can be told an age is told a few; ages in between are shown as the mean of their neighbours,
weighted by the distance in years, and downloaded as the generator makes them itself. On 39 faces of ordinary photos the
mean differs from it by 0.2 grey levels (RMS) at 50 years, 3 % of the change, and by less than 0.1 from 60 on.
"""

from typing import NamedTuple

import numpy as np

from ageing.faces import STRONGEST
from ageing.faces.ages import neighbours, told_ages
from ageing.faces.direction import AS_IT_IS, USUAL, YOUNGEST, Direction, aim

PER_STRENGTH = 20   # stops for a strength of 1


class Layer(NamedTuple):
    """told: years, None if the generator makes one domain only."""

    direction: Direction
    told: float | None = None


class Stop(NamedTuple):
    """title: for the visitor. strength: of `made`, which is downloaded; None leaves the photo. shown: {number of a
    layer: its share}. name: of an age, in a download's name."""

    title: str
    made: Layer | None = None
    strength: float = 0.0
    shown: dict = {}    # noqa: RUF012 - never changed
    name: str = ""


class Slider:
    """ages: the (youngest, oldest) that g_AB can be told, None if it makes one domain only.

    stops: [Stop]. start: number of the stop that is shown first. layers: [Layer], what the start shows comes first.
    """

    def __init__(self, ages=None):
        self.layers = []
        if ages is None:
            strengths = [i / PER_STRENGTH for i in range(1, round(STRONGEST * PER_STRENGTH) + 1)]
            start = self._weaker("older", Layer(Direction.AGE), 1.0)
            older = [self._weaker("older", Layer(Direction.AGE), strength) for strength in strengths]
            younger = [self._weaker("younger", Layer(Direction.REJUVENATE), s) for s in reversed(strengths)]
        else:
            start = self._told(float(np.clip(USUAL, *ages)), ages)
            older = [self._told(float(age), ages) for age in range(round(ages[0]), round(ages[1]) + 1)
                     if aim(age).direction is Direction.AGE]    # below ages[0] it makes ages[0]
            aims = {aim(age): age for age in reversed(range(YOUNGEST, AS_IT_IS))}     # of equal ones the youngest
            younger = [self._share(f"age {age}", Layer(way.direction), way.share, str(age))
                       for way, age in reversed(aims.items())]
        self.stops = [*younger, Stop("as it is"), *older]
        self.start = self.stops.index(start)

    def _number(self, layer):
        if layer not in self.layers:
            self.layers.append(layer)
        return self.layers.index(layer)

    def _weaker(self, word, layer, strength):
        much = "a little " if strength <= 0.4 else "much " if strength > 1.2 else ""
        return self._share(much + word, layer, strength)

    def _share(self, title, layer, share, name=""):
        return Stop(title, layer, share, {self._number(layer): share}, name)

    def _told(self, age, ages):
        shown = neighbours(told_ages(*ages), age)
        return Stop(f"age {age:g}", Layer(Direction.AGE, age), 1.0,
                    {self._number(Layer(Direction.AGE, told)): share for told, share in shown.items()}, f"{age:g}")
