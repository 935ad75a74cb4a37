"""How sharp a face is, and the sharpest faces of two domains, chosen so that sharpness tells nothing of age."""

import cv2
import numpy as np

RIM = 0.1875   # share of the side that is left out on each side: hair, ears and background are no skin
BINS = 10      # of sharpness, at most, in which the domains are matched
IN_A_BIN = 20  # faces of the smaller domain, so that chance does not empty a bin


def sharpness(face):
    """Log variance of the Laplacian in the middle of a face. face: uint8 RGB, square. Grey levels squared, + 1.

    A blurred photo has little power in the fine bands, whatever the age of the face. Compare faces of one size only.
    """
    rim = round(RIM * len(face))
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.log(cv2.Laplacian(grey, cv2.CV_32F)[rim:-rim, rim:-rim].var() + 1))


def matched_sharpest(domains, share):
    """[indices of the faces that stay] for each of `domains`, two arrays of sharpness.

    A face must be among the sharpest `share` of both domains together. These are divided into bins of sharpness. The
    domain that has fewer of them keeps all, as far as the other one has any in their bins. The other one is thinned to
    the same distribution over the bins.
    """
    together = np.concatenate(domains)
    threshold = np.quantile(together, 1 - share)
    n = np.clip(min((values >= threshold).sum() for values in domains) // IN_A_BIN, 1, BINS)
    edges = np.quantile(together[together >= threshold], np.linspace(0, 1, n + 1))[1:-1]
    bins = []
    for values in domains:
        order = np.argsort(values, kind="stable")
        order = order[values[order] >= threshold]
        bins.append([order[np.digitize(values[order], edges) == k] for k in range(n)])
    counts = np.array([[len(members) for members in domain] for domain in bins])
    smaller = int(counts[0].sum() > counts[1].sum())
    wanted = np.where(counts.min(axis=0) > 0, counts[smaller], 0)
    times = min((counts[1 - smaller][wanted > 0] / wanted[wanted > 0]), default=0)
    kept = [None, None]
    for d, stay in ((smaller, wanted), (1 - smaller, (times * wanted).astype(int))):
        kept[d] = np.sort(np.concatenate(list(map(_evenly, bins[d], stay))))
    return kept


def _evenly(members, n):
    """n of `members`, evenly spread over their order."""
    return members[np.linspace(0, len(members), n, endpoint=False).astype(int)]
