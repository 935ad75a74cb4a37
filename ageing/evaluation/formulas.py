"""The formulas of an evaluation, as plain functions of arrays: no network, no file.

Every estimate comes with its 95 % confidence interval, as a tuple (estimate, low, high). Faces are uint8 RGB
(n, S, S, 3) in UTKFace's framing.
"""

import cv2
import numpy as np
from scipy import stats

RESAMPLES = 2000        # of a bootstrap
DARK = 25               # CIELAB L*, 0 to 100: black and dark brown hair is darker
FREQUENCIES = ((8, 16), (16, 32), (32, 64))  # bands, in cycles a face, which is a crop
POWER_WITHIN = 0.6875   # side of the window of skin, as a share of the face's: 88 of 128 pixels
EYES = (0.227, 0.336), (0.1875, 0.8125)  # rows and columns as shares of the side
SHARPNESS_AT = 128      # pixels: the size at which sharpness is measured


def bootstrap(values, statistic=np.mean):
    """(estimate, low, high): `statistic` of `values` (n, ...) with its percentile interval over resampled rows."""
    values = np.asarray(values)
    rng = np.random.default_rng(1)
    resampled = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(RESAMPLES)]
    return float(statistic(values)), *map(float, np.percentile(resampled, [2.5, 97.5]))


def ratio_of_means(values, reference, ratio=np.divide):
    """(estimate, low, high) of the mean of `values` (n,) divided by that of `reference` (m,), both resampled."""
    def of(*samples):
        return float(ratio(*(sample.mean() for sample in samples)))

    rng = np.random.default_rng(1)
    resampled = [of(*(v[rng.integers(len(v), size=len(v))] for v in (values, reference))) for _ in range(RESAMPLES)]
    return of(values, reference), *map(float, np.percentile(resampled, [2.5, 97.5]))


def ratio_of_geometric_means(values, reference):
    """As `ratio_of_means`, of geometric means. None without values, or where one of `values` is NaN."""
    if not len(values) or not len(reference) or np.isnan(values).any():
        return None
    return ratio_of_means(np.log(values), np.log(reference), lambda a, b: np.exp(a - b))


def proportion(values):
    """(share, low, high) of the true ones in booleans (n,), with Wilson's interval.

    Its width is not 0 where all n are true, unlike that of a bootstrap.
    """
    interval = stats.binomtest(int(np.sum(values)), len(values)).proportion_ci(method="wilson")
    return float(np.mean(values)), float(interval.low), float(interval.high)


def frechet(x, y):
    """Frechet distance of Gaussians fitted to features (n, d) and (m, d); Heusel et al. 2017, eq. 6.

    |mean_x - mean_y|^2 + trace(C_x + C_y - 2 (C_x C_y)^(1/2)). It grows as n falls, so compare it at equal n only.
    """
    mean = x.mean(0) - y.mean(0)
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # trace((C_x C_y)^(1/2)): C_x C_y has the same eigenvalues as the symmetric root C_y root.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_y @ root), 0, None)).sum()
    return float(mean @ mean + np.trace(cov_x) + np.trace(cov_y) - 2 * cross)


def mean_absolute(x, y):
    """(n,) mean absolute differences in grey levels of the pairs in (n, H, W, 3)."""
    return np.abs(np.asarray(x, np.float64) - y).mean(axis=(1, 2, 3))


def skin_colour(faces):
    """(n, 3) mean colours of the middle of the face, eyes to mouth, in CIELAB: L* (0 black to 100 white), a*, b*.

    The length of the difference of two rows is the colour difference dE*76; people notice about 2.
    """
    height, width = faces.shape[1:3]
    middle = faces[:, int(0.35 * height):int(0.75 * height), int(0.3 * width):int(0.7 * width)]
    return np.array([lab(face).mean(axis=(0, 1)) for face in middle])


def dark_beside(faces):
    """(n,) shares, 0 to 1, of dark pixels in two strips beside the face: hair, and the background behind it.

    Only the mean over many faces says whether hair greys; a single share depends on the background. The strips reach
    from 15 to 55 % of the height, and from 2 to 12 % of the width from each side.
    """
    height, width = faces.shape[1:3]
    rows, outer, inner = slice(int(0.15 * height), int(0.55 * height)), int(0.02 * width), int(0.12 * width)
    strips = np.concatenate([faces[:, rows, outer:inner], faces[:, rows, width - inner:width - outer]], axis=2)
    return np.array([np.mean(lab(face)[..., 0] < DARK) for face in strips])


def sharpness(faces):
    """(n,) log of 1 + the variance of the Laplacian at the eyes: how sharp the photos of the faces are.

    Lashes and irises are edges at any age. The skin would not do: old skin has more of them, so that faces of equally
    sharp skin differ less by age than people do.
    """
    rows, columns = (slice(*(round(share * SHARPNESS_AT) for share in reach)) for reach in EYES)
    small = (cv2.resize(face, (SHARPNESS_AT, SHARPNESS_AT), interpolation=cv2.INTER_AREA) for face in faces)
    grey = (cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32) for face in small)
    return np.array([float(np.log(cv2.Laplacian(face, cv2.CV_32F)[rows, columns].var() + 1)) for face in grey])


def power(faces):
    """(n, len(FREQUENCIES)) power of the faces' grey skin in each band. NaN above S / 2 cycles a face.

    Above 32 cycles lies the texture that people take for age.
    """
    side = faces.shape[1]
    middle = round(POWER_WITHIN * side)
    rim = (side - middle) // 2
    grey = faces[:, rim:rim + middle, rim:rim + middle].astype(np.float32).mean(axis=3)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * np.outer(np.hanning(middle), np.hanning(middle))
    spectrum = np.square(np.abs(np.fft.fft2(grey)))
    cycles = np.fft.fftfreq(middle) * side
    distance = np.hypot(*np.meshgrid(cycles, cycles))
    return np.stack([spectrum[:, (distance >= low) & (distance < high)].sum(axis=1) if high <= side / 2 else
                     np.full(len(faces), np.nan) for low, high in FREQUENCIES], axis=1)


def lab(image):
    """uint8 RGB (H, W, 3) -> float32 CIELAB of the same shape."""
    return cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2LAB)
