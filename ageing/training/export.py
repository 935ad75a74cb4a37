"""Generators of a checkpoint as files that others can run: ONNX and .keras, checked, with a card.

Keras writes ONNX with the help of TensorFlow. Where that is not installed there are .keras files only, and
`train.py --export` makes the ONNX files from them on another machine.
"""

import importlib.util
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import ops

from ageing.errors import UserError, kind_of, reason
from ageing.storage import unfinished
from ageing.training import card, checkpoints
from ageing.training.cyclegan import build_generator
from ageing.training.engine import engine

# Largest difference to the network's output, on a scale of -1 to 1: half a grey level, for kernels stored as float16.
TOLERANCE = 4e-3
GENERATORS = ("g_AB", "g_BA")
METADATA = "metadata.json"  # beside .keras files that have no ONNX yet: what the ONNX files are to say


def export(run, folder, step=None):
    """Write g_AB and g_BA, the moving averages of `run` at `step` (default: the newest), and card.md into `folder`.

    ONNX, if TensorFlow is installed: input "image" float32 (N, H, W, 3) in [-1, 1], any N; H and W multiples of 4,
    doubled with each growth (see Recipe.growths); opset 18; kernels stored as float16. Metadata: "size" (pixels it was
    trained at), "multiple" (H and W must be multiples of it), "makes" (domain), "run", "step". Every file is read back
    and compared with the network. Returns the paths. Raises UserError if there is no such checkpoint, if `folder` holds
    other generators, or if a file does not compute what the network computes.
    """
    step = run.newest_step() if step is None else step
    growths, size = checkpoints.growths_at(run, step), checkpoints.size_at(run, step)
    networks = {name: build_generator(run.recipe, growths, name) for name in GENERATORS}
    checkpoints.read_into({name.replace("g_", "ema_"): network.variables for name, network in networks.items()},
                          run, step)
    domains = {"g_AB": run.recipe.data.domain_B, "g_BA": run.recipe.data.domain_A}
    told = {name: {"size": str(size), "multiple": str(4 * 2**growths), "makes": domain, "run": run.name,
                   "step": str(step)} for name, domain in domains.items()}
    endings = (".onnx", ".keras") if writes_onnx() else (".keras",)
    names = [f"{name}{ending}" for name in GENERATORS for ending in endings]
    names += ["card.md"] if writes_onnx() else [METADATA, "card.md"]

    def write_all(scratch):
        errors = {}
        for ending in endings:
            errors |= _written(networks, scratch, told, ending)
        if not writes_onnx():
            Path(scratch, METADATA).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        Path(scratch, "card.md").write_text(card.text(run, step, size, 4 * 2**growths, errors), encoding="utf-8")

    return _complete(folder, names, write_all)


def export_onnx(folder):
    """Write the ONNX files of the .keras files in `folder`, which `export` made where TensorFlow was not installed.

    Returns the paths. Raises UserError as `export` does.
    """
    if not writes_onnx():
        raise UserError(f"{folder} holds .keras files; ONNX files are written where TensorFlow is installed: "
                        "pip install -r requirements.txt")
    try:
        told = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        networks = {name: keras.models.load_model(folder / f"{name}.keras", compile=False) for name in GENERATORS}
        text = (folder / "card.md").read_text(encoding="utf-8")
    except Exception as error:  # Keras raises errors of many kinds for damaged files
        raise UserError(f"{folder}: its .keras files cannot be read ({' '.join(str(error).split())[:100]}); export the "
                        "run again where it was trained") from error

    def write_all(scratch):
        errors = _written(networks, scratch, told, ".onnx")
        Path(scratch, "card.md").write_text(card.with_checks(text, errors), encoding="utf-8")

    paths = _complete(folder, [f"{name}.onnx" for name in GENERATORS], write_all, replaced="card.md")
    (folder / METADATA).unlink()
    return paths


def writes_onnx():
    return keras.backend.backend() == "tensorflow" and importlib.util.find_spec("tf2onnx") is not None


def _complete(folder, names, write_all, replaced=None):
    """The files `names` in `folder`, which write_all(scratch folder) makes. None of them may exist; `replaced` must.

    Returns the paths. A file gets its name when all are written and checked.
    """
    if taken := [name for name in names if kind_of(folder / name)]:
        raise UserError(f"{folder} holds {taken[0]} already; choose another folder with --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=unfinished()) as scratch:
            write_all(Path(scratch))
            names = [*names, *filter(None, [replaced])]
            for name in names:  # the card comes last: where it is, the files are
                Path(scratch, name).replace(folder / name)
    except OSError as error:
        raise UserError(f"{folder} could not be written: {reason(error)}; free space or choose another folder with "
                        "--output") from error
    except (RuntimeError, ValueError, TypeError) as error:  # of Keras' exporter, with other versions than were tested
        short = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: exporting failed ({type(error).__name__}: {short}); install the versions that "
                        "requirements.txt names") from error
    return [folder / name for name in names]


def _written(networks, folder, told, ending):
    """Write and check the files of one kind; {file name: difference to the network}."""
    write, read = {".onnx": (_write_onnx, _read_onnx), ".keras": (_write_keras, _read_keras)}[ending]
    errors = {}
    for name, network in networks.items():
        path = folder / f"{name}{ending}"
        write(network, path, told[name])
        errors[path.name] = _difference(network, read(path), path.name, int(told[name]["multiple"]))
    return errors


def _write_onnx(network, path, metadata):
    import onnx

    sys.dont_write_bytecode = True  # TensorFlow would leave that of functions it rewrites in the temporary folder
    network(np.zeros((1, 64, 64, 3), np.float32))  # Keras exports only what has been called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings of Keras' exporter
        network.export(os.fspath(path), format="onnx", verbose=False, opset_version=18)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata)
    _store_as_float16(model.graph)
    onnx.save(model, path)


def _store_as_float16(graph):
    """Halve the file: kernels are stored as float16, and a Cast node turns each back into float32 at load time."""
    import onnx

    kept, casts = [], []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 1000:
            kept.append(tensor)
            continue
        half = f"{tensor.name}_float16"
        kept.append(onnx.numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _read_onnx(path):
    from ageing.onnx_session import open_session

    session = open_session(os.fspath(path))
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _write_keras(network, path, metadata):
    network.save(path)


def _read_keras(path):
    return _forward(keras.models.load_model(path, compile=False))


def _forward(network):
    compute = engine().forward(network)
    return lambda images: ops.convert_to_numpy(compute(images))


def _difference(network, other, name, multiple):
    """The largest difference on noise of two shapes; raises UserError above TOLERANCE."""
    rng, worst, expected = np.random.default_rng(1), 0.0, _forward(network)
    for n, height, width in ((2, 16, 16), (1, 12, 10)):
        images = rng.uniform(-1, 1, (n, height * multiple, width * multiple, 3)).astype(np.float32)
        worst = max(worst, float(np.abs(other(images) - expected(images)).max()))
    if not worst <= TOLERANCE:
        raise UserError(f"{name} computes something else than the network (largest difference {worst:.2g}); "
                        "it was not written, please report your versions of tensorflow, keras and tf2onnx")
    return worst
