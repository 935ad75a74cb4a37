"""What is asked of a face, and its change at any age between those that were translated."""

import bisect
import dataclasses
from typing import NamedTuple

import numpy as np

from ageing.faces.direction import AS_IT_IS, MADE, USUAL, YOUNGEST, Direction, aim
from ageing.faces.translator import Translator

APART = 10  # years between two stops, see `in_between`
FRAME, HOLD = 90, 700   # milliseconds: of a picture in a Tour; of its ends and of the photo


@dataclasses.dataclass(frozen=True)
class Target:
    """What is asked of a face. name: in file names and above pictures. translator: told the age, if it takes one.

    strength: what the user asked for; share: the part of the change that leads to the age, see direction.aim. age: in
    years, None if a direction was asked for.
    """

    name: str
    direction: Direction
    translator: Translator
    strength: float = 1.0
    share: float = 1.0
    age: int | None = None

    @property
    def amount(self):
        """By this the translator's change is multiplied."""
        return self.strength * self.share


def of_directions(translators, strength=1.0):
    """[Target] of {direction: Translator}: what each makes without an age. Its name is the domain, as "50s"."""
    names = {direction: translator.title or direction for direction, translator in translators.items()}
    if len(set(names.values())) < len(names):
        names = {direction: direction for direction in translators}
    return [Target(names[direction], direction, translator, strength) for direction, translator in translators.items()]


def of_ages(ages, translators, strength=1.0):
    """[Target] of ages in years. translators: {direction: Translator} of the directions that lead to them."""
    targets = []
    for age in ages:
        direction, told, share = aim(age)
        translator = translators[direction]
        targets.append(Target(str(age), direction, translator if told is None else translator.told(told), strength,
                              share, age))
    return targets


class Tour(NamedTuple):
    """Through the ages, from the youngest over the photo to the oldest and back. stops: those of `stops`. suffix: of
    the file that shows it."""

    stops: dict
    strength: float = 1.0
    suffix: str = ".webp"

    @property
    def loop(self):
        """[(title, age, milliseconds)]. Two years a picture, but half a year where an older face begins to appear."""
        _, first, *more = self.stops
        last = more[-1] if more else first
        ages = [*range(YOUNGEST, AS_IT_IS, 2), *np.arange(AS_IT_IS, first, 0.5), *np.arange(first, last, 2), last]
        titles = {age: str(int(age)) for age in ages}
        if not more:    # each makes one domain: there are no years to tell
            ages = range(MADE, USUAL + 1)
            names = {AS_IT_IS: "photo"} | {age: translator.title for age, translator in self.stops.items()}
            titles = {age: names[min(names, key=lambda known: abs(known - age))] for age in ages}
        titles[AS_IT_IS] = "photo"
        there = [(titles[age], age, HOLD if age in (ages[0], AS_IT_IS, ages[-1]) else FRAME) for age in ages]
        return there + there[-2:0:-1]


def told_ages(youngest, oldest):
    """Ages in years, APART, that a generator is told for all between `youngest` and `oldest`."""
    return [*np.arange(youngest, oldest, APART).tolist(), oldest]


def neighbours(known, age):
    """{one of the ages `known`: its share} of the two beside `age`, the older one first. Beyond them, of the last."""
    known = sorted(known)
    after = bisect.bisect_left(known, age)
    young, old = (known[min(max(i, 0), len(known) - 1)] for i in (after - 1, after))
    share = (age - young) / (old - young) if young < old else 1.0
    return {old: share} | ({young: 1 - share} if share < 1 else {})


def stops(translators):
    """{age: Translator} of the ages to translate for all that lie between, from young to old; AS_IT_IS is the photo.

    translators: {direction: Translator}. One that makes a single domain is taken to make the 20s or USUAL years.
    """
    older, old = translators[Direction.AGE], [USUAL]
    if older.ages:
        old = [age for age in told_ages(*older.ages) if age > AS_IT_IS]
    return {MADE: translators[Direction.REJUVENATE], **{age: older.told(age) if older.ages else older for age in old}}


def in_between(known, age):
    """[Change] of the same faces at `age`, from {age: [Change]}: the two neighbours, blended. Beyond them, the last.

    At AS_IT_IS nothing changes. On 39 faces, blending ages ten years apart differs from the translation of the age
    between by 0.6 % (age 70) to 3.4 % (50) of the change (RMS; largest for one face 5.7 %), twenty years apart by 8 %.
    """
    faces = next(iter(known.values()))
    known = {AS_IT_IS: [dataclasses.replace(change, delta=np.zeros_like(change.delta)) for change in faces]} | known
    (old, share), *rest = neighbours(known, age).items()
    young = rest[0][0] if rest else old
    return [dataclasses.replace(change, delta=change.delta + np.float32(share) * (other.delta - change.delta))
            for change, other in zip(known[young], known[old], strict=True)]
