"""How a step is computed, on the backend of Keras. What both backends compute: test_backends.py."""

import types

import keras
import numpy as np
import pytest
from keras import ops
from training_pieces import COMPILE

from ageing.training import engine as engine_module
from ageing.training.engine import Engine, Jax, TensorFlow, engine

IDENTITY = (1, 0, 0, 0, 1, 0)


def warp(images, *transforms):
    """What the engine makes of images (N, H, W, 3)."""
    return ops.convert_to_numpy(engine().warp(ops.convert_to_tensor(images), ops.array(transforms, dtype="float32")))


def pixels(n, height=24, width=20):
    return np.random.default_rng(1).integers(0, 256, (n, height, width, 3), np.uint8)


def bilinear(image, transform):
    """`image` (H, W, 3), sampled at the transform's places by NumPy; the rim is mirrored: ... 1 0 0 1 2 ..."""
    height, width, _ = image.shape
    a, b, x, d, e, y = transform
    rows, columns = np.mgrid[:height, :width].astype(float)
    across, down = a * columns + b * rows + x, d * columns + e * rows + y
    left, top = np.floor(across), np.floor(down)
    mirrored = np.pad(image.astype(float), ((height, height), (width, width), (0, 0)), "symmetric")
    out = 0
    for i, share in ((0, 1 - down + top), (1, down - top)):
        for j, part in ((0, 1 - across + left), (1, across - left)):
            found = mirrored[(top + i + height).astype(int), (left + j + width).astype(int)]
            out = out + (share * part)[..., None] * found
    return out


def test_warp_of_nothing_and_of_a_mirror_is_exact():
    images = pixels(2)
    straight, mirrored = warp(images, IDENTITY, (-1, 0, images.shape[2] - 1, 0, 1, 0))
    assert straight.dtype == np.float32
    np.testing.assert_array_equal(straight, images[0])
    np.testing.assert_array_equal(mirrored, images[1, :, ::-1])


def test_warp_samples_bilinearly_and_mirrors_the_rim():
    turned, grown = 20 * np.pi / 180, 0.9
    cos, sin = grown * np.cos(turned), grown * np.sin(turned)
    transforms = [(1, 0, 3, 0, 1, -5), (1, 0, -0.25, 0, 1, 1.75), (cos, -sin, 2.5, sin, cos, -3),
                  (-cos, -sin, 21, -sin, cos, 4)]
    images = pixels(len(transforms))
    found = warp(images, *transforms)
    # A whole shift by three columns and five rows up: pixels are moved, nothing is computed.
    np.testing.assert_array_equal(found[0, 5:, :-3], images[0, :-5, 3:])
    np.testing.assert_array_equal(found[0, :5, :-3], images[0, 4::-1, 3:])
    for image, transform, one in zip(images, transforms, found, strict=True):
        np.testing.assert_allclose(one, bilinear(image, transform), atol=0.01)  # of 255


def test_warp_keeps_the_brightness():
    cos, sin = np.cos(0.3), np.sin(0.3)
    even = np.full((1, 16, 16, 3), 201, np.uint8)
    np.testing.assert_allclose(warp(even, (cos, -sin, 2.3, sin, cos, -1.7)), 201, atol=1e-3)


def test_minimise_takes_one_step_on_the_given_variables_and_tells_the_gradients_length():
    point, other = keras.Variable([3.0, 5.0]), keras.Variable(2.0)
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build([point])
    step = COMPILE(engine(), lambda: engine().minimise(
        lambda: (other * ops.sum(ops.square(point - 1.0)), {"loss": point[0]}), [point], optimizer))
    more, length = step()
    assert float(more["loss"]) == 3
    assert float(length) == pytest.approx(np.hypot(8, 16))  # 2 * 2 * (2, 4)
    np.testing.assert_allclose(ops.convert_to_numpy(point), [3 - 4, 5 - 8])
    assert float(other) == 2


def test_forward_follows_the_weights():
    network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    forward = engine().forward(network)
    assert float(forward(np.ones((1, 2), np.float32))[0, 0]) == 2
    network.layers[0].kernel.assign([[3.0], [4.0]])
    assert float(forward(np.ones((1, 2), np.float32))[0, 0]) == 7


@pytest.mark.parametrize(("gpus", "xla", "compiled"), [([], True, False), (["gpu"], True, True),
                                                       (["gpu"], False, False)])
def test_tensorflow_compiles_by_xla_on_a_gpu_only(gpus, xla, compiled):
    asked = types.SimpleNamespace(function=lambda function, **settings: settings)
    assert COMPILE(types.SimpleNamespace(tf=asked, gpus=gpus), None, xla=xla)["jit_compile"] is compiled


@pytest.mark.parametrize(("capabilities", "flags", "expected"), [
    ([], {"avx512f"}, "float32"), ([], {"avx512f", "avx512_bf16"}, "mixed_bfloat16"),
    ([], {"amx_bf16"}, "mixed_bfloat16"), ([], set(), "float32"), ([8], set(), "mixed_bfloat16"),
    ([7], {"amx_bf16"}, "float32"), ([9, 7], set(), "float32"), ([9, 8], set(), "mixed_bfloat16")])
def test_bfloat16_only_where_processor_or_every_gpu_computes_it(monkeypatch, capabilities, flags, expected):
    monkeypatch.setattr(engine_module, "_cpu_flags", lambda: flags)
    device = Engine()
    device.gpu_capabilities = lambda: capabilities
    assert device.precision("auto") == expected
    assert device.precision("mixed_bfloat16") == "mixed_bfloat16"
    assert device.precision("float32") == "float32"


@pytest.mark.parametrize(("details", "capabilities", "words"), [
    ([{"device_name": "NVIDIA L4", "compute_capability": (8, 9)}], [8], "TensorFlow on 1 x NVIDIA L4, float32"),
    ([{}], [0], "TensorFlow on 1 x GPU, float32"), ([], [], "TensorFlow on CPU (")])
def test_tensorflow_tells_its_device(monkeypatch, details, capabilities, words):
    monkeypatch.setattr(TensorFlow, "_details", lambda self: details)
    assert TensorFlow().gpu_capabilities() == capabilities
    assert words in TensorFlow().describe("float32")


def test_the_memory_of_a_gpu_is_its_own():
    gpu = types.SimpleNamespace(memory_stats=lambda: {"peak_bytes_in_use": 7})
    assert Jax.gpu_peak(types.SimpleNamespace(gpus=[gpu])) == 7
    tf = types.SimpleNamespace(config=types.SimpleNamespace(experimental=types.SimpleNamespace(
        get_memory_info=lambda device: {"peak": 8})))
    assert TensorFlow.gpu_peak(types.SimpleNamespace(gpus=["gpu"], tf=tf)) == 8
    assert TensorFlow.gpu_peak(types.SimpleNamespace(gpus=[])) is Jax.gpu_peak(types.SimpleNamespace(gpus=[])) is None


@pytest.mark.parametrize(("told", "expected"), [("9.0", 9), ("7.5", 7), ("gfx942", 8), (None, 0)])
def test_the_capability_of_cards_on_jax(told, expected):
    """An AMD card tells its name."""
    gpu = types.SimpleNamespace(**{"compute_capability": told} if told else {})
    assert Jax.gpu_capabilities(types.SimpleNamespace(gpus=[gpu])) == [expected]


def test_keras_has_the_two_private_names_that_the_engine_needs():
    """They are needed on JAX only. Keras may rename them in any version."""
    variable = keras.Variable([1.0])
    engine_module._set_value(variable, variable.value + 1)
    assert float(variable.value[0]) == 2
    assert engine_module._outer_scope() is None
    with keras.StatelessScope() as scope:
        assert engine_module._outer_scope() is scope
