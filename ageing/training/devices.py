"""Which backend of Keras trains: chosen and loaded here, before anything imports Keras."""

import contextlib
import importlib.util
import math
import os
import shutil
import sys
from pathlib import Path

from ageing.errors import UserError
from ageing.project import PROJECT

BACKENDS = ("tensorflow", "jax")
COMPILED = PROJECT / ".jax-cache"  # JAX' programs for this machine's GPU


def load_backend():
    """Import Keras on the backend that KERAS_BACKEND names. Without it: on TensorFlow, or on JAX where TensorFlow is
    not installed or where JAX alone sees a GPU.

    Warns if the machine has an NVIDIA card that is not used. Keras' own settings file (keras.json) has no effect.
    Raises UserError if the backend is unknown or not installed.
    """
    backend = os.environ.get("KERAS_BACKEND") or _choose()
    if backend not in BACKENDS:
        raise UserError(f"KERAS_BACKEND={backend}: training runs on {' and '.join(BACKENDS)}; unset KERAS_BACKEND, or "
                        "set it to one of them")
    if not importlib.util.find_spec(backend):
        raise UserError(f"KERAS_BACKEND={backend}, but {backend} is not installed; pip install -r "
                        + ("requirements-gpu.txt" if backend == "jax" else "requirements.txt"))
    if backend != "jax" and "JAX_COORDINATOR_ADDRESS" in os.environ:
        raise UserError(f"KERAS_BACKEND={backend}, but JAX_COORDINATOR_ADDRESS is set: several processes train on JAX "
                        "only; unset one of them")
    os.environ["KERAS_BACKEND"] = backend
    os.environ["KERAS_HOME"] = os.devnull  # Keras neither reads a keras.json nor writes one into the home folder
    gpus = _tensorflow_gpus() if backend == "tensorflow" else _jax_gpus()
    import keras  # noqa: F401
    if has_nvidia_card() and not gpus:
        print(f"WARNING: this machine has an NVIDIA card, but {backend} sees no GPU: training would run on the CPU, "
              "many times slower. Install what it needs: pip install -r requirements-gpu.txt (CUDA 13, driver 580 or "
              'newer; a card before Turing, such as GTX 10 or V100, needs "jax[cuda12]" there)', file=sys.stderr)
    if backend == "tensorflow" and gpus > 1:
        print(f"TensorFlow trains on 1 of {gpus} GPUs. JAX trains on all of them: pip install -r requirements-gpu.txt, "
              "then set KERAS_BACKEND=jax", file=sys.stderr)


def hide_gpus():
    """Let the processor compute: before load_backend."""
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")


def share_batches(recipe, engine):
    """Let only as many devices of `engine` compute as can share every batch evenly, and say so.

    Raises UserError if there are several processes, none of which can be left out.
    """
    batches = {f"stages.{i}.{name}": getattr(stage, name) for i, stage in enumerate(recipe.stages)
               for name in ("batch_size", "d_batch_size", "warm_start_batch")
               if name != "warm_start_batch" or stage.warm_start_steps}
    if recipe.finish.steps:
        batches["finish.batch_size"] = recipe.finish.batch_size
    together, devices = math.gcd(*(value or 0 for value in batches.values())), engine.devices
    if together % devices == 0:
        return
    key, value = next((key, value) for key, value in batches.items() if value and value % devices)
    uneven = f"{key}={value} cannot be shared by {devices} devices"
    if engine.several_processes:
        raise UserError(f"{uneven}; make it a multiple of {devices}, or start fewer processes")
    engine.use(max(n for n in range(1, devices) if together % n == 0))
    print(f"{uneven}: {engine.devices} of them train. To use all, make the batches multiples of {devices}",
          file=sys.stderr)


def has_nvidia_card():
    """Whether this machine has an NVIDIA card that CUDA_VISIBLE_DEVICES does not hide."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
    return not hidden and (Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None)


def _choose():
    installed = [backend for backend in BACKENDS if importlib.util.find_spec(backend)]
    if not installed:
        raise UserError("neither TensorFlow nor JAX is installed; pip install -r requirements.txt, or on a machine "
                        "with an NVIDIA card: pip install -r requirements-gpu.txt")
    if "JAX_COORDINATOR_ADDRESS" in os.environ:  # a job of several processes
        return "jax"
    if len(installed) == 1 or not has_nvidia_card():
        return installed[0]
    # TensorFlow first: asking it takes no memory of the GPU, asking JAX does.
    return "tensorflow" if _tensorflow_gpus() or not _jax_gpus() else "jax"


def _tensorflow_gpus():
    """How many GPUs TensorFlow sees. Imports it, which prints a lot.

    Its messages are hidden on machines without an NVIDIA card only: elsewhere they tell which CUDA library is missing.
    """
    # TensorFlow uses oneDNN's convolutions on processors with AVX-512 only. With AVX2 they make a step 1.3 to 1.5 times
    # as fast (docs/speed.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    card = has_nvidia_card()
    if not card:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if card else _silenced():
        import tensorflow as tf
        gpus = tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("WARNING" if card else "ERROR")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # the devices are in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    return len(gpus)


def _jax_gpus():
    """How many GPUs JAX sees, on all machines of a job. Imports it."""
    import jax

    # Several processes: JAX_COORDINATOR_ADDRESS=host:port JAX_NUM_PROCESSES=n JAX_PROCESS_ID=0..n-1
    if "JAX_COORDINATOR_ADDRESS" in os.environ and not jax.distributed.is_initialized():
        jax.config.update("jax_enable_preemption_service", False)  # it would catch SIGTERM, and training go on
        try:
            jax.distributed.initialize(os.environ["JAX_COORDINATOR_ADDRESS"], int(os.environ["JAX_NUM_PROCESSES"]),
                                       int(os.environ["JAX_PROCESS_ID"]))
        except (KeyError, ValueError) as error:
            raise UserError("JAX_COORDINATOR_ADDRESS is set, so JAX_NUM_PROCESSES (how many) and JAX_PROCESS_ID (which "
                            f"one this is, from 0) must be set too ({error})") from error
        except RuntimeError as error:
            raise UserError(f"JAX_COORDINATOR_ADDRESS={os.environ['JAX_COORDINATOR_ADDRESS']}: the processes found no "
                            f"way to each other ({' '.join(str(error).split())[:200]})") from error
    try:
        gpus = sum(device.platform == "gpu" for device in jax.devices())
    except (RuntimeError, AssertionError) as error:  # AssertionError: not even the platform's package is installed
        raise UserError(f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}: JAX cannot start there; unset it, or "
                        "install what it needs: pip install -r requirements-gpu.txt "
                        f"({' '.join(str(error).split())[:200] or 'no such platform is installed'})") from error
    if gpus and not jax.config.jax_compilation_cache_dir:  # a minute saved at every start but the first
        jax.config.update("jax_compilation_cache_dir", str(COMPILED))
    return gpus


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
