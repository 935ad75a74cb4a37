"""How a training step is computed on the backend of Keras, TensorFlow or JAX. Nothing else asks which one it is.

A step is a function of tensors that reads and assigns Keras variables, written in keras.ops. It sees the global batch:
JAX splits it over all devices by itself, and losses, gradients and pools are those of the whole batch.
"""

import functools
import os
from pathlib import Path

import keras
import numpy as np
from keras import ops


@functools.cache
def engine():
    """The Engine of Keras' backend. One for the whole process."""
    return {"tensorflow": TensorFlow, "jax": Jax}[keras.backend.backend()]()


class Engine:
    """devices: how many share a batch. first: whether this one of several_processes writes the run folder."""

    devices, first, several_processes = 1, True, False

    def minimise(self, loss, variables, optimizer):
        """One optimizer step on `variables`. loss() returns (scalar, aux). Returns (aux, gradient norm).

        aux: any nested tensors. loss() must not assign variables: on JAX that is lost.
        """
        aux, gradients = self.gradients(loss, variables)
        optimizer.apply(gradients, variables)
        return aux, ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))

    def describe(self, precision):
        """For example "TensorFlow on CPU (2 cores), float32"."""
        names = self.gpu_names()
        device = f"{len(names)} x {', '.join(sorted(set(names)))}" if names else f"CPU ({os.cpu_count()} cores)"
        return f"{self.name} on {device}, {precision}"

    def precision(self, kind):
        """"float32" or "mixed_bfloat16". auto: bfloat16 where the hardware multiplies it, float32 elsewhere.

        A CPU without bfloat16 instructions emulates it: 4 times slower than float32 where it was measured.
        """
        if kind != "auto":
            return kind
        capabilities = self.gpu_capabilities()
        capable = min(capabilities) >= 8 if capabilities else {"avx512_bf16", "amx_bf16", "bf16"} & _cpu_flags()
        return "mixed_bfloat16" if capable else "float32"


class TensorFlow(Engine):
    """One device. XLA on a GPU, where it joins thousands of small kernels; not on a CPU, where it is slower."""

    name = "TensorFlow"

    def __init__(self):
        import tensorflow

        self.tf = tensorflow
        self.gpus = tensorflow.config.list_logical_devices("GPU")[:1]

    def gpu_names(self):
        return [details.get("device_name", "GPU") for details in self._details()]

    def gpu_capabilities(self):
        return [details.get("compute_capability", (0,))[0] for details in self._details()]

    def gpu_peak(self):
        """Bytes of a GPU's memory that were in use at most, or None."""
        return self.tf.config.experimental.get_memory_info("GPU:0")["peak"] if self.gpus else None

    def _details(self):
        physical = self.tf.config.list_physical_devices("GPU")[:1]
        return [self.tf.config.experimental.get_device_details(gpu) for gpu in physical]

    def compile(self, function, variables=(), xla=True):
        """`function`, compiled. variables: all that it reads or assigns. xla: False for what XLA cannot compile."""
        return self.tf.function(function, autograph=False, jit_compile=xla and bool(self.gpus))

    def forward(self, network):
        """A function: inputs, as `network` takes them -> what it makes of them. It follows the network's weights."""
        return lambda inputs: network(inputs, training=False)

    def gradients(self, loss, variables):
        """(aux, gradients) of loss(), which returns (scalar, aux)."""
        values = [v.value for v in variables]
        with self.tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            scalar, aux = loss()
        return aux, tape.gradient(scalar, values)

    def warp(self, images, transforms):
        """`images` (N, H, W, 3), transformed: float32 of the same range. transforms: (N, 6), see LoadedFaces; bilinear,
        mirrored at the rim. Not for XLA."""
        rest = ops.zeros((images.shape[0], 2))
        return ops.image.affine_transform(ops.cast(images, "float32"), ops.concatenate([transforms, rest], axis=1),
                                          "bilinear", "reflect", data_format="channels_last")

    def place(self, batch):
        """Nested arrays of the host -> tensors of the device."""
        return self.tf.nest.map_structure(lambda x: x if x is None else self.tf.convert_to_tensor(x), batch)


class Jax(Engine):
    """All devices of all processes. Variables are copied to each, the first axis of a batch's arrays is split."""

    name = "JAX"

    def __init__(self):
        import jax

        self.jax = jax
        self.first, self.several_processes = jax.process_index() == 0, jax.process_count() > 1
        self.use(jax.device_count())

    def use(self, devices):
        """Compute on so many devices. Before anything is computed."""
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        self.devices, used = devices, self.jax.devices()[:devices]
        mesh = Mesh(np.array(used), ["batch"])
        self.whole, self.split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
        self.gpus = [device for device in used if device.platform == "gpu"]

    def gpu_names(self):
        return [gpu.device_kind for gpu in self.gpus]

    def gpu_capabilities(self):
        names = [str(getattr(gpu, "compute_capability", 0)).split(".")[0] for gpu in self.gpus]
        return [int(name) if name.isdecimal() else 8 for name in names]  # AMD's have names, and all bfloat16

    def gpu_peak(self):
        return self.gpus[0].memory_stats()["peak_bytes_in_use"] if self.gpus else None

    def compile(self, function, variables=(), xla=True):
        def pure(values, arguments):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
                result = function(*arguments)
            return [scope.get_current_value(v) for v in variables], result

        # Without this the compiler could leave variables split, because what they are computed from is.
        spread = {"out_shardings": (self.whole, None)} if variables and self.devices > 1 else {}
        jitted = self.jax.jit(pure, donate_argnums=0, **spread)

        def run(*arguments):
            values, result = jitted([self._spread(v.value) for v in variables], arguments)
            for variable, value in zip(variables, values, strict=True):
                _set_value(variable, value)
            return result
        return run

    def forward(self, network):
        jitted = self.jax.jit(lambda values, inputs: network.stateless_call(*values, inputs, training=False)[0])

        def run(inputs):
            values = [[self._local(v.value) for v in group]
                      for group in (network.trainable_variables, network.non_trainable_variables)]
            return jitted(values, inputs)
        return run

    def gradients(self, loss, variables):
        outer = _outer_scope()

        def pure(values):
            changed = {id(v): value for v, value in zip(variables, values, strict=True)}
            inner = keras.StatelessScope()
            inner.state_mapping = {**(outer.state_mapping if outer else {}), **changed}
            with inner:
                return loss()

        (_, aux), gradients = self.jax.value_and_grad(pure, has_aux=True)([v.value for v in variables])
        return aux, gradients

    def warp(self, images, transforms):
        """As TensorFlow's. Keras' own function computes positions in TF32 on a GPU, a quarter of a pixel off."""
        n, height, width = images.shape[:3]
        a, b, x, d, e, y = (ops.reshape(column, (-1, 1, 1)) for column in ops.unstack(transforms, 6, axis=1))
        columns = ops.arange(width, dtype="float32")[None, None]
        rows = ops.arange(height, dtype="float32")[None, :, None]
        x, y = a * columns + b * rows + x, d * columns + e * rows + y
        left, top = ops.floor(x), ops.floor(y)
        right_share, lower_share = (x - left)[..., None], (y - top)[..., None]
        flat = ops.reshape(images, (n, height * width, 3))

        def pixels(down, right):
            place = _mirrored(top + down, height) * width + _mirrored(left + right, width)
            found = ops.take_along_axis(flat, ops.reshape(place, (n, -1, 1)), axis=1)
            return ops.cast(ops.reshape(found, images.shape), "float32")

        upper, lower = (pixels(down, 0) * (1 - right_share) + pixels(down, 1) * right_share for down in (0, 1))
        return upper * (1 - lower_share) + lower * lower_share

    def place(self, batch):
        return self.jax.tree.map(
            lambda x: self._put(np.asarray(x), self.split if np.ndim(x) else self.whole), batch)

    def _spread(self, value):
        """A variable's value on every device. New values, as of a restored checkpoint, are on one device only."""
        return value if self.devices == 1 or value.sharding == self.whole else self._put(np.asarray(value), self.whole)

    def _put(self, host, sharding):
        if self.devices == 1:
            return self.jax.device_put(host)
        return self.jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    def _local(self, value):
        """A variable's value on this process' first device."""
        return value if self.devices == 1 else value.addressable_data(0)


# Keras has no public way for these two.

def _set_value(variable, value):
    """Give a variable a value of the step that was just computed. `assign` would check and copy it."""
    variable._value = value


def _outer_scope():
    """The keras.StatelessScope that is open, or None."""
    return keras.src.backend.common.stateless_scope.get_stateless_scope()


def _mirrored(places, n):
    """Float places along an axis of n pixels -> int32 indices; those outside are mirrored: ... 1 0 0 1 2 ..."""
    places = ops.cast(places, "int32") % (2 * n)
    return ops.minimum(places, 2 * n - 1 - places)


def _cpu_flags():
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return set()
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()
