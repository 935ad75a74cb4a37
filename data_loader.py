"""Unpaired batches of two folders of faces, resumable at any step.

Every random choice is a function of (seed, step). So a run that starts at step k sees the images that an uninterrupted
run sees from step k on, on any number of replicas.
"""

from collections import namedtuple
from pathlib import Path

import numpy as np

from ageing.face_folder import load_domain
from ageing.utkface import CELL_CAP, LABELS, cell_name, labels_of, matched_distribution

# What a batch holds of one domain: images float32 (..., H, W, 3) in [-1, 1], labels float32 (..., LABELS) as labels_of.
LabelledFaces = namedtuple("LabelledFaces", "images labels")


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
        return lines

    def dataset(self, shape, stream, start, stop=None, context=None):
        """tf.data.Dataset of (A, B), both LabelledFaces: images (*shape, size, size, 3), labels (*shape, LABELS).

        shape: (rounds, batch), the images of one step over all replicas. stream: an integer; each stream makes its own
        random choices. start, stop: steps. context: tf.distribute.InputContext. With it each element is one replica's
        part of `batch`, in replica order. The parts of a step form the same global batch whatever their number.
        """
        import tensorflow as tf

        rounds, batch = shape
        replicas = context.num_replicas_in_sync if context else 1
        here = replicas // context.num_input_pipelines if context else 1
        first = context.input_pipeline_id * here if context else 0
        part = batch // replicas
        with tf.device("CPU"):
            images = [tf.constant(self.A.images), tf.constant(self.B.images)]
            labels = [tf.constant(labels_of(self.A.cells)), tf.constant(labels_of(self.B.cells))]
        draws = [self._draw(domain) for domain in (self.A, self.B)]

        def one_replica(index):
            step, replica = start + index // here, first + index % here
            # Eight keys a stream: + 0 cells, + 1, 2 members, + 3, 4 transforms
            seed = tf.stack([tf.constant((self.seed * 8 + stream) * 8, tf.int64), step])
            out = []
            for d in (0, 1):
                chosen = draws[d](step, seed, rounds * batch, d)
                warp = self._transforms(rounds * batch, seed + [3 + d, 0])
                mine = tf.reshape(tf.range(rounds * batch), shape)[:, replica * part:(replica + 1) * part]
                mine = tf.reshape(mine, [-1])
                chosen = tf.gather(chosen, mine)
                faces = tf.gather(images[d], chosen)
                faces = tf.cast(faces, tf.float32)  # before the warp: on uint8 it truncates, which darkens every face
                if warp is not None:
                    faces = _warp(faces, tf.gather(warp, mine))
                faces = faces / 127.5 - 1
                out.append(LabelledFaces(tf.reshape(faces, (rounds, part, self.size, self.size, 3)),
                                         tf.reshape(tf.gather(labels[d], chosen), (rounds, part, LABELS))))
            return tuple(out)

        count = tf.data.Dataset.range((stop - start) * here) if stop is not None else tf.data.Dataset.counter()
        return count.map(one_replica, num_parallel_calls=tf.data.AUTOTUNE).prefetch(4)

    def _draw(self, domain):
        """A function (step, seed, n, d) -> indices in `domain` of the n images of a step. d: 0 for A, 1 for B."""
        import tensorflow as tf

        if self.settings.sampling == "independent":
            def permuted(step, seed, n, d):
                i = step * n + tf.range(n, dtype=tf.int64)
                total = len(domain)
                # Each epoch has its own permutation, because the seed holds the epoch.
                epoch = tf.stack([tf.fill([n], seed[0] + 1 + d), i // total, tf.zeros([n], tf.int64)], axis=1)
                # tf.random.experimental.index_shuffle takes one seed only.
                return tf.raw_ops.RandomIndexShuffle(index=i % total, seed=epoch, max_index=total - 1, rounds=4)
            return permuted

        # The images in the order of their cells: those of a cell are neighbours.
        order = tf.constant(np.argsort(domain.cells, kind="stable"), tf.int64)
        counts = np.bincount(domain.cells[domain.cells >= 0], minlength=len(self.p))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) + (domain.cells < 0).sum()
        counts, starts = tf.constant(counts, tf.float32), tf.constant(starts, tf.int64)
        edges = tf.constant(np.cumsum(self.p)[:-1], tf.float32)

        def matched(step, seed, n, d):
            # A and B get the same cells in the same places: every single batch is balanced.
            cell = tf.searchsorted(edges, tf.random.stateless_uniform([n], seed), side="right")
            within = tf.random.stateless_uniform([n], seed + [1 + d, 0])
            count = tf.gather(counts, cell)
            member = tf.cast(tf.minimum(tf.floor(within * count), count - 1), tf.int64)
            return tf.gather(order, tf.gather(starts, cell) + member)
        return matched

    def _transforms(self, n, seed):
        """Projective transforms (n, 8) of the augmentation, output pixel -> input pixel. None if it is off."""
        import tensorflow as tf

        s = self.settings
        if not (s.flip or s.shift or s.scale or s.rotation):
            return None
        u = tf.random.stateless_uniform([5, n], seed, -1, 1)
        angle, zoom = u[0] * s.rotation * np.pi / 180, 1 + u[1] * s.scale
        cos, sin = tf.cos(angle) * zoom, tf.sin(angle) * zoom
        mirror = tf.where(u[2] < 0, -1.0, 1.0) if s.flip else tf.ones(n)
        c = (self.size - 1) / 2  # about the centre
        a, b, d, e = cos * mirror, -sin, sin * mirror, cos
        x = c - a * c - b * c + u[3] * s.shift * self.size
        y = c - d * c - e * c + u[4] * s.shift * self.size
        zero = tf.zeros(n)
        return tf.stack([a, b, x, d, e, y, zero, zero], axis=1)


def _warp(faces, transforms):
    import tensorflow as tf

    return tf.raw_ops.ImageProjectiveTransformV3(
        images=faces, transforms=transforms, output_shape=tf.shape(faces)[1:3], interpolation="BILINEAR",
        fill_mode="REFLECT", fill_value=0.0)
