"""The second judge against the numbers of face-api itself, and its errors."""

import importlib.util

import numpy as np
import onnx
import pytest
from conftest import ROOT
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation import second_judge


def test_it_computes_what_face_api_computes():
    """On the astronaut's face: as it is, mirrored, darkened. The numbers are those of face-api 1.7.15 in Node.js."""
    face = np.asarray(Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((170, 60, 290, 180))
                      .resize((second_judge.SIZE,) * 2))
    ages, male = second_judge.SecondJudge().estimate(np.stack([face, face[:, ::-1], face // 2]))
    np.testing.assert_allclose(ages, [29.947580, 29.120663, 28.272354], atol=1e-3)
    np.testing.assert_allclose(male, [0.250631, 0.210118, 0.304997], atol=1e-5)


def test_a_face_is_read_alike_in_any_batch_and_at_any_size():
    photo = Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((160, 40, 300, 180))
    judge = second_judge.SecondJudge()
    small, large = (np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS)) for side in (128, 224))
    several = [small, small[:, ::-1], 255 - small, small // 2] * 2 + [small]
    many = judge.read(np.stack(several))
    assert len(several) > second_judge.BATCH
    assert many.ages.shape == many.male.shape == (9,)
    assert not many.male[0]
    assert many.ages[0] == pytest.approx(many.ages[8], abs=1e-3)
    assert judge.read(large[None]).ages[0] == pytest.approx(many.ages[0], abs=3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x.onnx: the second judge cannot be read \(No such file.*\); .*git checkout"):
        second_judge.SecondJudge(tmp_path / "x.onnx")


@pytest.mark.parametrize("damage", [lambda data: data[:-1000], lambda data: b"", lambda data: b"version https://git-lfs",
                                    lambda data: (ROOT / "saved_models/g_AB.onnx").read_bytes()],
                         ids=["cut off", "empty", "a pointer of git-lfs", "another network"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "x.onnx"
    path.write_bytes(damage(second_judge.WEIGHTS.read_bytes()))
    with pytest.raises(UserError, match=r"x.onnx: the second judge cannot be read \(damaged\); .*git checkout"):
        second_judge.SecondJudge(path)


def test_the_file_is_what_convert_makes_of_face_apis_weights():
    """Of the weights in the file, put back as face-api stores them."""
    weights = weights_as_published()
    assert sum(values.nbytes for values, _, _ in weights.values()) == 429_708  # the size of face-api's own file
    spec = importlib.util.spec_from_file_location("convert", second_judge.WEIGHTS.with_name("convert.py"))
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    assert convert.build(weights).SerializeToString(deterministic=True) == second_judge.WEIGHTS.read_bytes()


def weights_as_published():
    """As convert.read_weights returns them: {name: (values with axes (height, width, in, out), scale, low)}."""
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor)
              for tensor in onnx.load(second_judge.WEIGHTS).graph.initializer}
    weights = {}
    for name, values in stored.items():
        if name.endswith("depthwise_filter"):
            values = values.transpose(2, 3, 0, 1)
        elif values.ndim == 4:
            values = values.transpose(2, 3, 1, 0)
        if name.endswith(("filters", "filter", "weights", "bias")):
            weights[name] = (values, stored.get(f"{name}/scale"), stored.get(f"{name}/low"))
    return weights
