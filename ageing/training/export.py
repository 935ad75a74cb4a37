"""Generators of a checkpoint as files that others can run: ONNX and .keras, checked, with a card."""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf

from ageing.errors import UserError, reason
from ageing.training import card, checkpoints
from ageing.training.cyclegan import build_generator

# Largest difference to the network's output, on a scale of -1 to 1: half a grey level, for kernels stored as float16.
TOLERANCE = 4e-3


def export(run, folder, step=None):
    """Write g_AB and g_BA, the moving averages of `run` at `step` (default: the newest), and card.md into `folder`.

    ONNX: input "image" float32 (N, H, W, 3) in [-1, 1], any N; H and W multiples of 4, doubled with each growth (see
    Recipe.growths); opset 18; kernels stored as float16. Metadata: "size" (pixels it was trained at), "multiple" (H
    and W must be multiples of it), "makes" (domain), "run", "step". Every file is read back and compared with the
    network. Returns the paths. Raises UserError if there is no such checkpoint, if `folder` holds other generators, or
    if a file does not compute what the network computes.
    """
    step = run.newest_step() if step is None else step
    growths = checkpoints.growths_at(run, step)
    generators = {name: build_generator(run.recipe, growths, name) for name in ("g_AB", "g_BA")}
    checkpoint = tf.train.Checkpoint(ema_AB=generators["g_AB"], ema_BA=generators["g_BA"])
    checkpoints.restore(checkpoint, run, step)
    names = [f"{name}{ending}" for name in generators for ending in (".onnx", ".keras")]
    if taken := [name for name in (*names, "card.md") if (folder / name).exists()]:
        raise UserError(f"{folder} holds {taken[0]} already; choose another folder with --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
            _write_all(generators, Path(scratch), run, step, 4 * 2**growths)
            for name in (*names, "card.md"):  # the card comes last: where it is, the files are
                Path(scratch, name).rename(folder / name)
    except OSError as error:
        raise UserError(f"{folder} could not be written: {reason(error)}; free space or choose another folder with "
                        "--output") from error
    return [folder / name for name in (*names, "card.md")]


def _write_all(generators, folder, run, step, multiple):
    """Write and check all exports, and the card, into `folder`. multiple: H and W must be multiples of it."""
    size = checkpoints.size_at(run, step)
    domains, errors = (run.recipe.data.domain_A, run.recipe.data.domain_B), {}
    for name, network in generators.items():
        metadata = {"size": str(size), "multiple": str(multiple), "makes": domains[name == "g_AB"], "run": run.name,
                "step": str(step)}
        for ending, write, read in ((".onnx", _write_onnx, _read_onnx), (".keras", _write_keras, _read_keras)):
            path = folder / f"{name}{ending}"
            write(network, path, metadata)
            errors[path.name] = _difference(network, read(path), path.name, multiple)
    (folder / "card.md").write_text(card.text(run, step, size, multiple, errors), encoding="utf-8")


def _write_onnx(network, path, metadata):
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
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _write_keras(network, path, metadata):
    network.save(path)


def _read_keras(path):
    import keras

    network = keras.models.load_model(path, compile=False)
    return lambda images: network(images, training=False).numpy()


def _difference(network, other, name, multiple):
    """The largest difference on noise of two shapes; raises UserError above TOLERANCE."""
    rng, worst = np.random.default_rng(1), 0.0
    for n, height, width in ((2, 16, 16), (1, 12, 10)):
        images = rng.uniform(-1, 1, (n, height * multiple, width * multiple, 3)).astype(np.float32)
        worst = max(worst, float(np.abs(other(images) - network(images, training=False).numpy()).max()))
    if not worst <= TOLERANCE:
        raise UserError(f"{name} computes something else than the network (largest difference {worst:.2g}); "
                        "it was not written, please report your versions of tensorflow, keras and tf2onnx")
    return worst
