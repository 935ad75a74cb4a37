"""Clips whose truth is known."""

import cv2
import moving_portrait
import numpy as np

from ageing.faces.alignment import Placement, between_centres
from ageing.faces.blending import Change

PORTRAIT = moving_portrait.portrait("astronaut")


def test_frames_show_the_portrait_where_the_matrix_says():
    made = list(moving_portrait.frames(PORTRAIT, 1, rate=5, size=(320, 180), noise=0))
    assert len(made) == 5
    for photo, matrix in made:
        assert photo.shape == (180, 320, 3)
        assert photo.dtype == np.uint8
        back = cv2.warpAffine(photo, between_centres(matrix), (512, 512), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        small = cv2.GaussianBlur(PORTRAIT, (0, 0), 2)
        assert np.abs(back.astype(int) - small)[60:400, 160:280].mean() < 8
    assert not np.array_equal(made[0][1], made[4][1])


def test_noise_is_new_in_each_frame_and_repeats_with_the_seed():
    still = [photo for photo, _ in moving_portrait.frames(PORTRAIT, 0.1, size=(320, 180), motion=0)]
    again = [photo for photo, _ in moving_portrait.frames(PORTRAIT, 0.1, size=(320, 180), motion=0)]
    np.testing.assert_array_equal(still, again)
    difference = still[0].astype(int) - still[1]
    assert 4 < difference.std() < 6.5     # the root of two of NOISE, less what is clipped


def test_a_change_is_read_in_the_face_s_own_frame():
    """A change that moves with the face does not flicker; one that is drawn a pixel aside does."""
    face = Placement(np.array([[140.0, 0, 152], [0, 140.0, 40]]))
    delta = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 40, (128, 128, 3)).astype(np.float32), (0, 0), 4)
    read = {aside: [] for aside in (0, 1)}
    for i in range(6):
        matrix = moving_portrait.place(PORTRAIT.shape, i / 10, (640, 360), 1)
        place = moving_portrait.carried(face, matrix)
        for aside, changes in read.items():
            drawn = Change(place.moved(aside * (i % 2), 0), delta)
            changes.append(moving_portrait.in_face((360, 640, 3), [drawn], place))
    assert np.abs(read[0]).mean() > 1
    assert moving_portrait.flicker(read[0]) < 0.1 * moving_portrait.flicker(read[1])
