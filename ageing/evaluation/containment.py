"""Does an edit stay within its frames, and fade out towards their rims?"""

import numpy as np

from ageing.photos.alignment import apply, clip


def change_outside(photo, edited, frames):
    """The largest change, in grey levels, of a pixel outside of all frames; 0 is right.

    photo, edited: uint8 RGB (H, W, 3). frames: [alignment.Frame].
    """
    height, width = photo.shape[:2]
    outside = np.ones((height, width), bool)
    for frame in frames:
        left, top, right, bottom = clip(frame.bounds, height, width)
        if left < right and top < bottom:
            centres = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1) + 0.5
            outside[top:bottom, left:right] &= ~_inside(frame, centres)
    return int(np.abs(edited.astype(int) - photo)[outside].max(initial=0))


def largest_rim_step(photo, edited, frames):
    """By how many grey levels editing raises the largest step across the rim of one of the frames; 0: no visible rim.

    A step: between the pixels half a pixel inside and half a pixel outside of the rim. What lies in another frame, too,
    is left out: there the change of the other one goes on.
    """
    return max((_rim_step(photo, edited, frame, [other for other in frames if other is not frame])
                for frame in frames), default=0)


def _rim_step(photo, edited, frame, others):
    n = round(frame.side)
    along, half = (np.arange(n) + 0.5) / n, 0.5 / frame.side
    worst = 0
    for turn in range(4):
        inner, outer = (np.stack([along, np.full(n, place)], axis=1) for place in (half, -half))
        for _ in range(turn):  # the upper rim first, then the others
            inner, outer = (np.stack([1 - points[:, 1], points[:, 0]], axis=1) for points in (inner, outer))
        inner, outer = (np.floor(apply(frame.matrix, points)).astype(int) for points in (inner, outer))
        seen = np.all([(p >= 0) & (p < photo.shape[1::-1]) for p in (inner, outer)], axis=(0, 2))
        for other in others:
            seen &= ~_inside(other, inner + 0.5) & ~_inside(other, outer + 0.5)
        (x, y), (u, v) = inner[seen].T, outer[seen].T
        before, after = (np.abs(p[y, x].astype(int) - p[v, u]).max(initial=0) for p in (photo, edited))
        worst = max(worst, int(after) - int(before))
    return worst


def _inside(frame, centres):
    """Whether a part of the pixels with these centres, (..., 2), lies in a frame: booleans (...)."""
    places = (centres - frame.matrix[:, 2]) @ np.linalg.inv(frame.matrix[:, :2]).T
    return (np.abs(places - 0.5) <= 0.5 + 0.5 / frame.side).all(axis=-1)
