import json
import types

import pytest
import tensorflow as tf

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
