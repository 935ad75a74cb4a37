"""From the weights of a face-api network, as the npm package @vladmandic/face-api has them, to an ONNX graph.

The weights stay quantised in the file, as face-api publishes them: one byte each. ONNX Runtime expands them on loading.
"""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 112                          # pixels per side of the networks' input
MEAN = (122.782, 117.001, 104.298)  # of their training images, RGB, 0 to 255
OPSET, IR_VERSION = 13, 8           # old enough for every ONNX Runtime that requirements.txt allows


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


class Graph:
    """Nodes and weights of an ONNX graph. Every method but `model` returns the name of a tensor."""

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

    def pixels(self):
        """The input: uint8 RGB (n, SIZE, SIZE, 3), centred and scaled, as (n, channels, height, width)."""
        x = self.node("Cast", "pixels", to=TensorProto.FLOAT)
        x = self.node("Div", self.node("Sub", x, self.constant("mean", MEAN)), self.constant("range", 255))
        return self.node("Transpose", x, perm=(0, 3, 1, 2))

    def relu(self, x):
        return self.node("Relu", x)

    def convolution(self, name, x):
        """A convolution of stride 2. Padding as TensorFlow's "same" for an even side: at the bottom and right only."""
        side = self.weights[f"{name}/filters"][0].shape[0]
        return self.node("Conv", x, self.weight(f"{name}/filters", (3, 2, 0, 1)), self.weight(f"{name}/bias", (0,)),
                         strides=(2, 2), pads=(0, 0, side // 2, side // 2))

    def separable(self, name, x, stride=1):
        """A 3x3 convolution of each channel by itself, then a 1x1 convolution. stride 2: padded as `convolution`."""
        filters = self.weight(f"{name}/depthwise_filter", (2, 3, 0, 1))
        channels = self.weights[f"{name}/depthwise_filter"][0].shape[2]
        place = {"pads": (1, 1, 1, 1)} if stride == 1 else {"pads": (0, 0, 1, 1), "strides": (stride, stride)}
        x = self.node("Conv", x, filters, group=channels, **place)
        return self.node("Conv", x, self.weight(f"{name}/pointwise_filter", (3, 2, 0, 1)),
                         self.weight(f"{name}/bias", (0,)))

    def head(self, name, x, output=None):
        return self.node("Gemm", x, self.weight(f"{name}/weights", (0, 1)), self.weight(f"{name}/bias", (0,)),
                         output=output)

    def model(self, name, outputs, producer):
        """The ONNX model, checked. outputs: {name: shape}."""
        inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ("n", SIZE, SIZE, 3))]
        outputs = [helper.make_tensor_value_info(title, TensorProto.FLOAT, shape) for title, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name=producer)
        onnx.checker.check_model(model, full_check=True)
        return model
