"""The landmark network against the numbers of face-api itself, and its errors."""

import importlib.util

import numpy as np
import onnx
import pytest
from conftest import ROOT
from PIL import Image

from ageing.errors import UserError
from ageing.faces import landmarks

# Of face-api 1.7.15 in Node.js: ends of the jaw and of its tip, tip of the nose, outer corners of the eyes, right
# corner of the mouth; on the astronaut's face as it is, mirrored, darkened.
SOME = [0, 8, 30, 36, 45, 54]
FACE_API = [[[0.047903, 0.334903], [0.429707, 0.979743], [0.443281, 0.557976],
             [0.211594, 0.329674], [0.697928, 0.362402], [0.624584, 0.694999]],
            [[0.117093, 0.352948], [0.547824, 0.981774], [0.536940, 0.563953],
             [0.282104, 0.345517], [0.775341, 0.335726], [0.728128, 0.665296]],
            [[0.046759, 0.332662], [0.430192, 0.979221], [0.445331, 0.558952],
             [0.210406, 0.329853], [0.702695, 0.363321], [0.624226, 0.695087]]]


def test_it_computes_what_face_api_computes():
    face = np.asarray(Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((170, 60, 290, 180))
                      .resize((landmarks.SIZE,) * 2))
    points = landmarks.Landmarks().find(np.stack([face, face[:, ::-1], face // 2]))
    assert points.shape == (3, landmarks.POINTS, 2)
    np.testing.assert_allclose(points[:, SOME], FACE_API, atol=1e-5)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x.onnx: the landmark network cannot be read \(No such file.*git checkout"):
        landmarks.Landmarks(tmp_path / "x.onnx")


@pytest.mark.parametrize("damage", [lambda data: data[:-1000], lambda data: b"",
                                    lambda data: (ROOT / "assets/second_judge/age_gender.onnx").read_bytes()],
                         ids=["cut off", "empty", "another network"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "x.onnx"
    path.write_bytes(damage(landmarks.WEIGHTS.read_bytes()))
    with pytest.raises(UserError, match=r"x.onnx: the landmark network cannot be read \(damaged\); .*git checkout"):
        landmarks.Landmarks(path)


def test_the_file_is_what_convert_makes_of_face_apis_weights():
    """Of the weights in the file, put back as face-api stores them."""
    weights = weights_as_published()
    assert sum(values.nbytes for values, _, _ in weights.values()) == 356_840  # the size of face-api's own file
    spec = importlib.util.spec_from_file_location("convert", landmarks.WEIGHTS.with_name("convert.py"))
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    assert convert.build(weights).SerializeToString(deterministic=True) == landmarks.WEIGHTS.read_bytes()


def weights_as_published():
    """As face_api.read_weights returns them: {name: (values with axes (height, width, in, out), scale, low)}."""
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor)
              for tensor in onnx.load(landmarks.WEIGHTS).graph.initializer}
    weights = {}
    for name, values in stored.items():
        if name.endswith("depthwise_filter"):
            values = values.transpose(2, 3, 0, 1)
        elif values.ndim == 4:
            values = values.transpose(2, 3, 1, 0)
        if name.endswith(("filters", "filter", "weights", "bias")):
            weights[name] = (values, stored.get(f"{name}/scale"), stored.get(f"{name}/low"))
    return weights
