"""Faces as dlib sees them."""

import importlib.util
import types

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ageing.evaluation.dlib_faces import PLACES, SMALLEST, DlibFaces
from ageing.photos.alignment import apply


class FakeDlib:
    """A detector that sees one box; landmarks at PLACES of the crop, moved by `shift` pixels of it."""

    def __init__(self, left, top, width, shift=0):
        self.found, self.shift = types.SimpleNamespace(left=lambda: left, top=lambda: top, width=lambda: width), shift

    def rectangle(self, *corners):
        return corners

    def get_frontal_face_detector(self):
        return lambda photo: [self.found]

    def predict(self, crop, rectangle):
        assert crop.shape == (400, 400, 3)
        assert rectangle == (35, 35, 359, 359)
        points = [types.SimpleNamespace(x=x, y=y) for x, y in PLACES * 400 - 0.5 + self.shift]
        return types.SimpleNamespace(parts=lambda: points)


def frames(*box, shift=0):
    fake = FakeDlib(*box, shift=shift)
    return DlibFaces(fake, fake.predict).frames(np.zeros((300, 400, 3), np.uint8))


def test_landmarks_at_their_places_give_the_box_in_utkfaces_framing():
    matrix, = frames(40, 80, 108)  # of a photo that is enlarged by 80 / 60
    left, top, side = 30 - 0.088 * 100, 60 - 0.088 * 100, 100
    np.testing.assert_allclose(matrix, [[side, 0, left], [0, side, top]], atol=1e-6)


def test_moved_landmarks_move_the_frame():
    straight, = frames(40, 80, 108)
    moved, = frames(40, 80, 108, shift=40)  # a tenth of the crop
    np.testing.assert_allclose(moved - straight, [[0, 0, 10], [0, 0, 10]], atol=1e-6)


def test_small_faces_are_left_out():
    assert len(frames(40, 80, SMALLEST * 80 / 60)) == 1
    assert frames(40, 80, SMALLEST * 80 / 60 - 1) == []


def test_dlib_finds_the_astronaut_and_follows_her_when_she_moves_and_tilts():
    dlib = pytest.importorskip("dlib", reason="the judges are not installed: pip install -r requirements-eval.txt")
    folder = importlib.util.find_spec("face_recognition_models").submodule_search_locations[0]
    faces = DlibFaces(dlib, dlib.shape_predictor(f"{folder}/models/shape_predictor_5_face_landmarks.dat"))
    photo = Image.open(ROOT / "samples/astronaut.jpg").convert("RGB")
    upright, = faces.frames(np.asarray(photo))
    turned, = faces.frames(np.asarray(photo.rotate(15, Image.Resampling.BICUBIC)))  # counter-clockwise
    corners = apply(upright, [(0, 0), (1, 0), (1, 1), (0, 1)])
    expected = (corners - 256) @ [[np.cos(a := np.radians(15)), -np.sin(a)], [np.sin(a), np.cos(a)]] + 256
    side = np.hypot(*upright[:, 0])
    found = apply(turned, [(0, 0), (1, 0), (1, 1), (0, 1)])
    assert np.abs(found - expected).max() < 0.05 * side
    np.testing.assert_allclose(upright[:, 1], [-upright[1, 0], upright[0, 0]])
