"""Unpaired batches of two folders of faces, resumable at any step.

Every random choice is a function of (seed, stream, step). So a run that starts at step k sees the images that an
uninterrupted run sees from step k on, on every backend and any number of devices.
"""

import functools
from collections import namedtuple
from pathlib import Path

import numpy as np

from ageing.errors import UserError
from ageing.face_folder import load_domain
from ageing.sharpness import matched_sharpest, sharpness
from ageing.utkface import CELL_CAP, cell_name, labels_of, matched_distribution

# Faces in a training step: images float32 (N, H, W, 3) in [-1, 1], labels float32 (N, LABELS) as labels_of.
LabelledFaces = namedtuple("LabelledFaces", "images labels")

# The same as they are loaded, for several rounds: images uint8 (rounds, N, H, W, 3), labels (rounds, N, LABELS),
# transforms float32 (rounds, N, 6), the flip and affine jitter that engine.warp applies, or None without any.
LoadedFaces = namedtuple("LoadedFaces", "images labels transforms")


class UnpairedFaces:
    """The two domains at one image size, and the batches drawn from them.

    folder: holds settings.domain_A and settings.domain_B. size: in pixels. settings: recipe.Data. sharpest: share of
    the faces that stay, see `matched_sharpest`. Raises UserError as `load_domain` and `matched_distribution` do, and
    if no face stays.
    """

    def __init__(self, folder, size, settings, seed, progress=True, sharpest=1.0):
        folder = Path(folder)
        self.settings, self.seed, self.size, self.sharpest = settings, seed, size, sharpest
        skip_marked = settings.forehead_marks == "skip"
        self.A = load_domain(folder / settings.domain_A, size, progress, skip_marked)
        self.B = load_domain(folder / settings.domain_B, size, progress, skip_marked)
        self.read = [self.A.summary, self.B.summary]
        if sharpest < 1:
            self._keep_sharpest()
        if settings.sampling == "matched":
            self.p, self.capped, self.dropped = matched_distribution(self.A.cells, self.B.cells)
            self.cells = [_by_cell(domain.cells, len(self.p)) for domain in (self.A, self.B)]

    def _keep_sharpest(self):
        """A fine band learns nothing from a blurred face, and a blurred old face teaches it that blur is age."""
        measured = [np.array([sharpness(face) for face in domain.images]) for domain in (self.A, self.B)]
        kept = matched_sharpest(measured, self.sharpest)
        if not all(map(len, kept)):
            raise UserError(f"sharpest={self.sharpest:g} at {self.size} px: no face of one domain is as sharp as those "
                            "of the other; use 1.0, all faces")
        self.A, self.B = self.A.only(kept[0]), self.B.only(kept[1])

    def report(self):
        """Lines of text: how many faces were read, skipped, capped and left out."""
        names = (self.settings.domain_A, self.settings.domain_B)
        lines = [f"{name}: {summary}" for name, summary in zip(names, self.read, strict=True)]
        if self.sharpest < 1:
            lines.append(f"of these the sharpest {self.sharpest:.0%}, thinned to one distribution of sharpness: "
                         f"{len(self.A)} + {len(self.B)} faces")
        if self.settings.sampling == "matched":
            if self.capped:
                lines.append(f"matched sampling, nearly empty on one side, capped at {CELL_CAP:g}x: "
                             + ", ".join(f"{cell_name(c)} {self.p[c]:.1%}" for c in self.capped))
            if self.dropped:
                lines.append("matched sampling, present in one domain only, never drawn: "
                             + ", ".join(map(cell_name, self.dropped)))
        return lines

    def batch(self, shape, stream, step):
        """(A, B), both LoadedFaces: what `step` sees.

        shape: (rounds, batch). stream: a number; each stream makes its own random choices.
        """
        rng = np.random.default_rng([self.seed, stream, step])
        n = shape[0] * shape[1]
        chosen = self._matched(rng, n) if self.settings.sampling == "matched" else self._permuted(stream, step, n)
        found = []
        for domain, members in zip((self.A, self.B), chosen, strict=True):
            transforms = self._transforms(rng, n)
            found.append(LoadedFaces(domain.images[members].reshape(*shape, self.size, self.size, 3),
                                     labels_of(domain.cells[members]).reshape(*shape, -1),
                                     None if transforms is None else transforms.reshape(*shape, 6)))
        return tuple(found)

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
