"""Unpaired batches of two folders of faces, resumable at any step.

    python data_loader.py data/utkface/train          a sheet of what a batch looks like: batch.png

Every random choice is a function of (seed, step), so a run that starts at step k sees the images that an
uninterrupted run sees from step k on, on any number of replicas.
"""

import concurrent.futures
import dataclasses
import hashlib
import re
from collections import Counter, namedtuple
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from files import UserError, reason, run_script

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}
LABELS = len(GENDERS) + len(RACES)  # values in a face's label
SMALLEST = 32  # pixels a side; below, a face is a smear
MARK = 8       # `forehead_spot` of a face that wears a mark, see README
FRAME = 64     # pixels a side at which spots on the forehead are looked for
FOREHEAD = (slice(6, 21), slice(26, 38))  # where between and above the brows, of a face framed as UTKFace

# What a batch holds of a domain. images: float32 (..., H, W, 3) in [-1, 1]; labels: float32 (..., LABELS), `labels_of`.
Faces = namedtuple("Faces", "images labels")


@dataclasses.dataclass(frozen=True)
class Domain:
    """Decoded faces: images uint8 (N, size, size, 3), cells (N,) gender x race or -1, skipped {reason: how many}."""

    images: np.ndarray
    cells: np.ndarray
    skipped: dict

    def __len__(self):
        return len(self.images)


def parse_name(name):
    """(age, gender, race) from "[age]_[gender]_[race]_[date&time]....jpg", or None if the name is malformed."""
    match = re.match(r"(\d{1,3})_([01])_([0-4])_[^_]+$", name)
    return tuple(map(int, match.groups())) if match else None


def cell_of(name):
    """Index of the gender x race cell of a UTKFace file name, -1 if the name does not tell."""
    parsed = parse_name(name)
    return -1 if parsed is None else parsed[1] * len(RACES) + parsed[2]


def cell_name(cell):
    return f"{RACES[cell % len(RACES)]} {GENDERS[cell // len(RACES)]}"


def labels_of(cells):
    """float32 (n, LABELS): a 1 for the gender and a 1 for the group of each of `cells`, zeros for -1.

    Gender and group apart, not one value a cell: a cell of 24 faces shares what is learned about its gender.
    """
    labels = np.zeros((len(cells), LABELS), np.float32)
    known = np.flatnonzero(cells >= 0)
    labels[known, cells[known] // len(RACES)] = 1
    labels[known, len(GENDERS) + cells[known] % len(RACES)] = 1
    return labels


def list_images(folder):
    """Image files in `folder`, by name. Raises UserError if it is missing or has none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; make it with `python prepare_utkface.py ARCHIVE`")
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {reason(error)}") from error
    if not paths:
        raise UserError(f"{folder}: no images in it; fill it with `python prepare_utkface.py ARCHIVE`")
    return paths


def decode(path, size):
    """The image at `path` as uint8 RGB (size, size, 3); raises ValueError or OSError if it is broken or tiny."""
    with Image.open(path) as image:
        if min(image.size) < SMALLEST:
            raise ValueError(f"smaller than {SMALLEST} pixels")
        image.draft("RGB", (size, size))  # JPEGs decode at the nearest power of two above
        image = image.convert("RGB")
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(image)


def forehead_spot(image):
    """How much a spot between or above the brows is redder and darker than the skin all around it: a bindi, a tilak.

    image: uint8 RGB, square, framed as UTKFace. Units of CIELAB's a* and half its L*, at 64 px; skin alone has about 2.
    A frown or a brow is no spot but a line: along it the skin is as dark. Black on dark skin does not stand out enough.
    """
    small = cv2.resize(image, (FRAME, FRAME), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    spot = cv2.GaussianBlur(lab[..., 1] - lab[..., 0] / 2, (0, 0), 0.8)
    stands_out = np.min([spot - np.roll(spot, by, (0, 1)) for by in around(3)], 0)
    return float(stands_out[FOREHEAD].max())


def around(radius):
    """(down, right) of eight places on all sides of one, about `radius` pixels away."""
    diagonal = int(0.7 * radius)
    return [(down, right) for far, near in ((radius, 0), (diagonal, diagonal), (0, radius), (-diagonal, diagonal))
            for down, right in ((far, near), (-far, -near))]


def load_domain(folder, size, progress=True, marks=True):
    """Decode every image in `folder` once, at `size`, into memory. Broken ones are skipped and counted.

    marks: False skips those with a mark on the forehead too.
    """
    paths = list_images(folder)
    images = np.empty((len(paths), size, size, 3), np.uint8)
    good, skipped = [], Counter()

    def read(path):
        try:
            image = decode(path, size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return "tiny" if isinstance(error, ValueError) and "smaller" in str(error) else "unreadable"
        return image if marks or forehead_spot(image) < MARK else "with a mark on the forehead"

    with concurrent.futures.ThreadPoolExecutor() as pool:
        bar = tqdm(pool.map(read, paths), total=len(paths), desc=f"decoding {folder} at {size}px", unit="img",
                   leave=False, disable=None if progress else True)
        for path, result in zip(paths, bar, strict=True):
            if isinstance(result, str):
                skipped[result] += 1
            else:
                images[len(good)] = result
                good.append(path)
    if not good:
        raise UserError(f"{folder}: none of its {len(paths)} images could be read; "
                        "fill it again with prepare_utkface.py")
    return Domain(images[:len(good)], np.array([cell_of(p.name) for p in good]), dict(skipped))


def matched_distribution(cells_A, cells_B, cap):
    """The gender x race distribution that both domains are drawn from.

    The mean of the two domains' shares, each cell limited so that in neither domain an image is shown more
    than `cap` times as often as if all were equally likely. Returns (p of shape (cells,), capped cells,
    cells left out because one domain has none). Raises UserError if the domains share no cell.
    """
    n = len(GENDERS) * len(RACES)
    shares = [np.bincount(c[c >= 0], minlength=n) / max(len(c), 1) for c in (cells_A, cells_B)]
    mean, low = (shares[0] + shares[1]) / 2, np.minimum(*shares)
    if not low.any():
        raise UserError("data.sampling=matched: the two domains share no gender x race cell in their file names "
                        "([age]_[gender]_[race]_...); use data.sampling=independent")
    limit = cap * low
    p = np.minimum(mean, limit)
    # What the capped cells give up goes to the others, which may reach their own limit by that.
    while p.sum() < min(1, limit.sum()) - 1e-9:
        room = p < limit - 1e-12
        p[room] = np.minimum(p[room] * (1 - p[~room].sum()) / p[room].sum(), limit[room])
    capped = [c for c in range(n) if low[c] > 0 and mean[c] > limit[c]]
    dropped = [c for c in range(n) if low[c] == 0 and mean[c] > 0]
    return p / p.sum(), capped, dropped


class UnpairedFaces:
    """Two domains at one size, and the batches drawn from them.

    settings: recipe.Data. Raises UserError as `load_domain` and `matched_distribution` do.
    """

    def __init__(self, folder, size, settings, seed, progress=True):
        folder = Path(folder)
        self.settings, self.seed, self.size = settings, seed, size
        marks = settings.forehead_marks == "keep"
        self.A = load_domain(folder / settings.domain_A, size, progress, marks)
        self.B = load_domain(folder / settings.domain_B, size, progress, marks)
        if settings.sampling == "matched":
            self.p, self.capped, self.dropped = matched_distribution(self.A.cells, self.B.cells, settings.cell_cap)

    def report(self):
        """Lines that tell what was read, skipped, capped and left out."""
        lines = []
        for name, domain in ((self.settings.domain_A, self.A), (self.settings.domain_B, self.B)):
            skipped = ", ".join(f"{n} {why}" for why, n in domain.skipped.items())
            lines.append(f"{name}: {len(domain)} faces" + (f", skipped {skipped}" if skipped else ""))
        if self.settings.sampling == "matched":
            if self.capped:
                lines.append(f"matched sampling, nearly empty on one side, capped at {self.settings.cell_cap:g}x: "
                             + ", ".join(f"{cell_name(c)} {self.p[c]:.1%}" for c in self.capped))
            if self.dropped:
                lines.append("matched sampling, empty on one side, never drawn: "
                             + ", ".join(map(cell_name, self.dropped)))
        return lines

    def dataset(self, shape, stream, start, stop=None, context=None):
        """tf.data.Dataset of (A, B), each Faces: images (*shape, size, size, 3), labels (*shape, LABELS).

        shape: (rounds, batch): a step's images over all replicas. stream: an integer that makes this dataset's
        random choices its own. start, stop: steps. context: tf.distribute.InputContext; each element is then
        one replica's part of `batch`, replica after replica, so that the parts of a step add up to the same
        global batch on any number of replicas.
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
                if warp is not None:
                    faces = _warp(faces, tf.gather(warp, mine))
                faces = tf.cast(faces, tf.float32) / 127.5 - 1
                out.append(Faces(tf.reshape(faces, (rounds, part, self.size, self.size, 3)),
                                 tf.reshape(tf.gather(labels[d], chosen), (rounds, part, LABELS))))
            return tuple(out)

        count = tf.data.Dataset.range((stop - start) * here) if stop is not None else tf.data.Dataset.counter()
        return count.map(one_replica, num_parallel_calls=tf.data.AUTOTUNE).prefetch(4)

    def _draw(self, domain):
        """A function of (step, seed, n, d) that gives the indices of the n images of a step in `domain`."""
        import tensorflow as tf

        if self.settings.sampling == "independent":
            def permuted(step, seed, n, d):
                i = step * n + tf.range(n, dtype=tf.int64)
                total = len(domain)
                # A fresh permutation every epoch: the seed of an image's place holds its epoch.
                epoch = tf.stack([tf.fill([n], seed[0] + 1 + d), i // total, tf.zeros([n], tf.int64)], axis=1)
                # tf.random.experimental.index_shuffle takes one seed only.
                return tf.raw_ops.RandomIndexShuffle(index=i % total, seed=epoch, max_index=total - 1, rounds=4)
            return permuted

        # Members of all cells in one row, cell after cell.
        order = tf.constant(np.argsort(domain.cells, kind="stable"), tf.int64)
        counts = np.bincount(domain.cells[domain.cells >= 0], minlength=len(self.p))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) + (domain.cells < 0).sum()
        counts, starts = tf.constant(counts, tf.float32), tf.constant(starts, tf.int64)
        edges = tf.constant(np.cumsum(self.p)[:-1], tf.float32)

        def matched(step, seed, n, d):
            # The same cells for A and B, in the same places: a batch is balanced, not only the long run.
            cell = tf.searchsorted(edges, tf.random.stateless_uniform([n], seed), side="right")
            within = tf.random.stateless_uniform([n], seed + [1 + d, 0])
            count = tf.gather(counts, cell)
            member = tf.cast(tf.minimum(tf.floor(within * count), count - 1), tf.int64)
            return tf.gather(order, tf.gather(starts, cell) + member)
        return matched

    def _transforms(self, n, seed):
        """Projective transforms (n, 8) of the augmentation, output pixel -> input pixel; None if there is none."""
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


def fixed_faces(folder, size, n):
    """The same n faces every time, uint8 (n, size, size, 3): those whose names hash lowest. Broken ones are skipped."""
    faces = []
    for path in sorted(list_images(folder), key=lambda p: hashlib.sha256(p.name.encode()).digest()):
        if len(faces) == n:
            break
        try:
            faces.append(decode(path, size))
        except (OSError, ValueError, SyntaxError):
            continue
    if not faces:
        raise UserError(f"{folder}: none of its images could be read; fill it again with prepare_utkface.py")
    return np.stack(faces)


def main():
    import argparse

    parser = argparse.ArgumentParser(description="Draw a sheet of what a training batch looks like.")
    parser.add_argument("folder", help="holds the two domains, for example data/utkface/train")
    parser.add_argument("--domains", nargs=2, default=("20s", "50s"), metavar=("A", "B"))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--sampling", choices=("matched", "independent"), default="matched")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", default="batch.png")
    args = parser.parse_args()

    import pictures
    import recipe

    settings = recipe.Data(domain_A=args.domains[0], domain_B=args.domains[1], sampling=args.sampling)
    faces = UnpairedFaces(args.folder, args.size, settings, args.seed)
    print("\n".join(faces.report()))
    a, b = next(iter(faces.dataset((2, 8), stream=0, start=0, stop=1)))
    rows = [(title, pictures.to_pixels(batch.images[i].numpy()))
            for title, batch in ((settings.domain_A, a), (settings.domain_B, b)) for i in (0, 1)]
    pictures.save_grid(args.output, rows)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    run_script(main)
