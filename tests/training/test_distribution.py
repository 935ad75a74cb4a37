"""Several devices and several machines end with the weights of one process on the same global batch.

Two devices are compared at the end of a run that grows, two machines at the end of its first stage.
"""

import json
import shutil
import socket
import subprocess

import numpy as np
import pytest
from conftest import EAGER, TINY, checkpoint_values, python, write_recipe

# Sums in another order differ in the last digits. Adam's first steps divide a gradient by its own size, which amplifies
# the last digits of a gradient that is nearly zero.
TOLERANCE = 2e-5
FIRST, STEPS = 3, 5  # 1 warm, 2 at 16 px, 2 at 32 px

TRAIN = EAGER + "sys.exit(train.main(sys.argv[1:]))"
TWO_DEVICES = ("import tensorflow as tf; tf.config.set_logical_device_configuration("
               "tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2); ")


@pytest.fixture(scope="module")
def place(tmp_path_factory, drawn):
    place = tmp_path_factory.mktemp("distributed")
    (place / "faces").symlink_to(drawn)
    first, second = TINY["stages"]
    write_recipe(place / "tiny.yaml", TINY | {
        "loss": {"lambda_label": 1000.0}, "adversary": TINY["adversary"] | {"steps": 2}, "finish": {"steps": 0},
        "stages": [first | {"steps": 2, "warm_start_steps": 1}, second | {"steps": 2, "warm_start_steps": 0}],
        "monitor": TINY["monitor"] | {"save_every": 4}})
    return place


def launch(place, runs, strategy, *overrides, prelude="", **environment):
    command, settings = python("-c", prelude + TRAIN, "--config", "tiny.yaml", "--runs", runs, f"strategy={strategy}",
                               *overrides, cwd=place, env=environment)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings)


def finish(*processes):
    outs = [process.communicate(timeout=900)[0] for process in processes]
    for process, out in zip(processes, outs, strict=True):
        assert process.returncode == 0, out
    return outs


@pytest.fixture(scope="module")
def single(place):
    finish(launch(place, "single", "none"))
    return place / "single/00001-tiny"


def assert_same_weights(run, single, step=STEPS):
    mine, theirs = checkpoint_values(run, step), checkpoint_values(single, step)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        if value.dtype.kind in "fi":
            np.testing.assert_allclose(mine[name], value, atol=TOLERANCE, err_msg=name)


@pytest.mark.slow
def test_two_devices_are_one(place, single):
    out, = finish(launch(place, "mirrored", "mirrored", prelude=TWO_DEVICES))
    assert "MirroredStrategy, 2 replicas" in out
    assert_same_weights(place / "mirrored/00001-tiny", single)
    # A run of two devices continues on one, within a stage.
    within = place / "mirrored/00001-tiny/checkpoints/step00000004"
    moved = place / "moved/00001-tiny"
    shutil.copytree(within, moved / "checkpoints" / within.name)
    write_recipe(place / "moved/recipe.yaml")
    text = (place / "mirrored/00001-tiny/recipe.yaml").read_text()
    (moved / "recipe.yaml").write_text(text.replace("strategy: mirrored", "strategy: none"))
    command, settings = python("-c", TRAIN, "--resume", moved, cwd=place)
    finish(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings))
    assert_same_weights(moved, single)


@pytest.mark.slow
def test_two_machines_are_one(place, single):
    with socket.socket() as a, socket.socket() as b:
        for s in (a, b):
            s.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in (a, b)]}
    roles = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in (0, 1)]
    outs = finish(*[launch(place, "workers", "multi_worker", "stages.1.steps=0", TF_CONFIG=role) for role in roles])
    assert "2 replicas" in outs[0]
    assert [p.name for p in (place / "workers").iterdir()] == ["00001-tiny"]  # one of them writes
    assert_same_weights(place / "workers/00001-tiny", single, FIRST)
