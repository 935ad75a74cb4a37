"""The validation crops of two domains, and what a pair of generators makes of them, each with what the judges say."""

import dataclasses
import time
from functools import cached_property
from pathlib import Path

import numpy as np

from ageing.errors import UserError
from ageing.evaluation import FEWEST, formulas
from ageing.evaluation.comparison import Comparison
from ageing.evaluation.judges import Readings
from ageing.face_folder import load_domain
from ageing.faces.direction import Direction
from ageing.utkface import GENDERS, labels_of

STRENGTHS = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5)
CURVE_FACES = 200       # in the strength curve; both judges read them at each strength


@dataclasses.dataclass(frozen=True)
class Crops:
    """n faces of one domain.

    pixels: uint8 (n, S, S, 3). cells: (n,) gender x race cells of utkface.py, -1 if unknown. readings: of the judges.
    mirrored_male, second_mirrored_male: booleans (n,), the gender that each of the two judges reads on mirrored faces.
    """

    pixels: np.ndarray
    cells: np.ndarray
    readings: Readings
    mirrored_male: np.ndarray
    second_mirrored_male: np.ndarray

    def __len__(self):
        return len(self.pixels)

    def take(self, rows):
        return Crops(self.pixels[rows], self.cells[rows], self.readings.take(rows), self.mirrored_male[rows],
                     self.second_mirrored_male[rows])

    @property
    def labelled(self):
        """(n,) booleans: the file name tells gender and race."""
        return self.cells >= 0

    @property
    def labelled_male(self):
        """(n,) booleans; False where not labelled."""
        return labels_of(self.cells)[:, GENDERS.index("male")] == 1


def load(folder, domains, size, limit, judges):
    """[Crops] of the subfolders `domains` of `folder`, at `size` pixels.

    limit: faces per domain, drawn at random but the same at every call; 0 takes all. Raises UserError if a domain is
    missing or has too few faces.
    """
    return [_load(Path(folder, domain), size, limit, judges) for domain in domains]


def _load(folder, size, limit, judges):
    decoded = load_domain(folder, size)
    if len(decoded) < FEWEST:
        raise UserError(f"{folder}: {len(decoded)} faces are too few to measure anything; at least {FEWEST} are "
                        "needed")
    chosen = np.arange(len(decoded))
    if limit:
        chosen = np.sort(np.random.default_rng(1).permutation(chosen)[:limit])
    pixels = decoded.images[chosen]
    mirrored, title = np.ascontiguousarray(pixels[:, :, ::-1]), f"judging {folder.name}"
    return Crops(pixels, decoded.cells[chosen], judges.read(pixels, title), judges.male(mirrored, f"{title}, mirrored"),
                 judges.second.read(mirrored, f"{title}, mirrored, second judge")[1])


@dataclasses.dataclass(frozen=True)
class Translation(Comparison):
    """The translated crops of one direction. With G, the generator, and F, the one of the other direction:

    inputs, targets: Crops of the domain that G translates, and of the one that it makes. change: float32 (n, S, S, 3),
    G(inputs) - inputs in grey levels. outputs: G(inputs), cycled: F(G(inputs)), mapped: G(targets); all uint8.
    curve: {strength: (m,) mean age gains of the first m faces in `order`}. seconds: for all of G(inputs).
    """

    inputs: Crops
    targets: Crops
    change: np.ndarray
    outputs: np.ndarray
    cycled: np.ndarray
    mapped: np.ndarray
    curve: dict
    seconds: float

    def take(self, rows):
        """Some of the inputs; targets, mapped, curve and seconds stay."""
        return dataclasses.replace(super().take(rows), inputs=self.inputs.take(rows), change=self.change[rows],
                                   outputs=self.outputs[rows], cycled=self.cycled[rows])

    @property
    def real(self):
        """Readings of the real faces of the target domain."""
        return self.targets.readings

    # Numbers of each face, shape (n,) unless said otherwise.

    @cached_property
    def cycle_error(self):
        """In grey levels."""
        return formulas.mean_absolute(self.cycled, self.inputs.pixels)

    @cached_property
    def input_skin(self):
        """(n, 3) CIELAB."""
        return formulas.skin_colour(self.inputs.pixels)

    @cached_property
    def skin_change(self):
        """(n, 3) CIELAB, outputs - inputs."""
        return formulas.skin_colour(self.outputs) - self.input_skin

    @cached_property
    def checkerboard(self):
        """(power ratio, amplitude), two estimates."""
        return formulas.checkerboard(self.change)


def order(n):
    """A fixed random order of n faces."""
    return np.random.default_rng(1).permutation(n)


def translate_both(pair, A, B, judges, title):
    """{direction: Translation} by `pair`, the generators (G_AB, G_BA). A, B: Crops at the generators' size."""
    return {direction: translate(direction, generator, other, inputs, targets, judges, title)
            for direction, generator, other, inputs, targets in zip(
                Direction, pair, pair[::-1], (A, B), (B, A), strict=True)}


def translate(direction, generator, other, inputs, targets, judges, title):
    """The Translation by `generator`. other: the generator of the opposite direction. title: of the progress bars."""
    begin = time.perf_counter()
    change = generator.change(inputs.pixels)
    seconds = time.perf_counter() - begin
    outputs = with_change(inputs.pixels, change)
    after = judges.read(outputs, f"judging {title}, {direction}")
    few = order(len(inputs))[:CURVE_FACES]
    ages = {0: inputs.readings.mean_ages[few], 1: after.mean_ages[few]}
    curve = {}
    for strength in STRENGTHS:
        if strength not in ages:
            edited = with_change(inputs.pixels[few], change[few], strength)
            ages[strength] = judges.mean_ages(edited, f"strength {strength}")
        curve[strength] = direction.sign * (ages[strength] - ages[0])
    return Translation(direction, inputs.readings, after, inputs, targets, change, outputs, other(outputs),
                       generator(targets.pixels), curve, seconds)


def with_change(pixels, change, strength=1.0):
    """uint8 `pixels` + strength * change, rounded and clipped."""
    return np.clip(np.rint(pixels + strength * change), 0, 255).astype(np.uint8)
