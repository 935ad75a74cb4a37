"""The square around a face, and what is cut out of it."""

import numpy as np
import pytest
from sample_photos import gradient

from ageing.photos import alignment


def test_square_has_utkface_framing():
    left, top, side = alignment.square_of((100, 50, 180, 150))
    assert side == 102  # 1.02 times the height
    assert left + side / 2 == 140
    assert top + side / 2 == pytest.approx(100 + 0.018 * 102, abs=0.51)


def test_clip_is_the_part_inside_of_the_photo():
    assert alignment.clip((10, 20, 30), height=100, width=200) == (10, 20, 40, 50)
    assert alignment.clip((-10, -20, 300), height=100, width=200) == (0, 0, 200, 100)


def test_crop_inside_is_the_photo_itself():
    photo = gradient(60, 80)
    np.testing.assert_array_equal(alignment.crop(photo, (10, 20, 32), 32), photo[20:52, 10:42])


def test_crop_over_the_border_is_filled_by_reflection():
    photo = gradient(40, 40)
    out = alignment.crop(photo, (-8, 24, 32), 32)
    np.testing.assert_array_equal(out[:16, 8:], photo[24:, :24])
    np.testing.assert_array_equal(out[:16, :8], photo[24:, 1:9][:, ::-1])
    np.testing.assert_array_equal(out[16:, 8:], photo[23:39, :24][::-1][:16])
    assert alignment.crop(photo[:1, :1], (-50, -50, 120), 16).shape == (16, 16, 3)  # far outside
