"""The validation faces as a pair of generators translates them, with what the judges say of the outputs."""

import dataclasses
import time
from functools import cached_property

import numpy as np

from ageing.evaluation import metrics
from ageing.evaluation.judges import Readings
from ageing.evaluation.validation_set import ValidationFaces
from ageing.forehead import has_spot
from ageing.photos.translator import GENERATORS


@dataclasses.dataclass(frozen=True)
class Direction:
    """The task of one generator. sign: of the wanted change in age."""

    name: str
    file: str
    sign: int


DIRECTIONS = tuple(Direction(name, GENERATORS[name], sign) for name, sign in (("age", 1), ("rejuvenate", -1)))


class Unchanged:
    """The baseline in place of a generator: returns every face as it is."""

    size = 128

    def __call__(self, faces):
        return faces

    def change(self, faces):
        return np.zeros(faces.shape, np.float32)


@dataclasses.dataclass(frozen=True)
class Translation:
    """The translated validation faces of one direction. With G, the generator, and F, the one of the other direction:

    inputs, targets: ValidationFaces of the domain that G translates, and of the one that it makes. change: float32
    (n, S, S, 3), G(inputs) - inputs in grey levels. outputs: G(inputs), cycled: F(G(inputs)), mapped: G(targets); all
    uint8. readings: what the judges say of the outputs. seconds: for all of G(inputs).
    """

    direction: Direction
    inputs: ValidationFaces
    targets: ValidationFaces
    change: np.ndarray
    outputs: np.ndarray
    cycled: np.ndarray
    mapped: np.ndarray
    readings: Readings
    seconds: float

    def __len__(self):
        return len(self.outputs)

    # Numbers of each face, shape (n,) unless said otherwise.

    @cached_property
    def age_gain(self):
        """In years, positive in the wanted direction."""
        return self.direction.sign * (self.readings.ages - self.inputs.readings.ages)

    @cached_property
    def gender_kept(self):
        return self.readings.male == self.inputs.readings.male

    @cached_property
    def identity_distance(self):
        return self.inputs.readings.distances(self.readings)

    @cached_property
    def cycle_error(self):
        """In grey levels."""
        return metrics.mean_absolute(self.cycled, self.inputs.pixels)

    @cached_property
    def input_skin(self):
        """(n, 3) CIELAB."""
        return metrics.skin_colour(self.inputs.pixels)

    @cached_property
    def skin_change(self):
        """(n, 3) CIELAB, outputs - inputs."""
        return metrics.skin_colour(self.outputs) - self.input_skin

    @cached_property
    def spot_added(self):
        """A spot on the forehead that the input does not have."""
        return has_spot(self.outputs) & ~has_spot(self.inputs.pixels)

    @cached_property
    def order(self):
        """A fixed random order of the faces."""
        return np.random.default_rng(1).permutation(len(self))


def translate(direction, generator, other, inputs, targets, judges, title):
    """The Translation by `generator`. other: the generator of the opposite direction."""
    begin = time.perf_counter()
    change = generator.change(inputs.pixels)
    seconds = time.perf_counter() - begin
    outputs = with_change(inputs.pixels, change)
    readings = judges.read(outputs, f"judging {title}, {direction.name}")
    return Translation(direction, inputs, targets, change, outputs, other(outputs), generator(targets.pixels), readings,
                       seconds)


def with_change(pixels, change, strength=1.0):
    """uint8 `pixels` + strength * change, rounded and clipped."""
    return np.clip(np.rint(pixels + strength * change), 0, 255).astype(np.uint8)
