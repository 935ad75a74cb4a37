"""The numbers of an evaluation, as plain functions of arrays. No network, no file."""

import numpy as np
from scipy import stats

SAMPLES = 2000  # of a bootstrap


def bootstrap(values, statistic=np.mean, seed=1):
    """(estimate, low, high): `statistic` of (n, ...) `values` and its 95 % percentile interval over resampled rows."""
    values = np.asarray(values)
    rng = np.random.default_rng(seed)
    drawn = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(SAMPLES)]
    # nearest: between two infinite ones, as of psnr, no mean is defined
    return float(statistic(values)), *map(float, np.percentile(drawn, [2.5, 97.5], method="nearest"))


def proportion(values):
    """(share, low, high) of the true ones in booleans (n,), with Wilson's 95 % interval.

    Where all are true it is no point, as a bootstrap's is: nobody knows that of 25 faces.
    """
    interval = stats.binomtest(int(np.sum(values)), len(values)).proportion_ci(method="wilson")
    return float(np.mean(values)), float(interval.low), float(interval.high)


def frechet(x, y):
    """Frechet distance of Gaussians fitted to features (n, d) and (m, d); Heusel et al. 2017, eq. 6.

    |mean_x - mean_y|^2 + trace(C_x + C_y - 2 (C_x C_y)^(1/2)). It grows as n falls: compare at equal n only.
    """
    mean = x.mean(0) - y.mean(0)
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # trace((C_x C_y)^(1/2)): C_x C_y has the eigenvalues of the symmetric root C_y root.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_y @ root), 0, None)).sum()
    return float(mean @ mean + np.trace(cov_x) + np.trace(cov_y) - 2 * cross)


def kernel_distance(x, y):
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3; Binkowski et al. 2018, section 4."""
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def psnr(x, y):
    """Peak signal-to-noise ratio in dB of each pair in uint8 (n, H, W, 3); infinite where they are equal."""
    error = np.square(x.astype(np.float64) - y).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / error)


def mean_absolute(x, y):
    """Mean absolute difference, of 255, of each pair in (n, H, W, 3)."""
    return np.abs(np.asarray(x, np.float64) - y).mean(axis=(1, 2, 3))


def skin_colour(faces):
    """(n, 3) mean colours of the middle of the face, eyes to mouth, in CIELAB: L* (0 black to 100 white), a*, b*.

    faces: uint8 RGB (n, H, W, 3), framed as UTKFace. The length of the difference of two rows is the colour difference
    dE*76, of which people see about 2.
    """
    height, width = faces.shape[1:3]
    middle = faces[:, int(0.35 * height):int(0.75 * height), int(0.3 * width):int(0.7 * width)]
    return _lab(middle).mean(axis=(1, 2))


DARK = 25  # L*, of 100: black and dark brown hair is below


def dark_beside(faces):
    """(n,) share, 0 to 1, of dark pixels in two strips beside the face: hair, and what is behind the head.

    Means over many faces say how hair greys; one face's share says more of its background. faces: uint8 RGB (n, H, W,
    3), framed as UTKFace: the strips go from 15 to 55 % of the height and from 2 to 12 % of the width from each side.
    """
    height, width = faces.shape[1:3]
    rows, near, far = slice(int(0.15 * height), int(0.55 * height)), int(0.02 * width), int(0.12 * width)
    beside = np.concatenate([faces[:, rows, near:far], faces[:, rows, width - far:width - near]], axis=2)
    return np.mean(_lab(beside)[..., 0] < DARK, axis=(1, 2))


def _lab(images):
    """uint8 RGB (n, H, W, 3) -> float32 CIELAB of the same shape."""
    import cv2

    return np.array([cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2LAB) for image in images])


def checkerboard(change, periods=(2, 4)):
    """How far changes (n, S, S, 3) stand out at the periods of two stride-2 upsamplings: (ratio, levels).

    ratio: spectral power of the grey change, mean over images, summed along the rows and columns of frequency
    1 / period, over that of the neighbours at two and three bins' distance: 1 is not at all.
    levels: root mean square of what is above these neighbours, in the unit of `change`: a ratio over next to nothing
    can be large where nobody sees a thing.
    Both the largest over periods and axes, as `bootstrap` gives them. A change of nothing gives 1 and 0.
    """
    grey = np.asarray(change, np.float64).mean(axis=3)
    n = grey.shape[1]
    power = np.square(np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))))
    lines = np.stack([power.sum(2), power.sum(1)])  # (axes, images, frequencies)
    at = lines[..., [n // period for period in periods]]
    around = np.mean([lines[..., [(n // period + d) % n for period in periods]] for d in (-3, -2, 2, 3)], axis=0)
    waves = np.array([1 if period == 2 else 2 for period in periods])  # the frequencies k and n - k are one wave

    def ratio(at_and_around):
        at, around = at_and_around.mean(0) + 1e-9  # nothing over nothing is 1
        return (at / around).max()

    def levels(at_and_around):
        at, around = at_and_around.mean(0)
        return np.sqrt((waves * np.clip(at - around, 0, None)).max()) / n**2  # Parseval

    both = np.moveaxis(np.stack([at, around]), 2, 0)  # (images, at or around, axes, periods)
    return bootstrap(both, ratio), bootstrap(both, levels)
