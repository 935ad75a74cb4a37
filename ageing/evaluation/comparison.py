"""What is compared: pairs of generators, and faces before and after an edit as the judges read them."""

import dataclasses
from functools import cached_property
from pathlib import Path

import numpy as np

from ageing.errors import UserError
from ageing.evaluation.judges import Readings
from ageing.faces.direction import Direction
from ageing.faces.translator import Translator


class Unchanged:
    """The baseline in place of a generator: returns every face as it is."""

    size = 128

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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """n faces before and after an edit in one direction. Its numbers are (n,)."""

    direction: Direction
    before: Readings
    after: Readings

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
