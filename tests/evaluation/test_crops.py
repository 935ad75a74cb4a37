"""Which faces are measured, and what is read of them before anything is translated."""

import shutil

import numpy as np
import pytest
from evaluation.oracle import Lighter, Oracle, Told

from ageing.errors import UserError
from ageing.evaluation import crops
from ageing.evaluation.comparison import ways
from ageing.face_folder import load_domain


def load(folder, limit, judges=None, domains=("20s", "50s")):
    return [crops.load(folder / domain, 32, limit, judges or Oracle()) for domain in domains]


def test_a_limit_draws_the_same_faces_at_every_call(drawn):
    every = load_domain(drawn / "train/20s", 32)
    first, again = (load(drawn / "train", 12) for _ in range(2))
    assert [len(faces) for faces in first] == [12, 12]
    np.testing.assert_array_equal(first[0].pixels, again[0].pixels)
    assert all((face == every.images).all(axis=(1, 2, 3)).any() for face in first[0].pixels)
    assert len(load(drawn / "train", 0)[0]) == len(every)


def test_labels_come_from_the_file_names(drawn):
    faces, _ = load(drawn / "train", 0)
    male = [path.name.split("_")[1] == "0" for path in sorted((drawn / "train/20s").iterdir())]
    assert faces.labelled.all()
    assert faces.labelled_male.tolist() == male


def test_the_judges_also_read_mirrored_faces(drawn):
    class LeftHanded(Oracle):
        """Male is who has a lighter left half."""

        def male(self, faces, title=""):
            halves = np.split(np.asarray(faces, float), 2, axis=2)
            return halves[0].mean(axis=(1, 2, 3)) > halves[1].mean(axis=(1, 2, 3))

    faces, _ = load(drawn / "train", 0, LeftHanded())
    np.testing.assert_array_equal(faces.mirrored_male, ~LeftHanded().male(faces.pixels))
    np.testing.assert_array_equal(faces.second_mirrored_male, faces.readings.second_male)


def test_missing_and_small_domains_are_named(drawn, tmp_path):
    with pytest.raises(UserError, match=r"nowhere/20s: no such folder"):
        load(tmp_path / "nowhere", 0)
    (tmp_path / "20s").mkdir()
    for path in sorted((drawn / "train/20s").iterdir())[:4]:
        shutil.copy(path, tmp_path / "20s")
    with pytest.raises(UserError, match=r"20s: 4 faces are too few to measure anything; at least 8"):
        load(tmp_path, 0)


def test_outputs_cycles_and_identity_mappings_come_from_the_right_generators(drawn):
    young, old = load(drawn / "train", 8)
    older, younger = Lighter(30), Lighter(-7)
    age, rejuvenate = ways((older, younger), "20s", "50s").values()
    aged = crops.translate(age, young, old, Oracle(), "some")
    np.testing.assert_array_equal(aged.outputs, older(young.pixels))
    np.testing.assert_array_equal(aged.cycled, younger(older(young.pixels)))
    np.testing.assert_array_equal(aged.mapped, older(old.pixels))
    assert (aged.age_gain > 20).all()
    rejuvenated = crops.translate(rejuvenate, old, young, Oracle(), "some")
    np.testing.assert_array_equal(rejuvenated.cycled, older(younger(old.pixels)))
    assert (rejuvenated.age_gain > 0).all()
    assert crops.translate(age, young, None, Oracle(), "some").mapped is None


def test_a_generator_that_is_told_an_age_has_a_way_to_each_age_that_it_knows():
    told = ways((Told(), Lighter(-7)), "20s", "50s")
    assert {title: (way.source, way.target, way.age, way.generator.grey) for title, way in told.items()} == {
        "told 45": ("20s", "40s", 45, 5), "told 55": ("20s", "50s", 55, 15), "told 65": ("20s", "60s", 65, 25),
        "rejuvenate": ("50s", "20s", None, -7)}
