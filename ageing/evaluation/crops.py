"""The validation crops of a domain, and what a generator makes of them, each with what the judges say."""

import dataclasses
import time
from functools import cached_property

import numpy as np

from ageing.errors import UserError
from ageing.evaluation import FEWEST, formulas, natural
from ageing.evaluation.comparison import Comparison
from ageing.evaluation.judges import Readings
from ageing.face_folder import load_domain
from ageing.faces.landmarks import Landmarks
from ageing.utkface import GENDERS, labels_of


@dataclasses.dataclass(frozen=True)
class Crops:
    """n faces of one domain.

    pixels: uint8 (n, S, S, 3). cells: (n,) gender x race cells of utkface.py, -1 if unknown. readings: of the judges.
    mirrored_male, second_mirrored_male: booleans (n,), the gender that each of the two judges reads on mirrored faces.
    points, mirrored_points: (n, 68, 2), landmarks of the faces and of the mirrored faces.
    """

    pixels: np.ndarray
    cells: np.ndarray
    readings: Readings
    mirrored_male: np.ndarray
    second_mirrored_male: np.ndarray
    points: np.ndarray
    mirrored_points: np.ndarray

    def __len__(self):
        return len(self.pixels)

    def take(self, rows):
        return Crops(self.pixels[rows], self.cells[rows], self.readings.take(rows), self.mirrored_male[rows],
                     self.second_mirrored_male[rows], self.points[rows], self.mirrored_points[rows])

    @property
    def labelled(self):
        """(n,) booleans: the file name tells gender and race."""
        return self.cells >= 0

    @property
    def labelled_male(self):
        """(n,) booleans; False where not labelled."""
        return labels_of(self.cells)[:, GENDERS.index("male")] == 1

    @cached_property
    def natural(self):
        return natural.of_faces(self.pixels, self.points)


def load(folder, size, limit, judges):
    """Crops of the faces in `folder`, a Path, at `size` pixels.

    limit: at most so many faces, drawn at random but the same at every call; 0 takes all. Raises UserError if the
    folder is missing or has too few faces.
    """
    decoded = load_domain(folder, size)
    if len(decoded) < FEWEST:
        raise UserError(f"{folder}: {len(decoded)} faces are too few to measure anything; at least {FEWEST} are "
                        "needed")
    chosen = np.arange(len(decoded))
    if limit:
        chosen = np.sort(np.random.default_rng(1).permutation(chosen)[:limit])
    pixels = decoded.images[chosen]
    mirrored, title, network = np.ascontiguousarray(pixels[:, :, ::-1]), f"judging {folder.name}", Landmarks()
    return Crops(pixels, decoded.cells[chosen], judges.read(pixels, title), judges.male(mirrored, f"{title}, mirrored"),
                 judges.second.read(mirrored, f"{title}, mirrored, second judge")[1],
                 natural.find_points(pixels, network), natural.find_points(mirrored, network))


@dataclasses.dataclass(frozen=True)
class Translation(Comparison):
    """The translated crops of one direction. With G, the generator, and F, the one of the other direction:

    inputs, targets: Crops of the domain that G translates, and of the one that it makes. outputs: G(inputs), cycled:
    F(G(inputs)), mapped: G(targets); all uint8. targets and mapped are None if the data lack such faces. seconds: for
    all of G(inputs).
    """

    inputs: Crops
    targets: Crops | None
    outputs: np.ndarray
    cycled: np.ndarray
    mapped: np.ndarray | None
    seconds: float

    def take(self, rows):
        """Some of the inputs; targets, mapped and seconds stay."""
        return dataclasses.replace(super().take(rows), inputs=self.inputs.take(rows), outputs=self.outputs[rows],
                                   cycled=self.cycled[rows])

    @property
    def real(self):
        """Readings of the real faces of the target domain, or None."""
        return self.targets and self.targets.readings

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
    def natural(self):
        """{title: (n,)}, see natural.of_edits."""
        return natural.of_edits(self.inputs.pixels, self.outputs, self.inputs.points)

    @cached_property
    def natural_noise(self):
        return natural.noise(self.natural, self.inputs.pixels, self.outputs, self.inputs.mirrored_points)


def translate(way, inputs, targets, judges, title):
    """The Translation of Crops on a comparison.Way. targets: None if the data lack them. title: of the progress bar."""
    begin = time.perf_counter()
    outputs = way.generator(inputs.pixels)
    seconds = time.perf_counter() - begin
    return Translation(way.direction, inputs.readings, judges.read(outputs, f"judging {title}"), inputs, targets,
                       outputs, way.other(outputs), targets and way.generator(targets.pixels), seconds, age=way.age)
