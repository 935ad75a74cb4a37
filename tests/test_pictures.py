"""Grids of faces and pictures side by side."""

import numpy as np
from PIL import Image

from ageing import pictures


def test_grid_shows_faces_unchanged_beside_their_title(tmp_path):
    faces = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3), np.uint8)
    pictures.save_grid(tmp_path / "g.png", [("A", faces), ("G_AB(A)", faces[:2])])
    sheet = np.asarray(Image.open(tmp_path / "g.png"))
    left = sheet.shape[1] - 3 * 130
    np.testing.assert_array_equal(sheet[130:258, left + 130:left + 258], faces[1])
    assert (sheet[:, :left] < 128).any()  # the title
    assert (sheet[130:, left + 260:] == 255).all()


def test_pictures_stand_side_by_side_below_their_titles():
    large, small = np.full((400, 200, 3), 50, np.uint8), np.full((20, 60, 3), 90, np.uint8)
    sheet = pictures.side_by_side([("a", large), ("b", small)], height=100, least=40)
    bar = len(sheet) - 100
    assert (sheet[bar:, :50] == 50).all()  # made smaller
    assert (sheet[bar:bar + 40, 54:] == 90).all()  # made larger
    assert sheet.shape[1] == 50 + 4 + 120
    assert (sheet[:bar] < 128).any()  # the titles


def test_small_faces_are_enlarged_by_whole_factors():
    faces = np.zeros((1, 64, 64, 3), np.uint8)
    assert pictures.grid([("A", faces)]).shape[0] == 128 + 2
