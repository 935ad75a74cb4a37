"""What networks, losses, augmentation and pool compute from fixed inputs on the backend of Keras, as arrays.

    KERAS_BACKEND=jax python tests/training/backend_values.py values.npz
"""

import sys
from unittest import mock

import keras
import numpy as np
from keras import ops

import models
from ageing.training import losses
from ageing.training.augmentation import DISTURBED, augment, disturb, disturbance
from ageing.training.image_pool import ImagePool, choose
from ageing.utkface import LABELS, labels_of
from data_loader import LabelledFaces

SIDE = 32
NETWORKS = {
    "shipped generator": lambda: models.build_generator(4, 1, upsampling="resize", output="residual", enhancers=1),
    "tutorial's generator": lambda: models.build_generator(4, 1, norm="contrib", padding="reflect"),
    "discriminator": lambda: models.build_discriminator(4, labels=LABELS, scales=2),
    "classifier": lambda: models.build_classifier(LABELS, SIDE, 24, filters=4),
}


def values():
    """{name: array}"""
    rng = np.random.default_rng(1)
    x, y = (rng.uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32) for _ in range(2))
    labels = labels_of(np.array([0, 6, 3]))
    found = {}
    for name, build in NETWORKS.items():
        network = _network(build, rng)
        found[name] = network.predict_on_batch([x, labels] if len(network.inputs) == 2 else x)
    for name in ("mean_absolute", "colour_change", "spots_drawn"):
        found[name] = getattr(losses, name)(ops.convert_to_tensor(x), ops.convert_to_tensor(y))
    found["least_squares"] = losses.least_squares(found["discriminator"], 1.0)
    found["label_loss"] = losses.label_loss(found["classifier"], labels)
    found["label_change"] = losses.label_change(found["classifier"], found["classifier"][::-1])
    found["augment"] = augment(x, rng.random((3, 4), np.float32), 0.125)
    uniform, noise = rng.random((3, len(DISTURBED)), np.float32), rng.random((3, SIDE, SIDE, 1), np.float32)
    found["disturb"] = disturb(x, disturbance(uniform, noise))
    found |= _pool_values(LabelledFaces(x, labels), LabelledFaces(y, labels), rng)
    return {f"{name} {i}": ops.convert_to_numpy(value) for name, many in found.items()
            for i, value in enumerate(keras.tree.flatten(many))}


def _network(build, rng):
    """A network with weights that depend on nothing but `rng`."""
    # Keras' own initial values are not used, and JAX compiles their random numbers for each shape: a minute.
    with mock.patch.object(keras.initializers.VarianceScaling, "__call__", keras.initializers.Zeros.__call__), \
            mock.patch.object(models, "ENHANCER_BLOCKS", 1):
        network = build()
    for variable in network.variables:
        fan_in = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.normal(variable.name == "gamma", fan_in**-0.5, variable.shape))
    return network


def _pool_values(faces, others, rng):
    swapped, pushed = ImagePool(4, SIDE), ImagePool(4, SIDE)
    found = {"fill": swapped.swap(faces, rng.random((3, 2), np.float32)),
             "swap": swapped.swap(others, rng.random((3, 2), np.float32))}
    pushed.push(faces)
    pushed.push(others)
    found["sample"] = pushed.sample(rng.random(6, np.float32))
    found["choose"] = choose(np.array([True, False, True]), faces, others)
    return found | {"pool": [v for pool in (swapped, pushed) for v in (pool.images, pool.labels, pool.count)]}


if __name__ == "__main__":
    np.savez(sys.argv[1], **values())
    assert "tensorflow" not in sys.modules or keras.backend.backend() == "tensorflow", "TensorFlow was imported"
