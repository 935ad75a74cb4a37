"""The formulas of an evaluation, as plain functions of arrays: no network, no file.

Every estimate comes with its 95 % confidence interval, as a tuple (estimate, low, high). Faces are uint8 RGB
(n, S, S, 3) in UTKFace's framing.
"""

import cv2
import numpy as np
from scipy import stats

RESAMPLES = 2000        # of a bootstrap
DARK = 25               # CIELAB L*, 0 to 100: black and dark brown hair is darker
FREQUENCIES = ((2, 4), (4, 8), (8, 16), (16, 32), (32, 64))  # bands, in cycles a face, which is a crop
POWER_WITHIN = 0.6875   # side of the window of skin, as a share of the face's: 88 of 128 pixels
EYES = (0.227, 0.336), (0.1875, 0.8125)  # rows and columns as shares of the side
SHARPNESS_AT = 128      # pixels: the size at which sharpness is measured


def bootstrap(values, statistic=np.mean):
    """(estimate, low, high): `statistic` of `values` (n, ...) with its percentile interval over resampled rows."""
    values = np.asarray(values)
    rng = np.random.default_rng(1)
    resampled = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(RESAMPLES)]
    # "nearest" does not interpolate: between two infinite values, as psnr gives them, that would be NaN.
    return float(statistic(values)), *map(float, np.percentile(resampled, [2.5, 97.5], method="nearest"))


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


def kernel_distance(x, y):
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3; Binkowski et al. 2018, section 4."""
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def psnr(x, y):
    """(n,) peak signal-to-noise ratios in dB of the pairs in uint8 (n, H, W, 3); infinite where they are equal."""
    error = np.square(x.astype(np.float64) - y).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / error)


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

    Below 8 cycles lie light and folds, above 32 lies the texture that people take for age.
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


def checkerboard(change, periods=(2, 4)):
    """How much changes (n, S, S, 3) stand out at the periods of two stride-2 upsamplings (Odena et al. 2016).

    Returns (power ratio, amplitude), each an estimate with its interval, the largest over periods and axes:
    - spectral power of the grey change at frequency 1 / period, mean over images, divided by that of the neighbouring
      frequencies, two and three bins away. 1 means none.
    - root mean square of what exceeds the neighbours, in the unit of `change`. The ratio alone can be large where the
      change is too small to be seen.
    """
    grey = np.asarray(change, np.float64).mean(axis=3)
    n = grey.shape[1]
    power = np.square(np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))))
    lines = np.stack([power.sum(2), power.sum(1)])  # (axes, images, frequencies)
    peaks = lines[..., [n // period for period in periods]]
    neighbours = np.mean([lines[..., [(n // period + d) % n for period in periods]] for d in (-3, -2, 2, 3)], axis=0)
    waves = np.array([1 if period == 2 else 2 for period in periods])  # frequencies k and n - k are the same wave

    def ratio(spectra):
        peak, neighbour = spectra.mean(0) + 1e-9  # a change of zero gives 1
        return (peak / neighbour).max()

    def amplitude(spectra):
        peak, neighbour = spectra.mean(0)
        return np.sqrt((waves * np.clip(peak - neighbour, 0, None)).max()) / n**2  # Parseval

    spectra = np.moveaxis(np.stack([peaks, neighbours]), 2, 0)  # (images, peak or neighbours, axes, periods)
    return bootstrap(spectra, ratio), bootstrap(spectra, amplitude)


def lab(image):
    """uint8 RGB (H, W, 3) -> float32 CIELAB of the same shape."""
    return cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2LAB)
