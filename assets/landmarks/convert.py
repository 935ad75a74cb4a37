"""Make landmarks.onnx from the weights of face-api.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    python assets/landmarks/convert.py package                 -> assets/landmarks/landmarks.onnx

The network is face-api's FaceLandmark68Net: blocks of separable convolutions, whose output is the sum of their layers.
Input `pixels`: uint8 RGB (n, 112, 112, 3). Output `points`: (n, 68, 2), x and y as shares of the side, in the order of
the 300-W data set (Sagonas et al. 2013).
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from face_api import Graph, read_weights

POINTS = 68


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: convert.py FOLDER, the unpacked npm package @vladmandic/face-api")
    model = build(read_weights(Path(sys.argv[1], "model"), "face_landmark_68_model"))
    target = Path(__file__).with_name("landmarks.onnx")
    target.write_bytes(model.SerializeToString(deterministic=True))
    print(f"wrote {target}: {target.stat().st_size:,} bytes")


def build(weights):
    """The ONNX model, checked. The number of blocks, and of layers in each, follows from the weights."""
    graph = Graph(weights)
    x = graph.pixels()
    blocks = 1 + max(int(name[len("dense")]) for name in weights if name.startswith("dense"))
    for block in range(blocks):
        x = dense(graph, f"dense{block}", x)
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    shape = graph.constant("shape", (-1, POINTS, 2), np.int64)
    graph.node("Reshape", graph.head("fc", x), shape, output="points")
    return graph.model("landmarks", {"points": ("n", POINTS, 2)}, "assets/landmarks/convert.py")


def dense(graph, name, x):
    """Halves the side. Each layer's input is the rectified sum of all layers before it."""
    if f"{name}/conv0/filters" in graph.weights:
        x = graph.convolution(f"{name}/conv0", x)
    else:
        x = graph.separable(f"{name}/conv0", x, stride=2)
    total = x = graph.relu(x)
    layer = 1
    while f"{name}/conv{layer}/bias" in graph.weights:
        total = graph.node("Add", total, graph.separable(f"{name}/conv{layer}", x))
        x = graph.relu(total)
        layer += 1
    return x


if __name__ == "__main__":
    main()
