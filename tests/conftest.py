"""Shared pieces: a folder of drawn faces and the smallest recipe that has every part of training in it."""

import copy
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several processes share a GPU: pytest -n 2, children

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
UTKFACE = ROOT.parent / "shared" / "utkface" / "UTKFace.tar.gz"

# All of training, tiny: two sizes, growing, warm starts, pool, real negatives, augmentation, a classifier, averages.
# One discriminator step a generator step: building graphs takes most of the time, a fifth of it for each.
TINY = {
    "stages": [
        {"size": 16, "batch_size": 2, "d_batch_size": 4, "steps": 4, "warm_start_steps": 2, "warm_start_batch": 4},
        {"size": 32, "batch_size": 2, "d_batch_size": 4, "steps": 3, "warm_start_steps": 1, "warm_start_batch": 4},
    ],
    "growing": "enhance",
    "data": {"path": "faces", "sampling": "matched"},
    "generator": {"filters": 2, "blocks": 1},
    "discriminator": {"filters": 4, "labels": "projection"},
    "adversary": {"pool_size": 6, "real_negatives": 0.5, "augment": True},
    "loss": {"lambda_label": 1.0, "lambda_consistency": 1.0},
    "monitor": {"log_every": 2, "sample_every": 5, "save_every": 2, "keep": 9, "faces": 3},
}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Folder with {train,test}/{20s,50s} of drawn faces, 32 px."""
    import drawn_faces

    root = tmp_path_factory.mktemp("drawn") / "faces"
    drawn_faces.fill(root, train=40, test=4, size=32)
    return root


@pytest.fixture
def workplace(tmp_path, monkeypatch, drawn):
    """An empty working folder with the drawn faces in faces/ and the tiny recipe in tiny.yaml.

    Training in it leaves out the export at its end, which takes longer than the rest.
    """
    import train

    monkeypatch.setattr(train, "export_run", lambda *arguments: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").symlink_to(drawn)
    write_recipe(tmp_path / "tiny.yaml")
    return tmp_path


@pytest.fixture
def tiny():
    """The tiny recipe as nested dicts, to be changed at will."""
    return copy.deepcopy(TINY)


def write_recipe(path, tree=TINY):
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def checkpoint_values(run, step):
    """{name: array} of everything in the checkpoint of `step` in the run folder."""
    import numpy as np
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(Path(run, "checkpoints", f"step{step:08}", "state")))
    return {name: np.asarray(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()
            if not name.startswith("_CHECKPOINTABLE")}


def python(*arguments, **more):
    """Command line and settings of a child process that runs a script of the project."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return [sys.executable, *map(str, arguments)], {"env": environment, "text": True, **more}


class Stub:
    """In place of a translator.Translator: adds `grey` to every pixel."""

    size, title = 32, "50s"

    def __init__(self, grey):
        self.grey = grey

    def change(self, crops):
        import numpy as np

        return np.full(crops.shape, self.grey, np.float32)
