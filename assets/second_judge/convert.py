"""Make age_gender.onnx from the weights of face-api.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    python assets/second_judge/convert.py package              -> assets/second_judge/age_gender.onnx

The network is face-api's AgeGenderNet: a small Xception (Chollet 2017) with two linear heads.
Input `pixels`: uint8 RGB (n, 112, 112, 3). Outputs: `age` (n,) in years, `male` (n,) probabilities.
The weights stay quantised in the file, as face-api publishes them: one byte each. ONNX Runtime expands them on loading.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 112                          # pixels a side of the input
MEAN = (122.782, 117.001, 104.298)  # of its training images, RGB, 0 to 255
OPSET, IR_VERSION = 13, 8           # old enough for every ONNX Runtime that requirements.txt allows


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: convert.py FOLDER, the unpacked npm package @vladmandic/face-api")
    model = build(read_weights(Path(sys.argv[1], "model"), "age_gender_model"))
    target = Path(__file__).with_name("age_gender.onnx")
    target.write_bytes(model.SerializeToString(deterministic=True))
    print(f"wrote {target}: {target.stat().st_size:,} bytes")


def read_weights(folder, name):
    """{name: (array as stored, scale, low)} of a TensorFlow.js model. scale is None where the array is float32 already.

    A quantised array is uint8 and stands for scale * array + low. Raises ValueError if the file has another length than
    its manifest says.
    """
    manifest, = json.loads((folder / f"{name}-weights_manifest.json").read_text(encoding="utf-8"))
    data, weights, at = (folder / f"{name}.bin").read_bytes(), {}, 0
    for entry in manifest["weights"]:
        coding = entry.get("quantization", {"dtype": "float32", "scale": None, "min": None})
        values = np.frombuffer(data, coding["dtype"], int(np.prod(entry["shape"])), at).reshape(entry["shape"])
        weights[entry["name"]] = (values, coding["scale"], coding["min"])
        at += values.nbytes
    if at != len(data):
        raise ValueError(f"{name}.bin has {len(data)} bytes instead of {at}")
    return weights


def build(weights):
    """The ONNX model, checked."""
    graph = Graph(weights)
    x = graph.node("Cast", "pixels", to=TensorProto.FLOAT)
    x = graph.node("Div", graph.node("Sub", x, graph.constant("mean", MEAN)), graph.constant("range", 255))
    x = graph.node("Transpose", x, perm=(0, 3, 1, 2))  # to (n, channels, height, width), as ONNX convolves
    x = graph.relu(graph.convolution("entry_flow/conv_in", x))
    x = graph.reduction("entry_flow/reduction_block_0", x)
    x = graph.reduction("entry_flow/reduction_block_1", x)
    for block in (0, 1):
        y = x
        for k in (0, 1, 2):
            y = graph.separable(f"middle_flow/main_block_{block}/separable_conv{k}", graph.relu(y))
        x = graph.node("Add", x, y)
    x = graph.reduction("exit_flow/reduction_block", x)
    x = graph.relu(graph.separable("exit_flow/separable_conv", x))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    first = graph.constant("first", 0, np.int64)
    graph.node("Gather", graph.head("fc/age", x), first, axis=1, output="age")
    graph.node("Gather", graph.node("Softmax", graph.head("fc/gender", x), axis=1), first, axis=1, output="male")
    return graph.model()


class Graph:
    """Nodes and weights of an ONNX graph. Every method returns the name of a tensor."""

    def __init__(self, weights):
        self.weights, self.nodes, self.initializers = weights, [], []

    def node(self, kind, *inputs, output=None, **attributes):
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name, values, dtype=np.float32):
        self.initializers.append(numpy_helper.from_array(np.array(values, dtype, order="C"), name))
        return name

    def weight(self, name, order):
        """The weight `name` with its axes in `order`. TensorFlow has (height, width, in, out), ONNX (out, in, ...).

        Plain arithmetic, which ONNX Runtime does once, on loading. DequantizeLinear would make it quantise the
        activations too: ages then differ by up to 0.2 years.
        """
        values, scale, low = self.weights[name]
        values = self.constant(name, values.transpose(order), values.dtype)
        if scale is None:
            return values
        values = self.node("Cast", values, to=TensorProto.FLOAT)
        values = self.node("Mul", values, self.constant(f"{name}/scale", scale))
        return self.node("Add", values, self.constant(f"{name}/low", low))

    def relu(self, x):
        return self.node("Relu", x)

    def convolution(self, name, x):
        """A convolution of stride 2. Padding as TensorFlow's "same" for an even side: at the bottom and right only."""
        side = self.weights[f"{name}/filters"][0].shape[0]
        return self.node("Conv", x, self.weight(f"{name}/filters", (3, 2, 0, 1)), self.weight(f"{name}/bias", (0,)),
                         strides=(2, 2), pads=(0, 0, side // 2, side // 2))

    def separable(self, name, x):
        """A 3x3 convolution of each channel by itself, then a 1x1 convolution."""
        filters = self.weight(f"{name}/depthwise_filter", (2, 3, 0, 1))
        channels = self.weights[f"{name}/depthwise_filter"][0].shape[2]
        x = self.node("Conv", x, filters, group=channels, pads=(1, 1, 1, 1))
        return self.node("Conv", x, self.weight(f"{name}/pointwise_filter", (3, 2, 0, 1)),
                         self.weight(f"{name}/bias", (0,)))

    def reduction(self, name, x):
        """Halves the side: two separable convolutions and a maximum over 3x3, plus a 1x1 convolution."""
        y = self.separable(f"{name}/separable_conv0", self.relu(x))
        y = self.separable(f"{name}/separable_conv1", self.relu(y))
        y = self.node("MaxPool", y, kernel_shape=(3, 3), strides=(2, 2), pads=(0, 0, 1, 1))
        return self.node("Add", y, self.convolution(f"{name}/expansion_conv", x))

    def head(self, name, x):
        return self.node("Gemm", x, self.weight(f"{name}/weights", (0, 1)), self.weight(f"{name}/bias", (0,)))

    def model(self):
        inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ("n", SIZE, SIZE, 3))]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n",)) for name in ("age", "male")]
        graph = helper.make_graph(self.nodes, "age_gender", inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="assets/second_judge/convert.py")
        onnx.checker.check_model(model, full_check=True)
        return model


if __name__ == "__main__":
    main()
