"""How a face moved between two frames."""

import itertools

import moving_portrait
import numpy as np
import pytest

from ageing.clips import motion
from ageing.faces.alignment import Placement, transform

PORTRAIT = moving_portrait.portrait("astronaut")
PLACE = Placement(np.array([[140.0, 0, 152], [0, 140.0, 40]]))     # of the face in the portrait


def in_photo(matrix):
    return moving_portrait.carried(PLACE, matrix)


@pytest.mark.parametrize("strength", [0, 1, 4])
def test_a_known_motion_is_found_to_a_tenth_of_a_pixel(strength):
    frames = list(moving_portrait.frames(PORTRAIT, 0.2, size=(640, 360), motion=strength))
    for (before, first), (after, second) in itertools.pairwise(frames):
        found = motion.of_face(before, after, in_photo(first))
        missed = transform(found, in_photo(first).corners) - in_photo(second).corners
        assert np.abs(missed).max() < 0.3
        assert np.sqrt(np.square(missed).mean()) < 0.15


def test_no_motion_is_told_where_there_is_none():
    (before, first), (after, _) = moving_portrait.frames(PORTRAIT, 2 / 30)
    covered = after.copy()
    covered[:, 400:800] = np.random.default_rng(1).integers(0, 255, covered[:, 400:800].shape)
    assert motion.of_face(before, covered, in_photo(first)) is None
    beyond = in_photo(first)
    assert motion.of_face(before, after, beyond.moved(2000, 0)) is None
    assert motion.of_face(before, np.zeros_like(before), in_photo(first)) is None


def test_half_of_a_face_that_is_covered_does_not_count():
    (before, first), (after, second) = moving_portrait.frames(PORTRAIT, 2 / 30, motion=3)
    placement, after = in_photo(first), after.copy()
    low = round(placement.corners[:, 1].mean()) + 40
    after[low:] = np.roll(after, 9, axis=1)[low:]   # something else moves there
    found = motion.of_face(before, after, placement)
    assert np.abs(transform(found, placement.corners[:2]) - in_photo(second).corners[:2]).max() < 1
