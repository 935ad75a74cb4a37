"""Generators of a checkpoint as files that others can run: ONNX and .keras, checked, with a card.

Keras writes ONNX with the help of TensorFlow. Where that is not installed there are .keras files only, from which
`train.py --export` makes the ONNX files on another machine: they are small, a run is not.
"""

import contextlib
import datetime
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

import models
from ageing.errors import UserError, kind_of, reason
from ageing.faces.direction import USUAL
from ageing.storage import read_json_lines, unfinished
from ageing.training import checkpoints, recipe_file
from ageing.training.cyclegan import build_generator
from ageing.training.engine import engine

# Largest difference to the network's output, on a scale of -1 to 1: half a grey level, for kernels stored as float16.
TOLERANCE = 4e-3
METADATA = "metadata.json"  # beside .keras files: what ONNX files made from them say


def export(run, folder, step=None):
    """Write g_AB and g_BA, the moving averages of `run` at `step` (default: the newest), and card.md into `folder`.

    ONNX, if TensorFlow is installed: input "image" float32 (N, H, W, 3) in [-1, 1], any N; H and W multiples of 4,
    doubled with each growth (see Recipe.growths); opset 18; kernels stored as float16. A generator that is told an age
    has a second input, "age" float32 (N, 1) in years. Metadata: "size" (pixels it was trained at), "multiple" (H and W
    must be multiples of it), "makes" (domain), "ages" ("45-85", the range that it can be told), "run", "step". Every
    file is read back and compared with the network. Returns the paths. Raises UserError if there is no such checkpoint,
    if `folder` holds other generators, or if a file does not compute what the network computes.
    """
    step = run.newest_step() if step is None else step
    header, data = checkpoints.header(run, step), run.recipe.data
    multiple = 4 * 2**header.growths
    networks = {way: build_generator(run.recipe, header.growths, f"g_{way}") for way in ("AB", "BA")}
    checkpoints.read_into({f"ema_{way}": network.variables for way, network in networks.items()}, run, step)
    kinds = {".onnx": (_write_onnx, _read_onnx)} if writes_onnx() else {}
    kinds |= {".keras": (_write_keras, _read_keras)}
    told = {f"g_{way}": {"size": str(header.size), "multiple": str(multiple), "makes": target, "run": run.name,
                         "step": str(step)} for way, target in (("AB", usual(data)), ("BA", data.domain_A))}
    if data.ages:
        told["g_AB"]["ages"] = f"{data.ages[0]:g}-{data.ages[-1]:g}"
    names = [f"{name}{ending}" for name in told for ending in kinds]
    names += ["card.md"] if writes_onnx() else [METADATA, "card.md"]  # the card is last: where it is, all are
    with _complete(folder, names) as scratch:
        errors = {}
        for ending, (write, read) in kinds.items():
            for way, network in networks.items():
                path = scratch / f"g_{way}{ending}"
                write(network, path, told[f"g_{way}"])
                errors[path.name] = _difference(network, read(path), path.name, multiple)
        (scratch / METADATA).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        (scratch / "card.md").write_text(card(run, step, header.size, multiple, errors), encoding="utf-8")
    return [folder / name for name in names]


def export_onnx(folder):
    """Write the ONNX files of the .keras files in `folder`, which `export` made where TensorFlow was not installed.

    Returns the paths. Raises UserError as `export` does.
    """
    if not writes_onnx():
        raise UserError(f"{folder} holds .keras files; ONNX files are written where TensorFlow is installed: "
                        "pip install -r requirements.txt")
    try:
        told = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        networks = {name: keras.models.load_model(folder / f"{name}.keras", compile=False) for name in told}
        text = (folder / "card.md").read_text(encoding="utf-8")
    except Exception as error:  # Keras raises errors of many kinds for damaged files
        raise UserError(f"{folder}: its .keras files cannot be read ({' '.join(str(error).split())[:100]}); export the "
                        "run again where it was trained") from error
    with _complete(folder, [f"{name}.onnx" for name in told], replaced=["card.md"]) as scratch:
        errors = {}
        for name, network in networks.items():
            path = scratch / f"{name}.onnx"
            _write_onnx(network, path, told[name])
            errors[path.name] = _difference(network, _read_onnx(path), path.name, int(told[name]["multiple"]))
        text = text.replace("\n\n## Use", f"\n{_rows(errors)}\n\n## Use", 1)
        (scratch / "card.md").write_text(text, encoding="utf-8")
    (folder / METADATA).unlink()
    return [folder / f"{name}.onnx" for name in told]


def writes_onnx():
    return keras.backend.backend() == "tensorflow" and importlib.util.find_spec("tf2onnx") is not None


@contextlib.contextmanager
def _complete(folder, names, replaced=()):
    """Yield a temporary folder. If the block succeeds, its files move to `folder`, which may hold none of `names`."""
    if taken := [name for name in names if kind_of(folder / name)]:
        raise UserError(f"{folder} holds {taken[0]} already; choose another folder with --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=unfinished()) as scratch:
            yield Path(scratch)
            for name in (*names, *replaced):
                Path(scratch, name).replace(folder / name)
    except OSError as error:
        raise UserError(f"{folder} could not be written: {reason(error)}; free space or choose another folder with "
                        "--output") from error
    except (RuntimeError, ValueError, TypeError) as error:  # of Keras' exporter, with other versions than were tested
        short = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: exporting failed ({type(error).__name__}: {short}); install the versions that "
                        "requirements.txt names") from error


def _write_onnx(network, path, metadata):
    import onnx

    sys.dont_write_bytecode = True  # TensorFlow would leave that of functions it rewrites in the temporary folder
    network(noise(network, 1, 64, 64))  # Keras exports only what has been called
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
    names = [one.name for one in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, keras.tree.flatten(inputs), strict=True)))[0]


def _write_keras(network, path, metadata):
    network.save(path)


def _read_keras(path):
    return _forward(keras.models.load_model(path, compile=False))


def _forward(network):
    compute = engine().forward(network)
    return lambda inputs: ops.convert_to_numpy(compute(inputs))


def _difference(network, other, name, multiple):
    """The largest difference on noise of two shapes; raises UserError above TOLERANCE."""
    worst, expected = 0.0, _forward(network)
    for n, height, width in ((2, 16, 16), (1, 12, 10)):
        inputs = noise(network, n, height * multiple, width * multiple)
        worst = max(worst, float(np.abs(other(inputs) - expected(inputs)).max()))
    if not worst <= TOLERANCE:
        raise UserError(f"{name} computes something else than the network (largest difference {worst:.2g}); "
                        "it was not written, please report your versions of tensorflow, keras and tf2onnx")
    return worst


def noise(network, n, height, width):
    """What `network` takes: n images of noise and, if it is told one, ages."""
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (n, height, width, 3)).astype(np.float32)
    return models.told(network, images, rng.uniform(40, 90, (n, 1)).astype(np.float32))


def usual(data):
    """The domain that g_AB makes if no age is asked for."""
    return f"{min(max(USUAL, data.ages[0]), data.ages[-1]) // 10}0s" if data.ages else data.domain_B


def card(run, step, size, multiple, errors):
    """The card of exported generators: what they are, what they were trained on, with which recipe.

    Markdown. size: pixels of the stage. H and W must be multiples of `multiple`. errors: {file: difference}."""
    recipe = run.recipe
    data = recipe.data
    origin = ("drawn faces (ageing/drawn_faces.py), no photo of anyone" if data.source == "drawn" else
              f"{data.path}. UTKFace allows non-commercial research only; weights trained on it inherit that")
    told = (f"\n`g_AB` has a second input, the age in years, float32 (N, 1), {data.ages[0]:g} to {data.ages[-1]:g}."
            if data.ages else "")
    return f"""# {run.name}

`g_AB` ages (A = {data.domain_A} -> B = {', '.join(data.domains_B)}), `g_BA` rejuvenates. Input and output: RGB,
float32 in [-1, 1], (N, H, W, 3), H and W multiples of {multiple}; trained at {size} px.{told}

- date: {datetime.date.today().isoformat()}
- step: {step}, after {hours(run, step)} of training; moving average of the generators ({recipe.optimizer.ema_decay})
- training images: {_counts(run)}
- data: {origin}

Largest difference to the network after writing and reading back, on a scale of -1 to 1:

| file | difference |
|---|---|
{_rows(errors)}

## Use

The .onnx files need nothing of this project. The .keras files need its layers: put the project's folder on the Python
path, and import `models` before you load one.

```python
import keras, models
g_AB = keras.models.load_model("g_AB.keras", compile=False)
```

## Recipe

```yaml
{recipe_file.dump(recipe)}```
"""


def _rows(errors):
    return "\n".join(f"| {name} | {error:.1e} |" for name, error in errors.items())


def hours(run, step):
    """How long the steps up to `step` took, according to the run's log."""
    seconds, before = 0.0, 0
    if not run.log.exists():
        return "an unknown time"
    for line in read_json_lines(run.log):
        if line["step"] <= step:
            seconds += (line["step"] - before) * (line["data_s_per_step"] + line["compute_s_per_step"])
            before = line["step"]
    return f"{seconds / 3600:.2f} hours"


def _counts(run):
    """Of the images that it was trained on: the folder may hold others by now."""
    data, images = run.recipe.data, run.images()
    if images is None:
        return "unknown"
    less = "; less those with a mark on the forehead" if data.forehead_marks == "skip" else ""
    return ", ".join(f"{images[domain][0]} {domain}" for domain in data.domains) + less
