import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from files import UserError
from translator import BATCH, Translator


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """An ONNX file that halves its input, as an export tells its size and domain."""
    shape = ["N", "H", "W", 3]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph([helper.make_node("Mul", ["image", "half"], ["out"])], "g",
                              [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)], [half])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"size": "64", "makes": "50s"})
    path = tmp_path_factory.mktemp("onnx") / "half.onnx"
    onnx.save(model, path)
    return path


def test_translates_batches_of_any_length(halves):
    halve = Translator(halves)
    assert (halve.size, halve.title) == (64, "50s")
    for n in (0, 1, BATCH, BATCH + 3):
        faces = np.random.default_rng(n).integers(0, 256, (n, 8, 12, 3), np.uint8)
        out = halve(faces)
        assert out.dtype == np.uint8
        np.testing.assert_allclose(out, faces / 2 + 63.75, atol=0.51)
        np.testing.assert_allclose(halve.change(faces), 63.75 - faces / 2.0, atol=1e-4)


def test_what_is_no_generator_is_named(tmp_path, halves):
    with pytest.raises(UserError, match=r"g_AB.onnx: no such file; generators there: none"):
        Translator(tmp_path / "g_AB.onnx")
    (tmp_path / "g.onnx").write_bytes(halves.read_bytes()[:40])
    with pytest.raises(UserError, match=r"g.onnx: not a generator that train.py exported"):
        Translator(tmp_path / "g.onnx")
