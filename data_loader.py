"""Unpaired batches of two folders of faces, resumable at any step.

Every random choice is a function of (seed, stream, step). So a run that starts at step k sees the images that an
uninterrupted run sees from step k on, on every backend and any number of devices.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ageing.face_folder import Domain, load_domain
from ageing.utkface import CELL_CAP, cell_name, labels_of, matched_distribution

RARE = 0.6   # see _weights: at 0 old people would hardly be seen, at 1 the few of them would be learned by heart


class LabelledFaces(NamedTuple):
    """Faces in a training step: images float32 (N, H, W, 3) in [-1, 1], labels float32 (N, LABELS) as labels_of.

    ages: float32 (N, 1) in years, that a network which is told an age is told. None where it is told none.
    """

    images: Any
    labels: Any
    ages: Any = None

    def told(self, ages):
        return self._replace(ages=ages)


class LoadedFaces(NamedTuple):
    """Faces on their way to the device, which flips and moves them and makes LabelledFaces of them.

    images: uint8 (N, H, W, 3). labels, ages: as of LabelledFaces. transforms: float32 (N, 6), how each face is moved,
    as engine.warp takes it. None: they stay.
    """

    images: Any
    labels: Any
    ages: Any
    transforms: Any

    def rows(self, which):
        """The faces in the slice `which`."""
        return LoadedFaces(*(part if part is None else part[which] for part in self))


class UnpairedFaces:
    """The two domains at one image size, and the batches drawn from them.

    folder: holds settings.domains. size: in pixels. settings: recipe.Data. Several old domains are one, whose faces
    have ages. Raises UserError as `load_domain` and `matched_distribution` do.
    """

    def __init__(self, folder, size, settings, seed, progress=True):
        folder = Path(folder)
        self.settings, self.seed, self.size = settings, seed, size
        self.domains = {name: load_domain(folder / name, size, progress, settings.forehead_marks == "skip")
                        for name in settings.domains}
        self.A, *old = self.domains.values()
        self.B, self.ages = (old[0], None) if not settings.ages else _joined(old, settings.ages)
        if settings.sampling == "matched":
            self.p, self.capped, self.dropped = matched_distribution(self.A.cells, self.B.cells)
            weights = np.ones(len(self.A)), _weights(self.B.cells, self.ages)
            self.cells = [_by_cell(domain.cells, one, len(self.p))
                          for domain, one in zip((self.A, self.B), weights, strict=True)]

    def report(self):
        """Lines of text: how many faces were read, skipped, capped and left out."""
        lines = []
        for name, domain in self.domains.items():
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
                             f"{unknown[0]} of {self.settings.domain_A}, "
                             f"{unknown[1]} of {', '.join(self.settings.domains_B)}")
        return lines

    def batch(self, n, stream, step):
        """(A, B), n LoadedFaces of each: what `step` sees. stream: a number; each makes its own random choices."""
        rng = np.random.default_rng([self.seed, stream, step])
        chosen = self._matched(rng, n) if self.settings.sampling == "matched" else self._permuted(stream, step, n)
        return tuple(LoadedFaces(domain.images[members], labels_of(domain.cells[members]),
                                 None if ages is None else ages[members, None], self._transforms(rng, n))
                     for domain, ages, members in zip((self.A, self.B), (None, self.ages), chosen, strict=True))

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
        for order, mass, starts, counts in self.cells:
            low, high = mass[starts[cells]], mass[starts[cells] + counts[cells]]
            places = np.searchsorted(mass, low + rng.random(n) * (high - low), side="right") - 1
            found.append(order[np.minimum(places, starts[cells] + counts[cells] - 1)])  # where rounding reached `high`
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


def _joined(domains, middles):
    """(one Domain of all faces in `domains`, their ages float32 (N,) in years).

    middles: of the domains, in years: the age of faces whose name tells none.
    """
    ages = [np.where(domain.ages < 0, middle, domain.ages) for domain, middle in zip(domains, middles, strict=True)]
    images, cells, known = (np.concatenate([getattr(domain, part) for domain in domains])
                            for part in ("images", "cells", "ages"))
    return Domain(images, cells, known, {}, 0), np.concatenate(ages).astype(np.float32)


def _weights(cells, ages):
    """(N,): how often a face is drawn beside the others of its cell, 1 / n^RARE if n of the cell have its decade.

    Without ages all are drawn alike.
    """
    if ages is None:
        return np.ones(len(cells))
    _, group, counts = np.unique(np.stack([cells, ages // 10]), axis=1, return_inverse=True, return_counts=True)
    return counts[group.ravel()] ** -RARE


def _by_cell(cells, weights, n):
    """(order, mass, starts, counts): image indices in the order of their cells; the sum of the weights before each of
    them, and of all; where each of n cells starts; its length."""
    order = np.argsort(cells, kind="stable")
    counts = np.bincount(cells[cells >= 0], minlength=n)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) + (cells < 0).sum()
    return order, np.concatenate([[0], np.cumsum(weights[order])]), starts, counts


@functools.lru_cache(maxsize=16)
def _permutation(seed, stream, domain, epoch, n):
    return np.random.default_rng([seed, stream, domain, int(epoch)]).permutation(n)
