"""Features of a network that learned ImageNet, which discriminators judge: EfficientNet-Lite0 (Tan and Le, ICML 2019).

Its weights are in assets/imagenet_features/. They are constants: nothing here is trained or saved.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

from ageing.project import PROJECT

WEIGHTS = PROJECT / "assets/imagenet_features/lite0.npz"
SMALLEST = 96   # pixels: smaller faces are enlarged, so that the coarsest features have 6 x 6 places
# (kernel size, stride, whether channels are expanded first, whether its features are judged) of each block
BLOCKS = ((3, 1, False, False), (3, 2, True, False), (3, 1, True, True), (5, 2, True, False), (5, 1, True, True),
          (3, 2, True, False), (3, 1, True, False), (3, 1, True, False), (5, 1, True, False), (5, 1, True, False),
          (5, 1, True, True))
STRIDES, CHANNELS = (4, 8, 16), (24, 40, 112)  # of the features that are judged


@keras.saving.register_keras_serializable(package="face_ageing")
class ImageNetFeatures(layers.Layer):
    """float32 (N, H, W, 3) in [-1, 1] -> [float32 (N, H / s, W / s, C)] for the strides s of 4, 8 and 16.

    Each feature is standardised with its mean and standard deviation on faces. Images below 96 pixels are enlarged.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, images):
        weights = _weights()
        numbers = iter(range(len(weights) // 2))

        def convolved(x, stride=1, depthwise=False, active=True):
            number = next(numbers)
            kernel, bias = weights[f"kernel{number:02}"], weights[f"bias{number:02}"]
            convolve = ops.depthwise_conv if depthwise else ops.conv
            x = convolve(x, ops.convert_to_tensor(kernel), stride, "same", data_format="channels_last") + bias
            return ops.relu6(x) if active else x

        if images.shape[1] and images.shape[1] < SMALLEST:
            images = ops.image.resize(images, (SMALLEST, SMALLEST), "bilinear", data_format="channels_last")
        x, found = convolved(images, 2), []
        for _, stride, expands, judged in BLOCKS:
            y = convolved(x) if expands else x
            y = convolved(convolved(y, stride, depthwise=True), active=False)
            x = x + y if stride == 1 and x.shape[-1] == y.shape[-1] else y
            if judged:
                k = len(found)
                found.append((x - weights[f"mean{k}"]) / weights[f"deviation{k}"])
        return found

    def compute_output_shape(self, shape):
        return [(shape[0], None, None, channels) for channels in CHANNELS]


@functools.cache
def _weights():
    with np.load(WEIGHTS) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}
