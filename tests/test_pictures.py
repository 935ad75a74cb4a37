import json

import numpy as np
from PIL import Image

import pictures


def test_pixels_and_floats_are_inverse():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(pictures.to_pixels(pictures.to_floats(levels)), levels)
    assert pictures.to_floats(np.array([0, 255], np.uint8)).tolist() == [-1, 1]
    assert pictures.to_pixels(np.array([-3.0, 3.0])).tolist() == [0, 255]


def test_grid_shows_faces_unchanged_beside_their_title(tmp_path):
    faces = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3), np.uint8)
    pictures.save_grid(tmp_path / "g.png", [("A", faces), ("G_AB(A)", faces[:2])])
    sheet = np.asarray(Image.open(tmp_path / "g.png"))
    left = sheet.shape[1] - 3 * 130
    np.testing.assert_array_equal(sheet[130:258, left + 130:left + 258], faces[1])
    assert (sheet[:, :left] < 128).any()  # the title
    assert (sheet[130:, left + 260:] == 255).all()


def test_small_faces_are_enlarged_by_whole_factors():
    faces = np.zeros((1, 64, 64, 3), np.uint8)
    assert pictures.grid([("A", faces)]).shape[0] == 128 + 2


def test_curves_are_drawn_from_a_log_that_is_being_written(tmp_path):
    lines = [{"step": s, "phase": "train", "size": 64 if s < 5 else 128, "d_A": 0.2, "cycle_A": 0.1} for s in range(9)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 9, "pha')
    pictures.save_curves(tmp_path / "log.jsonl", tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert np.asarray(picture).std() > 1
