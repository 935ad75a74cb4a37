"""Shared pieces: a folder of drawn faces and the smallest recipe that has every part of training in it."""

import copy
import ctypes
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"  # not what keras.json names
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a GPU computes with TF32 and is shared by the test processes
gc.set_threshold(100_000, 50, 50)  # Keras' many small objects make every full collection slow: a third of the time

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import yaml  # noqa: E402

import ageing  # noqa: E402, F401  before any test imports onnxruntime

# nohup and background jobs of a shell ignore some; then so would the scripts that are tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
    signal.signal(number, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
UTKFACE = ROOT.parent / "shared" / "utkface" / "UTKFace.tar.gz"

# All of training, tiny: two sizes, growing, warm starts, pool, real negatives, augmentation, classifier, finishing.
TINY = {
    "stages": [
        {"size": 16, "batch_size": 2, "d_batch_size": 4, "steps": 3, "warm_start_steps": 1, "warm_start_batch": 4},
        {"size": 32, "batch_size": 2, "d_batch_size": 4, "steps": 2, "warm_start_steps": 1, "warm_start_batch": 4},
    ],
    "precision": "float32",
    "growing": "enhance",
    "data": {"path": "faces", "sampling": "matched"},
    "generator": {"filters": 2, "blocks": 1},
    "discriminator": {"filters": 4, "labels": "projection"},
    "adversary": {"pool_size": 6, "real_negatives": 0.5, "augment": True},
    "loss": {"lambda_label": 1.0, "lambda_consistency": 1.0},
    "finish": {"steps": 2, "batch_size": 2},
    "monitor": {"log_every": 1, "sample_every": 100, "save_every": 100},
}


@pytest.fixture(autouse=True)
def same_weights_each_time():
    """`models.Initializer` draws from NumPy's global state: unseeded, a tiny network fails by chance."""
    np.random.seed(1)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Folder with {train,validation}/{20s,50s} of drawn faces, 32 px."""
    from ageing import drawn_faces

    root = tmp_path_factory.mktemp("drawn") / "faces"
    drawn_faces.fill(root, train=40, validation=4, size=32)
    return root


@pytest.fixture(scope="session")
def eager():
    """Steps run eagerly and enhancers have one block: tracing a tiny step takes ten times as long as running it."""
    import models
    from ageing.training.engine import TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorFlow, "compile", lambda self, function, variables=(), xla=True: function)
        patch.setattr(models, "ENHANCER_BLOCKS", 1)
        yield


@pytest.fixture
def workplace(tmp_path, monkeypatch, drawn, eager):
    """An empty working folder with the drawn faces in faces/ and the tiny recipe in tiny.yaml.

    Training in it keeps every checkpoint, draws nothing and leaves out the export at its end.
    """
    from ageing.training.monitor import Monitor

    furnish(tmp_path, monkeypatch, drawn)
    monkeypatch.setattr(Monitor, "grid", lambda *arguments: None)
    monkeypatch.setattr(Monitor, "picture", lambda *arguments: None)
    return tmp_path


def furnish(place, patch, drawn):
    import train
    from ageing.training import checkpoints, sample_grids

    patch.setattr(train, "export_in_own_process", lambda *arguments: None)
    patch.setattr(checkpoints, "KEEP", 99)
    patch.setattr(sample_grids, "FACES", 3)
    patch.chdir(place)
    (place / "faces").symlink_to(drawn)
    write_recipe(place / "tiny.yaml")


@pytest.fixture
def tiny():
    """The tiny recipe as nested dicts, to be changed at will."""
    return copy.deepcopy(TINY)


def write_recipe(path, tree=TINY):
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def checkpoint_values(run, step):
    """{name: array} of everything but the recipe in the checkpoint of `step` in the run folder."""
    import numpy as np

    with np.load(Path(run, "checkpoints", f"step{step:08}.npz")) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "recipe"}


def python(*arguments, **more):
    """Command line and settings of a child process that runs a script of the project."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return [sys.executable, *map(str, arguments)], {"env": environment, "text": True, **more}


def bound_by_modes():
    """Popen's preexec_fn: in the child, file modes bind root, too. (Root may else read and enter everything.)"""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if os.geteuid() == 0 and libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            raise OSError("capabilities could not be dropped")


def help_of(script):
    """What `script --help` prints. It answers within a second: nothing heavy is imported before."""
    command, settings = python(ROOT / script, "--help")
    begin = time.perf_counter()
    out = subprocess.run(command, capture_output=True, check=True, **settings).stdout
    assert time.perf_counter() - begin < 1
    return out


# The same as the fixtures above, for a child process: it is followed by a call of train.main.
EAGER = """
import sys, models, train
from ageing.training import checkpoints, engine, monitor
models.ENHANCER_BLOCKS, checkpoints.KEEP = 1, 99
engine.TensorFlow.compile = lambda self, function, variables=(), xla=True: function
monitor.Monitor.grid = monitor.Monitor.picture = train.export_in_own_process = lambda *arguments: None
"""


class Stub:
    """In place of a translator.Translator: adds `grey` to every pixel."""

    size, ages = 32, None

    def __init__(self, grey, title="50s"):
        self.grey, self.title = grey, title

    def change(self, crops):
        import numpy as np

        return np.full(crops.shape, self.grey, np.float32)
