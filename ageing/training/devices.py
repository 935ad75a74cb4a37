"""Where a run computes and in which precision: tf.distribute strategy, mixed precision, XLA."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from ageing.errors import UserError


def load_tensorflow():
    """Import TensorFlow, which takes seconds and prints a lot. Warn if it cannot use a GPU of this machine.

    Its messages are hidden on machines without an NVIDIA card only: elsewhere they tell which CUDA library is missing.
    Keras' own settings file (keras.json) has no effect. Raises UserError if KERAS_BACKEND names another backend.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    os.environ["KERAS_BACKEND"] = backend  # so that Keras does not take it from keras.json
    if backend != "tensorflow":
        raise UserError(f"KERAS_BACKEND={backend}: training runs on Keras' TensorFlow backend; unset KERAS_BACKEND, or "
                        "set it to tensorflow")
    card = has_nvidia_card()
    if not card:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if card else _silenced():
        import tensorflow as tf
        gpus = tf.config.list_physical_devices("GPU")
    import keras
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    tf.get_logger().setLevel("WARNING" if card else "ERROR")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # the devices are in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    if card and not gpus:
        print("WARNING: this machine has an NVIDIA card, but TensorFlow sees no GPU: training would run on the CPU, "
              "many times slower. Install the CUDA libraries: pip install -r requirements-gpu.txt", file=sys.stderr)


def has_nvidia_card():
    """Whether this machine has an NVIDIA card that CUDA_VISIBLE_DEVICES does not hide."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
    return not hidden and (Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None)


@contextlib.contextmanager
def _silenced():
    """Nothing reaches stderr. TensorFlow's libraries write to it while they load, before they read any setting."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def strategy(kind):
    """A tf.distribute strategy: "auto" | "none" | "mirrored" | "multi_worker" (TF_CONFIG as TensorFlow documents it).

    auto: multi_worker if TF_CONFIG names a cluster of several, mirrored on several GPUs, else none.
    """
    import tensorflow as tf

    workers = _cluster_size()
    if kind == "auto":
        several = len(tf.config.list_logical_devices("GPU")) > 1
        kind = "multi_worker" if workers > 1 else "mirrored" if several else "none"
    if kind == "multi_worker":
        if not workers:
            raise UserError("strategy=multi_worker needs the environment variable TF_CONFIG, which names the workers")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if kind == "mirrored":
        # All GPUs. Several CPUs exist only when a test has split one into logical devices.
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([d.name for d in found])
    return tf.distribute.get_strategy()


def check_batches(strategy, recipe):
    """Raises UserError if the replicas cannot share a batch of any stage evenly."""
    replicas = strategy.num_replicas_in_sync
    batches = {f"stages.{i}.{name}": getattr(stage, name) for i, stage in enumerate(recipe.stages)
               for name in ("batch_size", "d_batch_size", "warm_start_batch")}
    if recipe.finish.steps:
        batches["finish.batch_size"] = recipe.finish.batch_size
    for key, value in batches.items():
        if value is not None and value % replicas:
            raise UserError(f"{key}={value} cannot be shared by {replicas} devices; make it a multiple or set "
                            "strategy=none")


def is_chief(strategy):
    """True in the one process that writes the run folder."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs)


def precision(kind):
    """"float32" or "mixed_bfloat16". auto: bfloat16 where the hardware multiplies it, float32 elsewhere.

    A CPU without bfloat16 instructions emulates it: 4 times slower than float32 where it was measured.
    """
    import tensorflow as tf

    if kind != "auto":
        return kind
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capable = all(tf.config.experimental.get_device_details(g).get("compute_capability", (0, 0)) >= (8, 0)
                      for g in gpus)
    else:
        capable = {"avx512_bf16", "amx_bf16", "bf16"} & _cpu_flags()
    return "mixed_bfloat16" if capable else "float32"


def jit_compile(kind):
    """Whether to compile the step with XLA. on: on GPUs; auto: no, because no GPU has been measured yet.

    Never on a CPU, where XLA was a quarter slower.
    """
    import tensorflow as tf

    return kind == "on" and bool(tf.config.list_physical_devices("GPU"))


def describe(strategy, precision, jit):
    """One phrase: the devices and the precision in use."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = {tf.config.experimental.get_device_details(g).get("device_name", "GPU") for g in gpus}
        device = f"{len(gpus)} x {', '.join(sorted(names))}"
    else:
        device = f"CPU ({os.cpu_count()} cores)"
    n = strategy.num_replicas_in_sync
    shared = f"{type(strategy).__name__}, {n} replicas, " if n > 1 else ""
    return f"{device}, {shared}{precision}{', XLA' if jit else ''}"


def _cluster_size():
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 0
    try:
        cluster = json.loads(text).get("cluster", {})
        return sum(len(cluster.get(job, ())) for job in ("chief", "worker"))
    except (ValueError, AttributeError) as error:
        raise UserError(f"TF_CONFIG is not the JSON that TensorFlow documents: {error}") from error


def _cpu_flags():
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return set()
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()
