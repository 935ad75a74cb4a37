"""Make age_gender.onnx from the weights of face-api.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    python assets/second_judge/convert.py package              -> assets/second_judge/age_gender.onnx

The network is face-api's AgeGenderNet: a small Xception (Chollet 2017) with two linear heads.
Input `pixels`: uint8 RGB (n, 112, 112, 3). Outputs: `age` (n,) in years, `male` (n,) probabilities.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from face_api import Graph, read_weights


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: convert.py FOLDER, the unpacked npm package @vladmandic/face-api")
    model = build(read_weights(Path(sys.argv[1], "model"), "age_gender_model"))
    target = Path(__file__).with_name("age_gender.onnx")
    target.write_bytes(model.SerializeToString(deterministic=True))
    print(f"wrote {target}: {target.stat().st_size:,} bytes")


def build(weights):
    """The ONNX model, checked."""
    graph = Graph(weights)
    x = graph.pixels()
    x = graph.relu(graph.convolution("entry_flow/conv_in", x))
    x = reduction(graph, "entry_flow/reduction_block_0", x)
    x = reduction(graph, "entry_flow/reduction_block_1", x)
    for block in (0, 1):
        y = x
        for k in (0, 1, 2):
            y = graph.separable(f"middle_flow/main_block_{block}/separable_conv{k}", graph.relu(y))
        x = graph.node("Add", x, y)
    x = reduction(graph, "exit_flow/reduction_block", x)
    x = graph.relu(graph.separable("exit_flow/separable_conv", x))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    first = graph.constant("first", 0, np.int64)
    graph.node("Gather", graph.head("fc/age", x), first, axis=1, output="age")
    graph.node("Gather", graph.node("Softmax", graph.head("fc/gender", x), axis=1), first, axis=1, output="male")
    return graph.model("age_gender", {"age": ("n",), "male": ("n",)}, "assets/second_judge/convert.py")


def reduction(graph, name, x):
    """Halves the side: two separable convolutions and a maximum over 3x3, plus a 1x1 convolution."""
    y = graph.separable(f"{name}/separable_conv0", graph.relu(x))
    y = graph.separable(f"{name}/separable_conv1", graph.relu(y))
    y = graph.node("MaxPool", y, kernel_shape=(3, 3), strides=(2, 2), pads=(0, 0, 1, 1))
    return graph.node("Add", y, graph.convolution(f"{name}/expansion_conv", x))


if __name__ == "__main__":
    main()
