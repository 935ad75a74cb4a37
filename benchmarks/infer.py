"""How long ageing a photo takes, and where the time goes.

    python benchmarks/infer.py                 detection, translation, blending over photo sizes and face counts
    python benchmarks/infer.py --command       the whole command on one face and on ten, including Python's start
    python benchmarks/infer.py --translator    faces/s, share of this machine's peak, most expensive operators
    python benchmarks/infer.py --engines       the same generator in ONNX Runtime, OpenVINO, LiteRT and TensorFlow
                                               (needs: pip install openvino)

Each line is measured in its own process, so that it shows its own peak memory. Prints tables, asserts nothing.
"""

import argparse
import collections
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SIZES = ((512, 512), (1600, 1200), (4000, 3000), (11600, 8700))
FACES = (1, 10)


def group(width, height, n):
    """uint8 RGB photo (height, width, 3) of n astronauts in rows, as large as they fit."""
    columns = int(np.ceil(np.sqrt(n * width / height)))
    rows = -(-n // columns)
    side = min(width // columns, height // rows)
    astronaut = Image.open(ROOT / "samples/astronaut.jpg").resize((side, side), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (width, height), "grey")
    for i in range(n):
        sheet.paste(astronaut, (i % columns * side, i // columns * side))
    return np.asarray(sheet)


def median(function, rounds=5):
    """(median seconds of a call, its last result), after one call that warms up."""
    result, seconds = function(), []
    for _ in range(rounds):
        begin = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), result


def photo_line(args):
    from ageing.faces.alignment import Aligner
    from ageing.faces.blending import blend, changes_of
    from ageing.faces.detector import Detector
    from ageing.faces.translator import Translator
    from ageing.photos import photo_file

    detector, aligner, translator = Detector(), Aligner(), Translator(args.weights)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.jpg"), Path(folder, "out.jpg")
        Image.fromarray(group(args.width, args.height, args.faces)).save(source, quality=95)
        read, photo = median(lambda: photo_file.read(source), 1)
        detect, faces = median(lambda: detector.find(photo.rgb), 3)
        align, placements = median(lambda: aligner.align(photo.rgb, faces), 3)
        translate, changes = median(lambda: changes_of(photo.rgb, placements, translator), 3)
        blending, edited = median(lambda: blend(photo.native, changes, mode=photo.mode), 3)
        write, _ = median(lambda: photo_file.save(target, photo, edited), 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    print(f"| {args.width} x {args.height} | {args.faces} | {len(faces)} | {read:.2f} s | {detect:.2f} s | "
          f"{align:.2f} s | {translate:.2f} s | {blending:.2f} s | {write:.2f} s | {peak:,.0f} MiB |")


def whole_command(args):
    """Wall time of infer_faces.py, each run in its own process."""
    print("| photo | faces | wall time |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for width, height, n in ((512, 512, 1), (1600, 1200, 10)):
            path = Path(folder, f"{n}.jpg")
            Image.fromarray(group(width, height, n)).save(path, quality=95)
            command = [sys.executable, str(ROOT / "infer_faces.py"), str(path), "--force"]
            seconds, _ = median(lambda c=command: subprocess.run(c, check=True, capture_output=True), 7)
            print(f"| {width} x {height} | {n} | {seconds:.2f} s |")


def matrix_peak():
    """GFLOP/s of the fastest of five float32 matrix products, on all processors."""
    a, b = (np.random.default_rng(i).normal(size=(2048, 2048)).astype(np.float32) for i in (0, 1))
    return 2 * 2048**3 / min(median(lambda: a @ b, 1)[0] for _ in range(5)) / 1e9


def arithmetic(path, size):
    """GFLOP of all convolutions of an ONNX generator for one face of `size` pixels."""
    import onnx

    model = onnx.load(path)
    for value, dims in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, size, size, 3), strict=True):
        value.dim_value = dims
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info}
    kernels = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    stored = {t.name: list(t.dims) for t in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            kernel = stored[kernels.get(node.input[1], node.input[1])]
            grid = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]][2:]
            total += 2 * np.prod(kernel) * np.prod(grid)
    return total / 1e9


def translator_lines(args):
    from ageing.faces.translator import BATCH, Translator

    translator = Translator(args.weights)
    import onnxruntime  # after ageing, which switches its telemetry off

    crops = np.random.default_rng(1).integers(0, 256, (4 * BATCH, translator.size, translator.size, 3), np.uint8)
    seconds, _ = median(lambda: translator.change(crops))
    rate, peak = len(crops) / seconds, matrix_peak()
    work = 2 * arithmetic(args.weights, translator.size)  # a face and its mirror image
    print(f"{rate:.1f} faces/s at {translator.size} px, {work:.2f} GFLOP a face: {rate * work:.0f} GFLOP/s, "
          f"{rate * work / peak:.0%} of the matrix-multiply peak of {peak:.0f} GFLOP/s\n")
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = os.path.join(folder, "p")
        session = onnxruntime.InferenceSession(args.weights, options, providers=["CPUExecutionProvider"])
        images = crops[:BATCH].astype(np.float32)
        for _ in range(5):
            session.run(None, {session.get_inputs()[0].name: images})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent = collections.Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    print("| operator | share of the time |\n|---|---|")
    for name, microseconds in spent.most_common(8):
        print(f"| {name} | {microseconds / sum(spent.values()):.0%} |")


def engine_line(args):
    """Start time of one engine, milliseconds a face in batches of 1 and 8, largest difference to TensorFlow."""
    keras_path, size = Path(args.weights).with_suffix(".keras"), args.size
    images = {n: np.random.default_rng(n).uniform(-1, 1, (n, size, size, 3)).astype(np.float32) for n in (1, 8)}
    reference = Path(args.reference)
    begin = time.perf_counter()
    run = {"TensorFlow": _tensorflow, "ONNX Runtime": _onnx_runtime, "OpenVINO": _openvino, "LiteRT": _litert}[
        args.engine](args.weights, keras_path, size)
    run(images[1])
    start = time.perf_counter() - begin
    seconds = {n: median(lambda n=n: run(images[n]))[0] / n for n in images}
    out = run(images[1])
    if args.engine == "TensorFlow":
        np.save(reference, out)
    difference = np.abs(out - np.load(reference)).max() * 127.5
    print(f"| {args.engine} | {start:.2f} s | {1e3 * seconds[1]:.0f} | {1e3 * seconds[8]:.0f} | {difference:.2f} |")


def _tensorflow(onnx_path, keras_path, size):
    import keras
    import tensorflow as tf

    import models  # noqa: F401  registers the layers
    network = tf.function(keras.models.load_model(keras_path, compile=False), reduce_retracing=True)
    return lambda images: network(images).numpy()


def _onnx_runtime(onnx_path, keras_path, size):
    from ageing.faces.translator import Translator
    return Translator(onnx_path, mirror=False)._run


def _openvino(onnx_path, keras_path, size):
    import openvino

    core = openvino.Core()
    model = core.compile_model(core.read_model(onnx_path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: model(images)[0]


def _litert(onnx_path, keras_path, size):
    import keras
    import tensorflow as tf

    import models  # noqa: F401
    network = keras.models.load_model(keras_path, compile=False)
    # With a fixed shape, one face at a time: LiteRT's kernels are slow on others.
    fixed = tf.function(lambda x: network(x, training=False)).get_concrete_function(
        tf.TensorSpec([1, size, size, 3], tf.float32))
    flat = tf.lite.TFLiteConverter.from_concrete_functions([fixed], network).convert()
    interpreter = tf.lite.Interpreter(model_content=flat, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(images):
        out = []
        for image in images:
            interpreter.set_tensor(source, image[None])
            interpreter.invoke()
            out.append(interpreter.get_tensor(target))
        return np.concatenate(out)
    return run


def own_process(*arguments):
    """Run this script for one line in its own process, and print what it prints."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=False,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    print(done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip().splitlines()[-1][:100]}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=str(ROOT / "saved_models/g_AB.onnx"))
    parser.add_argument("--command", action="store_true")
    parser.add_argument("--translator", action="store_true")
    parser.add_argument("--engines", action="store_true")
    for name, kind in (("width", int), ("height", int), ("faces", int), ("engine", str), ("reference", str)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=128, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.width:
        photo_line(args)
    elif args.engine:
        engine_line(args)
    elif args.command:
        whole_command(args)
    elif args.translator:
        translator_lines(args)
    elif args.engines:
        print("| engine | start | ms per face, alone | ms per face of 8 | largest difference, grey levels |\n"
              "|---|---|---|---|---|", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for engine in ("TensorFlow", "ONNX Runtime", "OpenVINO", "LiteRT"):
                own_process("--engine", engine, "--reference", Path(folder, "out.npy"), "--weights", args.weights)
    else:
        print("| photo | faces | found | read | detect | align | translate | blend | write | peak memory |")
        print("|---" * 10 + "|", flush=True)
        for width, height in SIZES:
            for n in FACES:
                own_process("--width", width, "--height", height, "--faces", n, "--weights", args.weights)


if __name__ == "__main__":
    main()
