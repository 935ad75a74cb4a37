import json
import subprocess
import types

import pytest
import tensorflow as tf
from conftest import python

from ageing.errors import UserError
from ageing.training import devices, recipe_check


@pytest.mark.parametrize(("flags", "expected"), [
    ({"avx512f"}, "float32"), ({"avx512f", "avx512_bf16"}, "mixed_bfloat16"), ({"amx_bf16"}, "mixed_bfloat16"),
    (set(), "float32")])
def test_bfloat16_only_where_the_processor_computes_it(monkeypatch, flags, expected):
    monkeypatch.setattr(devices, "_cpu_flags", lambda: flags)
    assert devices.precision("auto") == expected
    assert devices.precision("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize(("capabilities", "expected"), [([(8, 0)], "mixed_bfloat16"), ([(7, 5)], "float32"),
                                                        ([(9, 0), (7, 0)], "float32"), ([None], "float32")])
def test_bfloat16_only_where_every_gpu_computes_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: capabilities if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "get_device_details",
                        lambda gpu: {"compute_capability": gpu} if gpu else {})
    assert devices.precision("auto") == expected
    assert devices.jit_compile("on")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_of_keras_is_one_line(monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(UserError, match=f"KERAS_BACKEND={backend}: training runs on Keras' TensorFlow backend; unset"):
        devices.load_tensorflow()


def test_the_settings_file_of_keras_has_no_effect(tmp_path):
    """Not the data format, not the precision, not the backend."""
    (tmp_path / "keras.json").write_text(json.dumps({
        "backend": "jax", "floatx": "float64", "image_data_format": "channels_first", "epsilon": 1e-7}))
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    command, settings = python("-c", (
        "from ageing.training import devices; devices.load_tensorflow(); import keras\n"
        "print(keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(), "
        "keras.layers.Conv2D(1, 3)(keras.ops.ones((1, 8, 9, 3))).dtype.name)"), env=environment)
    done = subprocess.run(command, capture_output=True, **settings)
    assert done.stdout.split() == ["tensorflow", "float32", "channels_last", "float32"], done.stderr


def test_xla_never_on_a_cpu():
    assert not any(devices.jit_compile(kind) for kind in ("auto", "on", "off"))


def test_one_processor_needs_no_strategy():
    assert devices.strategy("auto").num_replicas_in_sync == 1
    assert devices.is_chief(devices.strategy("auto"))


def test_cluster_is_read_from_tf_config(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster}))
    assert devices._cluster_size() == 3
    for text in ("{", "[]", '"a"'):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(UserError, match="TF_CONFIG"):
            devices.strategy("auto")


def test_batches_of_every_stage_are_checked_before_the_first_step(tiny):
    recipe = recipe_check.parse(tiny, "tiny")
    two = types.SimpleNamespace(num_replicas_in_sync=2)
    devices.check_batches(two, recipe)
    tiny["stages"][1]["batch_size"] = 3
    with pytest.raises(UserError, match=r"stages\.1\.batch_size=3 cannot be shared by 2 devices"):
        devices.check_batches(two, recipe_check.parse(tiny, "tiny"))


@pytest.mark.parametrize(("visible", "tool", "expected"), [
    (None, "/usr/bin/nvidia-smi", True), ("0", "/usr/bin/nvidia-smi", True), ("-1", "/usr/bin/nvidia-smi", False),
    ("", "/usr/bin/nvidia-smi", False)])
def test_a_card_that_is_hidden_on_purpose_is_no_card(monkeypatch, visible, tool, expected):
    monkeypatch.setattr(devices.shutil, "which", lambda name: tool)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.has_nvidia_card() == expected
