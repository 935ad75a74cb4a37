"""Unpaired batches of two folders of faces, resumable at any step.

Every random choice is a function of (seed, stream, step). So a run that starts at step k sees the images that an
uninterrupted run sees from step k on, on every backend and any number of devices.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ageing.face_folder import load_domain
from ageing.utkface import CELL_CAP, cell_name, labels_of, matched_distribution


class LabelledFaces(NamedTuple):
    """Faces in a training step: images float32 (N, H, W, 3) in [-1, 1], labels float32 (N, LABELS) as labels_of."""

    images: Any
    labels: Any


class LoadedFaces(NamedTuple):
    """Faces on their way to the device, which flips and moves them and makes LabelledFaces of them.

    images: uint8 (N, H, W, 3). labels: float32 (N, LABELS). transforms: float32 (N, 6), how each face is moved, as
    engine.warp takes it. None: they stay.
    """

    images: Any
    labels: Any
    transforms: Any

    def rows(self, which):
        """The faces in the slice `which`."""
        return LoadedFaces(*(part if part is None else part[which] for part in self))


class UnpairedFaces:
    """The two domains at one image size, and the batches drawn from them.

    folder: holds settings.domain_A and settings.domain_B. size: in pixels. settings: recipe.Data. Raises UserError
    as `load_domain` and `matched_distribution` do.
    """

    def __init__(self, folder, size, settings, seed, progress=True):
        folder = Path(folder)
        self.settings, self.seed, self.size = settings, seed, size
        skip_marked = settings.forehead_marks == "skip"
        self.A = load_domain(folder / settings.domain_A, size, progress, skip_marked)
        self.B = load_domain(folder / settings.domain_B, size, progress, skip_marked)
        if settings.sampling == "matched":
            self.p, self.capped, self.dropped = matched_distribution(self.A.cells, self.B.cells)
            self.cells = [_by_cell(domain.cells, len(self.p)) for domain in (self.A, self.B)]

    def report(self):
        """Lines of text: how many faces were read, skipped, capped and left out."""
        lines = []
        for name, domain in ((self.settings.domain_A, self.A), (self.settings.domain_B, self.B)):
            lines.append(f"{name}: {domain.summary}")
        if self.settings.sampling == "matched":
            if self.capped:
                lines.append(f"matched sampling, nearly empty on one side, capped at {CELL_CAP:g}x: "
                             + ", ".join(f"{cell_name(c)} {self.p[c]:.1%}" for c in self.capped))
            if self.dropped:
                lines.append("matched sampling, present in one domain only, never drawn: "
                             + ", ".join(map(cell_name, self.dropped)))
            unknown = [int((domain.cells < 0).sum()) for domain in (self.A, self.B)]
            if any(unknown):
                lines.append("matched sampling, no gender and race in the file name, never drawn: "
                             f"{unknown[0]} of {self.settings.domain_A}, {unknown[1]} of {self.settings.domain_B}")
        return lines

    def batch(self, n, stream, step):
        """(A, B), n LoadedFaces of each: what `step` sees. stream: a number; each makes its own random choices."""
        rng = np.random.default_rng([self.seed, stream, step])
        chosen = self._matched(rng, n) if self.settings.sampling == "matched" else self._permuted(stream, step, n)
        return tuple(LoadedFaces(domain.images[members], labels_of(domain.cells[members]), self._transforms(rng, n))
                     for domain, members in zip((self.A, self.B), chosen, strict=True))

    def _permuted(self, stream, step, n):
        """Indices (n,) of A and of B. Each epoch shows every image once."""
        found = []
        for d, total in enumerate((len(self.A), len(self.B))):
            place = step * n + np.arange(n)
            epochs = {epoch: _permutation(self.seed, stream, d, epoch, total) for epoch in np.unique(place // total)}
            found.append(np.array([epochs[i // total][i % total] for i in place]))
        return found

    def _matched(self, rng, n):
        """Indices (n,) of A and of B, of the same cells in the same places: every single batch is balanced."""
        cells = rng.choice(len(self.p), n, p=self.p)
        found = []
        for order, starts, counts in self.cells:
            found.append(order[starts[cells] + (rng.random(n) * counts[cells]).astype(int)])
        return found

    def _transforms(self, rng, n):
        """Affine transforms (n, 6) of the augmentation, rows (a, b, x, d, e, y): output pixel (column, row) is the
        input's (a * column + b * row + x, d * column + e * row + y). None if it is off."""
        s = self.settings
        if not (s.flip or s.shift or s.scale or s.rotation):
            return None
        u = rng.uniform(-1, 1, (5, n))
        angle, zoom = np.radians(u[0] * s.rotation), 1 + u[1] * s.scale
        cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
        mirror = np.where(u[2] < 0, -1.0, 1.0) if s.flip else np.ones(n)
        c = (self.size - 1) / 2  # about the centre
        a, b, d, e = cos * mirror, -sin, sin * mirror, cos
        x = c - a * c - b * c + u[3] * s.shift * self.size
        y = c - d * c - e * c + u[4] * s.shift * self.size
        return np.stack([a, b, x, d, e, y], axis=1).astype(np.float32)


def _by_cell(cells, n):
    """(order, starts, counts): image indices in the order of their cells; where each of n cells starts; its length."""
    counts = np.bincount(cells[cells >= 0], minlength=n)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) + (cells < 0).sum()
    return np.argsort(cells, kind="stable"), starts, counts


@functools.lru_cache(maxsize=16)
def _permutation(seed, stream, domain, epoch, n):
    return np.random.default_rng([seed, stream, domain, int(epoch)]).permutation(n)
