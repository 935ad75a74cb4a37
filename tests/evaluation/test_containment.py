"""Changes that leave the frames, and rims that show."""

import numpy as np
import pytest

from ageing.evaluation.containment import change_outside, largest_rim_step
from ageing.photos.alignment import Frame


def frame(left, top, side, degrees=0):
    """A frame whose upper left corner lies at (left, top), turned clockwise about it."""
    c, s = side * np.cos(np.radians(degrees)), side * np.sin(np.radians(degrees))
    return Frame(np.array([[c, -s, left], [s, c, top]], float), True)


def test_a_change_outside_of_the_frames_is_seen():
    photo = np.full((60, 80, 3), 100, np.uint8)
    frames = [frame(-5, 10, 30), frame(60, 40, 30), frame(-90, 0, 30)]
    edited = photo.copy()
    edited[10:40, :25] = edited[40:, 60:] = 200
    assert change_outside(photo, edited, frames) == 0
    edited[39, 26] = 93
    assert change_outside(photo, edited, frames) == 7
    assert change_outside(photo, edited, []) == 100


def test_the_corners_beside_a_turned_frame_are_outside():
    photo = np.full((60, 60, 3), 100, np.uint8)
    turned = frame(30, 10, 28, degrees=45)  # corners (30, 10), (50, 30), (30, 50), (10, 30)
    edited = photo.copy()
    edited[30, 12:48] = edited[12:48, 30] = 150
    assert change_outside(photo, edited, [turned]) == 0
    edited[14, 16] = 103
    assert change_outside(photo, edited, [turned]) == 3


@pytest.mark.parametrize("degrees", [0, 90])
def test_a_visible_rim_is_measured(degrees):
    photo = np.tile(np.arange(80, dtype=np.uint8)[None, :, None], (60, 1, 3))  # steps of 1
    edited = photo.copy()
    edited[10:40, 5:35] += 30
    seen = frame(5, 10, 30) if degrees == 0 else frame(35, 10, 30, 90)
    assert largest_rim_step(photo, edited, [seen]) == pytest.approx(30, abs=1)
    assert largest_rim_step(photo, photo, [seen]) == 0
    assert largest_rim_step(photo, edited, [frame(-100, -100, 30)]) == 0  # no rim in the photo


def test_a_visible_rim_of_a_turned_frame_is_measured():
    photo = np.full((60, 60, 3), 100, np.uint8)
    y, x = np.mgrid[:60, :60] + 0.5
    edited = np.where((abs(x - 30) + abs(y - 30) < 20)[..., None], np.uint8(120), photo)
    assert largest_rim_step(photo, edited, [frame(30, 10, 800 ** 0.5, 45)]) == 20
    assert largest_rim_step(photo, edited, [frame(30, 20, 200 ** 0.5, 45)]) == 0  # within the change


def test_a_rim_within_another_frame_is_none():
    photo = np.full((60, 80, 3), 100, np.uint8)
    edited = photo.copy()
    edited[10:40, 5:35] = 130
    alone, other = frame(15, 15, 10), frame(5, 10, 30)
    edited[15:25, 15:25] = 170
    assert largest_rim_step(photo, edited, [alone]) == 40
    assert largest_rim_step(photo, edited, [alone, other]) == 30  # the other's
    assert largest_rim_step(photo, edited, []) == 0
