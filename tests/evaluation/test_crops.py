"""Which faces are measured, and what is read of them before anything is translated."""

import shutil

import numpy as np
import pytest
from evaluation.oracle import Lighter, Oracle

from ageing.errors import UserError
from ageing.evaluation import crops
from ageing.face_folder import load_domain
from ageing.faces.direction import Direction

DOMAINS = ("20s", "50s")


def test_a_limit_draws_the_same_faces_at_every_call(drawn):
    every = load_domain(drawn / "train/20s", 32)
    first, again = (crops.load(drawn / "train", DOMAINS, 32, 12, Oracle()) for _ in range(2))
    assert [len(faces) for faces in first] == [12, 12]
    np.testing.assert_array_equal(first[0].pixels, again[0].pixels)
    assert all((face == every.images).all(axis=(1, 2, 3)).any() for face in first[0].pixels)
    assert len(crops.load(drawn / "train", DOMAINS, 32, 0, Oracle())[0]) == len(every)


def test_labels_come_from_the_file_names(drawn):
    faces, _ = crops.load(drawn / "train", DOMAINS, 32, 0, Oracle())
    male = [path.name.split("_")[1] == "0" for path in sorted((drawn / "train/20s").iterdir())]
    assert faces.labelled.all()
    assert faces.labelled_male.tolist() == male


def test_the_judges_also_read_mirrored_faces(drawn):
    class LeftHanded(Oracle):
        """Male is who has a lighter left half."""

        def male(self, faces, title=""):
            halves = np.split(np.asarray(faces, float), 2, axis=2)
            return halves[0].mean(axis=(1, 2, 3)) > halves[1].mean(axis=(1, 2, 3))

    faces, _ = crops.load(drawn / "train", DOMAINS, 32, 0, LeftHanded())
    np.testing.assert_array_equal(faces.mirrored_male, ~LeftHanded().male(faces.pixels))
    np.testing.assert_array_equal(faces.second_mirrored_male, faces.readings.second_male)


def test_missing_and_small_domains_are_named(drawn, tmp_path):
    with pytest.raises(UserError, match=r"nowhere/20s: no such folder"):
        crops.load("nowhere", DOMAINS, 32, 0, Oracle())
    (tmp_path / "20s").mkdir()
    for path in sorted((drawn / "train/20s").iterdir())[:4]:
        shutil.copy(path, tmp_path / "20s")
    with pytest.raises(UserError, match=r"20s: 4 faces are too few to measure anything; at least 8"):
        crops.load(tmp_path, DOMAINS, 32, 0, Oracle())


def test_outputs_cycles_and_identity_mappings_come_from_the_right_generators(drawn):
    young, old = crops.load(drawn / "train", ("20s", "50s"), 32, 8, Oracle())
    age, rejuvenate = Direction
    older, younger = Lighter(30), Lighter(-7)
    aged = crops.translate(age, older, younger, young, old, Oracle(), "some")
    np.testing.assert_array_equal(aged.outputs, older(young.pixels))
    np.testing.assert_array_equal(aged.cycled, younger(older(young.pixels)))
    np.testing.assert_array_equal(aged.mapped, older(old.pixels))
    assert (aged.age_gain > 20).all()
    rejuvenated = crops.translate(rejuvenate, younger, older, old, young, Oracle(), "some")
    np.testing.assert_array_equal(rejuvenated.cycled, older(younger(old.pixels)))
    assert (rejuvenated.age_gain > 0).all()


def test_with_change_rounds_clips_and_returns_the_pixels_at_strength_zero():
    pixels = np.array([0, 100, 250], np.uint8)
    change = np.array([-7, 2.6, 20], np.float32)
    assert crops.with_change(pixels, change).tolist() == [0, 103, 255]
    assert crops.with_change(pixels, change, 0.5).tolist() == [0, 101, 255]
    assert crops.with_change(pixels, change, 0).tolist() == pixels.tolist()
