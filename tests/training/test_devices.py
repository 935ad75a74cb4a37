import json
import os
import subprocess
import types

import pytest
from conftest import python, write_recipe

from ageing.errors import UserError
from ageing.training import devices, recipe_file


@pytest.fixture
def load(monkeypatch):
    """A function that loads the backend on a machine of these parts; which it is."""
    find_spec = devices.importlib.util.find_spec

    def load(installed="tensorflow jax", tensorflow=0, jax=0, card=False, backend=""):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name, *more: (
            name in installed.split() or None) if name in devices.BACKENDS else find_spec(name, *more))
        monkeypatch.setattr(devices, "has_nvidia_card", lambda: card)
        for name, gpus in (("tensorflow", tensorflow), ("jax", jax)):
            monkeypatch.setattr(devices, f"_{name}_gpus", lambda name=name, gpus=gpus: asked.append(name) or gpus)
        devices.load_backend()
        return os.environ["KERAS_BACKEND"]

    asked = load.asked = []
    return load


@pytest.mark.parametrize(("machine", "expected"), [
    ({}, "tensorflow"), ({"installed": "jax"}, "jax"), ({"installed": "tensorflow", "card": True}, "tensorflow"),
    ({"card": True, "tensorflow": 1, "jax": 1}, "tensorflow"), ({"card": True, "jax": 1}, "jax"),
    ({"card": True}, "tensorflow"), ({"card": True, "tensorflow": 1, "jax": 1, "backend": "jax"}, "jax"),
    ({"card": True, "jax": 1, "backend": "tensorflow"}, "tensorflow")], ids=str)
def test_tensorflow_unless_told_or_jax_alone_is_installed_or_sees_a_gpu(load, machine, expected):
    assert load(**machine) == expected
    if len(machine.get("installed", "two of them").split()) == 1 or "backend" in machine or not machine.get("card"):
        assert load.asked == [expected]  # the other one is not imported


@pytest.mark.parametrize(("machine", "words"), [
    ({"backend": "torch"}, "KERAS_BACKEND=torch: training runs on tensorflow and jax; unset KERAS_BACKEND, or set it"),
    ({"backend": "jax", "installed": "tensorflow"}, "KERAS_BACKEND=jax, but jax .*pip install -r requirements-gpu.txt"),
    ({"backend": "tensorflow", "installed": "jax"}, "but tensorflow is not .*pip install -r requirements.txt"),
    ({"installed": ""}, "neither TensorFlow nor JAX is installed; pip install -r requirements.txt, or .*-gpu.txt"),
], ids=str)
def test_a_backend_that_cannot_be_is_one_line(load, machine, words):
    with pytest.raises(UserError, match=words):
        load(**machine)
    assert load.asked == []


@pytest.mark.parametrize(("machine", "words"), [
    ({}, None), ({"card": True, "tensorflow": 1}, None),
    ({"card": True, "tensorflow": 3}, "TensorFlow trains on 1 of 3 GPUs. JAX trains on all of them: pip install -r "),
    ({"card": True, "jax": 3}, None),
    ({"card": True}, "WARNING: this machine has an NVIDIA card, but tensorflow sees no GPU"),
    ({"card": True, "backend": "jax"}, "WARNING: this machine has an NVIDIA card, but jax sees no GPU")], ids=str)
def test_gpus_that_are_not_used_are_told(load, machine, words, capsys):
    load(**machine)
    err = capsys.readouterr().err
    assert err.startswith(words) if words else not err
    assert err.count("\n") == bool(words)
    assert "requirements-gpu.txt" in err or not words


def test_the_settings_file_of_keras_has_no_effect(tmp_path):
    """Not the data format, not the precision, not the backend."""
    (tmp_path / "keras.json").write_text(json.dumps({
        "backend": "jax", "floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-7}))
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    command, settings = python("-c", (
        "from ageing.training import devices; devices.load_backend(); import keras\n"
        "print(keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format(), "
        "keras.layers.Conv2D(1, 3)(keras.ops.ones((1, 8, 9, 3))).dtype.name)"), env=environment)
    done = subprocess.run(command, capture_output=True, **settings)
    assert done.stdout.split() == ["tensorflow", "float32", "channels_last", "float32"], done.stderr


class Machine:
    """In place of an Engine with so many devices."""

    def __init__(self, devices, several_processes=False):
        self.devices, self.several_processes = devices, several_processes

    def use(self, devices):
        self.devices = devices


def test_batches_of_every_stage_are_checked_before_the_first_step(tiny):
    devices.share_batches(recipe_file.parse(tiny, "tiny"), Machine(2, True))
    for part, key, name in ((tiny["stages"][1], "batch_size", "stages.1.batch_size"),
                            (tiny["stages"][0], "warm_start_batch", "stages.0.warm_start_batch"),
                            (tiny["finish"], "batch_size", "finish.batch_size")):
        kept, part[key] = part[key], 5
        with pytest.raises(UserError, match=f"{name}=5 cannot be shared by 2 devices; make it a multiple of 2, or"):
            devices.share_batches(recipe_file.parse(tiny, "tiny"), Machine(2, True))
        devices.share_batches(recipe_file.parse(tiny, "tiny"), Machine(1))
        part[key] = kept


@pytest.mark.parametrize(("there", "used"), [(1, 1), (2, 2), (3, 2), (4, 4), (6, 4), (8, 4)])
def test_the_default_recipe_trains_on_as_many_gpus_as_share_its_batches(there, used, capsys):
    machine = Machine(there)
    devices.share_batches(recipe_file.load(recipe_file.DEFAULT), machine)
    assert machine.devices == used
    err = capsys.readouterr().err
    assert (f"cannot be shared by {there} devices: {used} of them train." in err) == bool(err) == (used < there)


def test_exporting_takes_no_gpu(monkeypatch, tmp_path):
    """Another run may be using it."""
    import train

    def load_backend():
        raise UserError(f"{os.environ['CUDA_VISIBLE_DEVICES']} {os.environ['JAX_PLATFORMS']}")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(devices, "load_backend", load_backend)
    write_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(UserError, match="-1 cpu"):
        train.main(["--export", str(tmp_path)])


@pytest.mark.parametrize(("gpus", "set_by_user", "kept"), [(1, None, True), (0, None, False), (1, "mine", False)])
def test_jax_keeps_compiled_steps_on_gpus(monkeypatch, gpus, set_by_user, kept):
    """On processors too they would be kept, but another one might not run them."""
    settings = []
    config = types.SimpleNamespace(jax_compilation_cache_dir=set_by_user, update=lambda *one: settings.append(one))
    monkeypatch.setitem(devices.sys.modules, "jax", types.SimpleNamespace(
        config=config, devices=lambda: [types.SimpleNamespace(platform="gpu")] * gpus))
    devices._jax_gpus()
    assert [name for name, _ in settings] == ["jax_compilation_cache_dir"] * kept


@pytest.mark.parametrize(("visible", "tool", "expected"), [
    (None, "/usr/bin/nvidia-smi", True), ("0", "/usr/bin/nvidia-smi", True), ("-1", "/usr/bin/nvidia-smi", False),
    ("", "/usr/bin/nvidia-smi", False)])
def test_a_card_that_is_hidden_on_purpose_is_no_card(monkeypatch, visible, tool, expected):
    monkeypatch.setattr(devices.shutil, "which", lambda name: tool)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.has_nvidia_card() == expected


def test_a_job_of_several_machines_needs_all_three_settings(monkeypatch):
    """JAX' coordinator would wait for ever for a process without a number."""
    jax = types.SimpleNamespace(distributed=types.SimpleNamespace(
        is_initialized=lambda: False, initialize=lambda *how: started.append(how)), devices=lambda: [],
        config=types.SimpleNamespace(update=lambda *setting: None))
    started = []
    monkeypatch.setitem(devices.sys.modules, "jax", jax)
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "a:1")
    for n, number in ((None, "0"), ("2", None), ("two", "0")):
        for name, value in (("JAX_NUM_PROCESSES", n), ("JAX_PROCESS_ID", number)):
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        with pytest.raises(UserError, match="JAX_NUM_PROCESSES .how many. and JAX_PROCESS_ID .* must be set too"):
            devices._jax_gpus()
    assert not started
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    assert devices._jax_gpus() == 0
    assert started == [("a:1", 2, 1)]


@pytest.mark.parametrize("error", [RuntimeError("Unable to initialize backend 'cuda':\n no driver"), AssertionError()],
                         ids=repr)
def test_a_platform_that_cannot_start_is_one_line(monkeypatch, error):
    def devices_of_jax():
        raise error

    monkeypatch.setitem(devices.sys.modules, "jax", types.SimpleNamespace(devices=devices_of_jax))
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UserError, match=r"JAX_PLATFORMS=cuda: JAX cannot start there; .*requirements-gpu.txt \(.+\)"):
        devices._jax_gpus()
