import numpy as np

from ageing.pixels import to_floats, to_pixels


def test_pixels_and_floats_are_inverse():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(to_floats(levels)), levels)
    assert to_floats(np.array([0, 255], np.uint8)).tolist() == [-1, 1]
    assert to_pixels(np.array([-3.0, 3.0])).tolist() == [0, 255]
