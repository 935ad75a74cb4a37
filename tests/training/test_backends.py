"""JAX computes what TensorFlow computes, on one device, on two, and in two processes; its runs resume to the bit.

JAX is the Python that the environment variable JAX_PYTHON names, or the one that runs the tests. CI sets JAX_PYTHON to
an environment without TensorFlow.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import backend_values
import numpy as np
import pytest
from conftest import ROOT, TINY, checkpoint_values, python, write_recipe

import train
from ageing.training.runs import Run

JAX_PYTHON = os.environ.get("JAX_PYTHON") or (sys.executable if importlib.util.find_spec("jax") else None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(JAX_PYTHON is None, reason="jax is not installed")]
# It compiles for a minute and then computes for a moment.
QUICK = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0",
         "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache/jax"),
         "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def start(*arguments, **settings):
    """A process of JAX_PYTHON."""
    (_, *command), more = python(*arguments, env=QUICK | settings.pop("env", {}), **settings)
    return subprocess.Popen([JAX_PYTHON, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def output(process, code=0):
    text, _ = process.communicate(timeout=500)
    assert process.returncode == code, text
    return text


def computed(path, devices, *processes):
    """The arrays that `processes` wrote."""
    for process in processes:
        output(process)
    with np.load(path) as found:
        arrays = dict(found)
    assert arrays.pop("devices") == devices
    return arrays


def assert_close(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name.startswith("pool_") and value.ndim == 4:  # pixels of 8 bits: a few are rounded to the next one
            levels = np.abs(found[name] - value) * 255
            assert levels.max() < 1.5, name
            assert (levels > 0.5).mean() < 1e-3, name
        else:
            np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def test_the_parts_of_a_step(tmp_path):
    process = start(backend_values.__file__, tmp_path / "values.npz")
    assert_close(computed(tmp_path / "values.npz", 1, process), backend_values.values(), 2e-5)


def test_steps_on_one_device_on_two_and_in_two_processes(tmp_path):
    expected = backend_values.steps()

    def on(name, **env):
        return start(backend_values.__file__, tmp_path / f"{name}.npz", "steps", env=env)

    assert_close(computed(tmp_path / "one.npz", 1, on("one")), expected, 5e-5)
    two = QUICK["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    assert_close(computed(tmp_path / "two.npz", 2, on("two", XLA_FLAGS=two)), expected, 5e-5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [on(f"process {k}", JAX_COORDINATOR_ADDRESS=address, JAX_NUM_PROCESSES="2", JAX_PROCESS_ID=str(k))
            for k in (0, 1)]
    assert_close(computed(tmp_path / "process 0.npz", 2, *both), expected, 5e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, drawn):
    """The folder of a run on JAX: three steps at 16 px, each saved. Without TensorFlow, if JAX_PYTHON has none."""
    place = tmp_path_factory.mktemp("jax")
    (place / "faces").symlink_to(drawn)
    write_recipe(place / "tiny.yaml", TINY | {"stages": [TINY["stages"][0] | {"warm_start_steps": 0}], "finish": {},
                                              "monitor": {"log_every": 1, "save_every": 1}})
    said = output(start(ROOT / "train.py", "--config", "tiny.yaml", cwd=place))
    assert "3 steps, JAX on CPU" in said
    assert "exported g_AB.keras, g_BA.keras" in said or "exported g_AB.onnx" in said
    return place / "runs/00001-tiny"


def shortened(run, place, step):
    """A copy of `run` in `place` that ends with the checkpoint of `step`."""
    (place / "faces").symlink_to((run.parent.parent / "faces").resolve())
    copy = shutil.copytree(run, place / "runs" / run.name)
    for later in (path for path in (copy / "checkpoints").iterdir() if int(path.stem[4:]) > step):
        later.unlink()
    shutil.rmtree(copy / "export")
    return copy


def test_a_run_that_was_killed_resumes_to_the_bit(trained, tmp_path):
    copy = shortened(trained, tmp_path, 1)
    output(start(ROOT / "train.py", "--resume", copy, cwd=tmp_path))
    mine, theirs = checkpoint_values(copy, 3), checkpoint_values(trained, 3)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert np.array_equal(mine[name], value), name


def test_the_same_checkpoint_resumes_on_tensorflow(trained, tmp_path, monkeypatch):
    copy = shortened(trained, tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "export_in_own_process", lambda run: None)
    assert train.main(["--resume", str(copy)]) == 0
    mine, theirs = (json.loads(Path(run, "log.jsonl").read_text().splitlines()[2]) for run in (copy, trained))
    for name in ("d_A", "d_B", "adversarial_AB", "cycle_AB", "identity_AB", "consistency_AB", "label_BA", "g_gradient"):
        assert mine[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-5), name


def test_what_was_exported_without_tensorflow_becomes_onnx(trained, tmp_path):
    if importlib.util.find_spec("tensorflow") and sys.executable == JAX_PYTHON:
        pytest.skip("JAX_PYTHON has TensorFlow")
    folder = shutil.copytree(trained / "export", tmp_path / "export")
    assert {p.name for p in folder.iterdir()} == {"g_AB.keras", "g_BA.keras", "metadata.json", "card.md"}
    command, settings = python(ROOT / "train.py", "--export", folder)
    done = subprocess.run(command, check=True, capture_output=True, **settings)
    assert "exported g_AB.onnx, g_BA.onnx" in done.stdout
    assert {p.name for p in folder.iterdir()} == {"g_AB.keras", "g_BA.keras", "g_AB.onnx", "g_BA.onnx", "card.md"}
    assert "| g_AB.onnx |" in (folder / "card.md").read_text()


def test_a_job_of_two_processes_leaves_one_run(drawn, tmp_path):
    """The second process writes nothing. Both resume."""
    (tmp_path / "faces").symlink_to(drawn)
    write_recipe(tmp_path / "tiny.yaml", TINY | {"stages": [TINY["stages"][0] | {"steps": 0}], "finish": {}})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def job(*arguments):
        return [start(ROOT / "train.py", *arguments, cwd=tmp_path, env={
            "JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(k)}) for k in (0, 1)]

    first, second = map(output, job("--config", "tiny.yaml"))
    assert "1 steps, JAX on CPU" in first
    assert second.count("\n") <= 3, second
    run = Run.open(tmp_path / "runs/00001-tiny")
    assert run.steps() == [1]
    shutil.rmtree(run.folder / "export")
    for said in map(output, job("--resume", "runs/00001-tiny", "stages.0.steps=1")):
        assert "Traceback" not in said
    assert run.steps() == [1, 2]
    assert len(list((tmp_path / "runs").iterdir())) == 1
