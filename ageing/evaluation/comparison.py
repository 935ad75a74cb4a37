"""What is compared: what pairs of generators make, and faces before and after an edit as the judges read them."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ageing.errors import UserError
from ageing.evaluation.judges import Readings
from ageing.faces.direction import Direction
from ageing.faces.translator import Translator

TARGETS = 45, 55, 65, 75, 85  # ages in years that a generator is told


class Unchanged:
    """The baseline in place of a generator: returns every face as it is."""

    size, ages = 128, None

    def __call__(self, faces):
        return faces

    def change(self, faces):
        return np.zeros(faces.shape, np.float32)


def load_pairs(folders, baseline, self_ensemble):
    """{row: (G_AB, G_BA)}. folders: {row: folder with g_AB.onnx and g_BA.onnx}. baseline: add a row of unchanged faces.

    Raises UserError if there is no row or a file is missing.
    """
    pairs = {name: tuple(Translator(Path(folder, direction.generator), mirror=self_ensemble) for direction in Direction)
             for name, folder in folders.items()}
    if baseline:
        pairs["unchanged"] = (Unchanged(), Unchanged())
    if not pairs:
        raise UserError("command line: nothing to evaluate; name --weights or --baseline")
    return pairs


class Way(NamedTuple):
    """What `generator` makes: faces like those of the folder `target` of those of `source`. other: the generator that
    leads back. age: in years, what the generator is told; None if it makes one domain."""

    direction: Direction
    generator: object
    other: object
    source: str
    target: str
    age: float | None = None


def ways(pair, A, B):
    """{title: Way} of a pair of generators. A generator that is told an age has a Way to each of TARGETS."""
    old, young = pair
    ages = [age for age in TARGETS if old.ages[0] <= age <= old.ages[1]] if old.ages else []
    aged = {f"told {age}": Way(Direction.AGE, old.told(age), young, A, f"{age // 10}0s", age) for age in ages}
    return (aged or {"age": Way(Direction.AGE, old, young, A, B)}) | {
        "rejuvenate": Way(Direction.REJUVENATE, young, old, B, A)}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """n faces before and after an edit in one direction. age: what was told, in years, or None. Numbers are (n,)."""

    direction: Direction
    before: Readings
    after: Readings
    age: float | None = dataclasses.field(default=None, kw_only=True)

    def __len__(self):
        return len(self.before.ages)

    def take(self, rows):
        return dataclasses.replace(self, before=self.before.take(rows), after=self.after.take(rows))

    @cached_property
    def age_gain(self):
        """In years, positive in the wanted direction."""
        return self.direction.sign * (self.after.ages - self.before.ages)

    @cached_property
    def second_age_gain(self):
        return self.direction.sign * (self.after.second_ages - self.before.second_ages)

    @cached_property
    def gender_kept(self):
        return self.before.male == self.after.male

    @cached_property
    def identity_distance(self):
        return self.before.distances(self.after)
