"""The numbers of ordinary photos."""

import types

import numpy as np
import pytest
from conftest import ROOT
from evaluation.oracle import Lighter, Oracle
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation.photo_measure import change_outside, measure_photos, rim_step
from ageing.evaluation.translation import Unchanged


def test_a_photo_is_measured_with_detection_and_blending(tmp_path):
    Image.open(ROOT / "samples/astronaut.jpg").save(tmp_path / "astronaut.png")
    Image.new("RGB", (200, 100), "green").save(tmp_path / "lawn.png")
    older, younger, *lawn = measure_photos((Lighter(20), Lighter(-20)), str(tmp_path), Oracle())
    assert (older["photo"], older["direction"], younger["direction"]) == ("astronaut.png", "age", "rejuvenate")
    for line in (older, younger):
        assert line["faces"] == 1
        assert line["change outside"] == line["rim step"] == 0
        assert line["age gain"] > 5
        assert line["age gain, second judge"] == pytest.approx(line["age gain"] / 2)
        assert line["identity distance"] > 0
        assert line["seconds"] > 0
    for line in lawn:
        assert line["faces"] == line["change outside"] == line["rim step"] == 0
        assert "age gain" not in line


def test_a_folder_without_photos_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match=rf"{folder}: no photos there"):
            measure_photos((Unchanged(), Unchanged()), str(folder), Oracle())


def test_a_change_outside_of_the_faces_is_seen():
    photo = np.full((60, 80, 3), 100, np.uint8)
    faces = [types.SimpleNamespace(square=(-5, 10, 30)), types.SimpleNamespace(square=(60, 40, 30))]
    edited = photo.copy()
    edited[10:40, :25] = edited[40:, 60:] = 200
    assert change_outside(photo, edited, faces) == 0
    edited[39, 26] = 93
    assert change_outside(photo, edited, faces) == 7


def test_a_visible_rim_is_measured():
    photo = np.tile(np.arange(80, dtype=np.uint8)[None, :, None], (60, 1, 3))  # steps of 1
    edited = photo.copy()
    edited[10:40, 5:35] += 30
    assert rim_step(photo, edited, (5, 10, 30)) == 30
    assert rim_step(photo, photo, (5, 10, 30)) == 0
    assert rim_step(photo, edited, (-100, -100, 30)) == 0  # no rim in the photo
