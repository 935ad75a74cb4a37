"""How sharp the photo of a face is, and the sharp faces of two domains, as sharp in both of them."""

import cv2
import numpy as np

EYES = (0.227, 0.336), (0.1875, 0.8125)  # rows and columns as shares of the side, in UTKFace's framing
BINS = 10      # of sharpness, at most, in which the domains are matched
IN_A_BIN = 20  # faces of the smaller domain, so that chance does not empty a bin


def sharpness(face):
    """Log of 1 + the variance of the Laplacian at the eyes. face: uint8 RGB, square, in UTKFace's framing.

    Lashes and irises are edges at any age. The skin would not do: old skin has more of them, so that faces of equally
    sharp skin differ less by age than people do. Compare faces of one size only.
    """
    rows, columns = (slice(*(round(share * len(face)) for share in reach)) for reach in EYES)
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.log(cv2.Laplacian(grey, cv2.CV_32F)[rows, columns].var() + 1))


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
