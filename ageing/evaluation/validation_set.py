"""The validation set at one size, with what the judges say of it."""

import dataclasses
from pathlib import Path

import numpy as np

from ageing.errors import UserError
from ageing.evaluation.judges import Readings
from ageing.face_folder import load_domain
from ageing.utkface import GENDERS, labels_of

MIN_FACES = 8  # of a domain; with fewer the intervals say nothing


@dataclasses.dataclass(frozen=True)
class ValidationFaces:
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

    @property
    def labelled(self):
        """(n,) booleans: the file name tells gender and race."""
        return self.cells >= 0

    @property
    def labelled_male(self):
        """(n,) booleans; False where not labelled."""
        return labels_of(self.cells)[:, GENDERS.index("male")] == 1


def load(folder, domains, size, limit, judges):
    """[ValidationFaces] of the subfolders `domains` of `folder`, at `size` pixels.

    limit: faces per domain, drawn at random but the same at every call; 0 takes all. Raises UserError if a domain is
    missing or has too few faces.
    """
    return [_load_domain(Path(folder, domain), size, limit, judges) for domain in domains]


def _load_domain(folder, size, limit, judges):
    decoded = load_domain(folder, size)
    if len(decoded) < MIN_FACES:
        raise UserError(f"{folder}: {len(decoded)} faces are too few to measure anything; at least {MIN_FACES} are "
                        "needed")
    chosen = np.arange(len(decoded))
    if limit:
        chosen = np.sort(np.random.default_rng(1).permutation(chosen)[:limit])
    pixels = decoded.images[chosen]
    mirrored, title = np.ascontiguousarray(pixels[:, :, ::-1]), f"judging {folder.name}"
    return ValidationFaces(pixels, decoded.cells[chosen], judges.read(pixels, title),
                           judges.male(mirrored, f"{title}, mirrored"),
                           judges.second.read(mirrored, f"{title}, mirrored, second judge").male)
