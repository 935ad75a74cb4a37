import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ageing.errors import UserError
from ageing.faces.translator import BATCH, Translator


def model_of(path, nodes, told=None, **constants):
    """An ONNX file of `nodes` from "image" to "out", with constant arrays of the names given, that tells `told`."""
    shape = ["N", "H", "W", 3]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)]
    if "ages" in (told or {}):
        inputs.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N", 1]))
    graph = helper.make_graph(nodes, "g", inputs,
                              [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, told or {})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """An ONNX file that halves its input, as an export tells its size and domain."""
    half = helper.make_node("Mul", ["image", "half"], ["out"])
    return model_of(tmp_path_factory.mktemp("onnx") / "half.onnx", [half], {"size": "64", "makes": "50s"},
                    half=np.float32(0.5))


def test_translates_batches_of_any_length(halves):
    halve = Translator(halves)
    assert (halve.size, halve.title) == (64, "50s")
    for n in (0, 1, BATCH, BATCH + 3):
        faces = np.random.default_rng(n).integers(0, 256, (n, 8, 12, 3), np.uint8)
        out = halve(faces)
        assert out.dtype == np.uint8
        np.testing.assert_allclose(out, faces / 2 + 63.75, atol=0.51)
        np.testing.assert_allclose(halve.change(faces), 63.75 - faces / 2.0, atol=1e-4)


def test_a_generator_is_told_an_age(tmp_path):
    """With a network that adds the age in years to grey levels."""
    node = helper.make_node
    path = model_of(tmp_path / "told.onnx", [node("Reshape", ["age", "shape"], ["years"]),
                                             node("Div", ["years", "scale"], ["level"]),
                                             node("Add", ["image", "level"], ["out"])],
                    {"ages": "45-85"}, shape=[-1, 1, 1, 1], scale=np.float32(127.5))
    told = Translator(path)
    faces = np.zeros((BATCH + 1, 8, 12, 3), np.uint8)
    assert (told.ages, told.age) == ((45, 85), 55)
    for age, one in ((55, told), (70, told.told(70)), (45.5, told.told(70).told(45.5))):
        np.testing.assert_allclose(one.change(faces), age, atol=1e-4)
    for age in (39, 91):  # the decades reach five years around their middles
        with pytest.raises(UserError, match=rf"age {age}: .*told\.onnx makes 45 to 85 years only"):
            told.told(age)


def test_one_that_makes_a_single_domain_is_told_none(halves):
    with pytest.raises(UserError, match=r"half\.onnx makes only 50s; .* data\.domain_B"):
        Translator(halves).told(70)


def test_a_face_and_its_mirror_image_are_averaged(tmp_path):
    """With a network that moves its image one pixel to the left: the mirrored one moves to the right."""
    node = helper.make_node
    path = model_of(tmp_path / "left.onnx", [node("Slice", ["image", "first", "end", "axis"], ["rest"]),
                                             node("Slice", ["image", "last", "end", "axis"], ["edge"]),
                                             node("Concat", ["rest", "edge"], ["out"], axis=2)],
                    first=[1], last=[-1], end=[2**31], axis=[2])
    faces = np.random.default_rng(1).integers(0, 256, (BATCH - 1, 8, 12, 3), np.uint8)
    left = np.concatenate([faces[:, :, 1:], faces[:, :, -1:]], axis=2)
    right = np.concatenate([faces[:, :, :1], faces[:, :, :-1]], axis=2)
    np.testing.assert_array_equal(Translator(path, mirror=False)(faces), left)
    np.testing.assert_allclose(Translator(path).change(faces), (left.astype(float) + right) / 2 - faces, atol=1e-4)


@pytest.mark.parametrize("axis", [1, 2])
def test_stripes_bound_to_the_grid_cancel(tmp_path, axis):
    """With a network that adds 1 to every second row (axis 1) or column (2)."""
    node = helper.make_node
    path = model_of(tmp_path / "stripes.onnx", [
        node("Shape", ["image"], ["side"], start=axis, end=axis + 1), node("Squeeze", ["side"], ["n"]),
        node("Range", ["zero", "n", "one"], ["places"]), node("Mod", ["places", "two"], ["odd"]),
        node("Unsqueeze", ["odd", "others"], ["stripes"]), node("Cast", ["stripes"], ["floats"], to=TensorProto.FLOAT),
        node("Add", ["image", "floats"], ["out"])], zero=0, one=1, two=2, others=[a for a in range(4) if a != axis])
    faces = np.full((1, 8, 8, 3), 100, np.uint8)
    assert np.ptp(Translator(path, mirror=False).change(faces)) == pytest.approx(127.5)
    np.testing.assert_allclose(Translator(path).change(faces), 127.5 / 2, atol=1e-4)


def test_what_is_no_generator_is_named(tmp_path, halves):
    with pytest.raises(UserError, match=r"g_AB.onnx: no such file; generators there: none"):
        Translator(tmp_path / "g_AB.onnx")
    (tmp_path / "g.onnx").write_bytes(halves.read_bytes()[:40])
    with pytest.raises(UserError, match=r"g.onnx: not a generator that train.py exported"):
        Translator(tmp_path / "g.onnx")
