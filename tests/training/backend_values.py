"""What networks, losses, augmentation, pool and training steps compute on the backend of Keras, as arrays.

    KERAS_BACKEND=jax python tests/training/backend_values.py values.npz
    KERAS_BACKEND=jax python tests/training/backend_values.py values.npz steps

"steps": two training steps instead of the parts. Several devices and processes share them, as engine.Jax says.
"""

import sys
from unittest import mock

if __name__ == "__main__":
    from ageing.training import devices
    devices.load_backend()

import keras
import numpy as np
from keras import ops
from training_pieces import NoiseFaces

import models
from ageing.training import losses, recipe_file
from ageing.training.augmentation import DISTURBED, augment, disturb, disturbance
from ageing.training.engine import engine
from ageing.training.image_pool import ImagePool, choose
from ageing.training.plan import batch, plan
from ageing.utkface import LABELS, labels_of
from data_loader import LabelledFaces

SIDE, AGES = 32, (45, 65)
NETWORKS = {
    "shipped generator": lambda: models.build_generator(4, 1, upsampling="resize", output="residual", enhancers=1),
    "tutorial's generator": lambda: models.build_generator(4, 1, norm="contrib", padding="reflect"),
    "told generator": lambda: models.build_generator(4, 1, enhancers=1, ages=AGES),
    "discriminator": lambda: models.build_discriminator(4, labels=LABELS, scales=2),
    "told discriminator": lambda: models.build_discriminator(4, labels=LABELS, features=True, ages=AGES),
    "classifier": lambda: models.build_classifier(LABELS, SIDE, 24, filters=4),
}
# Everything that a step has, at one size.
STEPS = {
    "stages": [{"size": 16, "batch_size": 2, "d_batch_size": 4, "steps": 9}],
    "precision": "float32",
    "growing": "enhance",
    "data": {"domain_B": ["40s", "60s"]},
    "generator": {"filters": 2, "blocks": 1},
    "discriminator": {"filters": 4, "labels": "projection"},
    "adversary": {"pool_size": 6, "real_negatives": 0.5, "augment": True},
    "loss": {"lambda_label": 1.0, "lambda_consistency": 1.0},
}


def values():
    """{name: array} of the parts."""
    rng = np.random.default_rng(1)
    x, y = (rng.uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32) for _ in range(2))
    labels = labels_of(np.array([0, 6, 3]))
    keras.utils.set_random_seed(1)
    found = {}
    with mock.patch.object(models, "ENHANCER_BLOCKS", 1):
        networks = {name: build() for name, build in NETWORKS.items()}
    for name, network in networks.items():
        _start_anywhere(network)
        given = {"image": x, "labels": labels, "age": np.float32([[40], [52], [70]])}
        inputs = [ops.convert_to_tensor(given.get(one.name, x)) for one in network.inputs]
        found[name] = network(inputs if len(inputs) > 1 else inputs[0])
    for name in ("mean_absolute", "colour_change", "spots_drawn"):
        found[name] = getattr(losses, name)(ops.convert_to_tensor(x), ops.convert_to_tensor(y))
    found["least_squares"] = losses.least_squares(found["discriminator"], 1.0)
    found["label_loss"] = losses.label_loss(found["classifier"], labels)
    found["label_change"] = losses.label_change(found["classifier"], found["classifier"][::-1])
    found["augment"] = augment(x, rng.random((3, 4), np.float32), 0.125)
    uniform, noise = rng.random((3, len(DISTURBED)), np.float32), rng.random((3, SIDE, SIDE, 1), np.float32)
    found["disturb"] = disturb(x, disturbance(uniform, noise))
    pixels = ops.convert_to_tensor(rng.integers(0, 256, (3, SIDE, SIDE, 3), np.uint8))
    transforms = np.float32([[1, 0.1, -9, -0.1, 1, 7], [-1, 0, 31, 0, 1, 0], [0.9, 0, 2.5, 0, 1.1, -3.5]])
    found["warp"] = engine().warp(pixels, ops.convert_to_tensor(transforms)) / 255
    return _arrays(found | _pool_values(LabelledFaces(x, labels), LabelledFaces(y, labels), rng))


def steps():
    """{name: array}: losses of two training steps, and weights, averages, optimizers and pools after them."""
    from ageing.training.cyclegan import CycleGAN

    recipe = recipe_file.parse(STEPS, "steps")
    keras.utils.set_random_seed(1)
    gan = CycleGAN(recipe, recipe.stages[0])
    for network in (gan.g_AB, gan.g_BA, gan.classifier):
        _start_anywhere(network)
    gan.copy_to_average()
    phase, = plan(recipe, 8)
    faces, found = NoiseFaces(recipe.stages[0].size, [1, 0.1, -1, -0.1, 1, 1], ages=(40, 80)), {}
    for step in (0, 1):
        one = batch(phase, gan, faces, step)
        found[f"losses {step}"] = dict(sorted(gan.compute("train", engine().place(one)).items()))
    state = {name: [v.value for v in some] for name, some in gan.state().items()}
    pools = {name: ops.cast(state.pop(name)[0], "float32") / 255 for name in ("pool_A", "pool_B")}
    return _arrays(found | state | pools)


def _start_anywhere(network):
    """What starts at zeros gets values: a gradient of zero is rounding noise, of any sign."""
    for variable in network.variables:
        if ("kernel" in variable.path or "told" in variable.path) and not np.any(ops.convert_to_numpy(variable)):
            variable.assign(np.random.normal(0, 0.1, variable.shape))


def _pool_values(faces, others, rng):
    swapped, pushed = ImagePool(4, SIDE), ImagePool(4, SIDE)
    found = {"fill": swapped.swap(faces, rng.random((3, 2), np.float32)),
             "swap": swapped.swap(others, rng.random((3, 2), np.float32))}
    pushed.push(faces)
    pushed.push(others)
    found["sample"] = pushed.sample(rng.random(6, np.float32))
    found["choose"] = choose(np.array([True, False, True]), faces, others)
    return found | {"pool": [v for pool in (swapped, pushed) for v in pool.variables]}


def _arrays(found):
    return {f"{name} {i}": ops.convert_to_numpy(value) for name, many in found.items()
            for i, value in enumerate(keras.tree.flatten(many)) if value is not None}


if __name__ == "__main__":
    np.savez(sys.argv[1], devices=engine().devices, **(steps() if sys.argv[2:] == ["steps"] else values()))
    assert "tensorflow" not in sys.modules or keras.backend.backend() == "tensorflow", "TensorFlow was imported"
