"""UTKFace: what its file names say, the split into train, validation and test, and its gender x race cells.

Zhang, Song and Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder", CVPR 2017. A file is named
[age]_[gender]_[race]_[date&time].jpg.chip.jpg. A cell is a pair of gender and race, as an index.
"""

import hashlib
import re

import numpy as np

from ageing.errors import UserError

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
CELLS = len(GENDERS) * len(RACES)
LABELS = len(GENDERS) + len(RACES)  # length of a face's label vector
SPLITS = ("train", "validation", "test")
DECADES = {f"{first}s": first + 5 for first in range(20, 90, 10)}  # {name of a folder: its middle in years}

# Sampling shows no image more than this many times as often as its natural share. UTKFace has 24 Asian women in their
# 50s: without a cap they would be shown so often that the discriminators memorise them.
CELL_CAP = 4.0


def parse_name(name):
    """(age, gender, race) from "[age]_[gender]_[race]_[date&time]....jpg", or None if the name has another form."""
    match = re.match(r"(\d{1,3})_([01])_([0-4])_[^_]+$", name)
    return tuple(map(int, match.groups())) if match else None


def split_of(name):
    """The split of the face with this file name: the same on every machine, whatever other files are there.

    A tenth of the faces is "test", for final numbers only. Another tenth is "validation", by which recipes are chosen.
    """
    name = name.encode(errors="surrogateescape")  # it may hold bytes that are no UTF-8
    if int(hashlib.sha1(name).hexdigest(), 16) % 10 == 0:
        return "test"
    if int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % 10 == 0:
        return "validation"
    return "train"


def cell_of(name):
    """Index of the cell of a UTKFace file name, -1 if the name has another form."""
    parsed = parse_name(name)
    return -1 if parsed is None else parsed[1] * len(RACES) + parsed[2]


def age_of(name):
    """Age in years of a UTKFace file name, -1 if the name has another form."""
    return (parse_name(name) or (-1,))[0]


def cell_name(cell):
    """For example "Asian female"."""
    return f"{RACES[cell % len(RACES)]} {GENDERS[cell // len(RACES)]}"


def labels_of(cells):
    """float32 (n, LABELS) of cells (n,): one 1 for the gender and one 1 for the race, zeros for cell -1.

    Gender and race are separate entries, so that a cell of 24 faces shares what is learned about its gender.
    """
    labels = np.zeros((len(cells), LABELS), np.float32)
    known = np.flatnonzero(cells >= 0)
    labels[known, cells[known] // len(RACES)] = 1
    labels[known, len(GENDERS) + cells[known] % len(RACES)] = 1
    return labels


def matched_distribution(cells_A, cells_B, cap=CELL_CAP):
    """The distribution over cells from which both domains are drawn.

    It is the mean of the two domains' shares. Each cell is capped, so that neither domain shows an image more than
    `cap` times as often as uniform sampling would. Returns (p of shape (CELLS,), capped cells, cells that only one
    domain has, which are left out). Raises UserError if the domains share no cell.
    """
    shares = [np.bincount(c[c >= 0], minlength=CELLS) / max(len(c), 1) for c in (cells_A, cells_B)]
    mean, low = (shares[0] + shares[1]) / 2, np.minimum(*shares)
    if not low.any():
        raise UserError("data.sampling=matched: the two domains share no gender x race cell in their file names "
                        "([age]_[gender]_[race]_...); use data.sampling=independent")
    limit = cap * low
    p = np.minimum(mean, limit)
    # The other cells take what the capped cells give up. They may then reach their own limit, so repeat until stable.
    while p.sum() < min(1, limit.sum()) - 1e-9:
        room = p < limit - 1e-12
        p[room] = np.minimum(p[room] * (1 - p[~room].sum()) / p[room].sum(), limit[room])
    capped = [c for c in range(CELLS) if low[c] > 0 and mean[c] > limit[c]]
    dropped = [c for c in range(CELLS) if low[c] == 0 and mean[c] > 0]
    return p / p.sum(), capped, dropped
