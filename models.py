"""The networks: residual generator, PatchGAN discriminator, classifier of faces, and their layers.

Images are float32 (N, H, W, 3) in [-1, 1]. Architectures: Zhu et al., "Unpaired Image-to-Image Translation using
Cycle-Consistent Adversarial Networks", ICCV 2017, section 7.2. Each option below says what it changes.
"""

import copy
import functools

import keras
import numpy as np
from keras import layers, ops

from ageing.training.imagenet_features import ImageNetFeatures

register = keras.saving.register_keras_serializable(package="face_ageing")


@register
class InstanceNormalization(layers.Layer):
    """Instance normalisation of (N, H, W, C), computed in float32 at any precision of the layer.

    mode="channel": Ulyanov et al. 2016, eq. 7: mean and variance over H and W, one scale and one shift per channel,
        (x - mean) / sqrt(var + 1e-5).
    mode="contrib": what keras-contrib's layer computes by default (axis=None), for the tutorial's recipe: one mean and
        one standard deviation over H, W and C, one scalar scale and shift, (x - mean) / (std + 1e-3).
    """

    def __init__(self, mode="channel", **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def build(self, shape):
        shape = (shape[-1],) if self.mode == "channel" else (1,)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", dtype="float32", autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", dtype="float32", autocast=False)

    def call(self, x):
        axes = (1, 2) if self.mode == "channel" else (1, 2, 3)
        wide = ops.cast(x, "float32")
        mean, variance = ops.moments(wide, axes, keepdims=True)
        if self.mode == "channel":
            scale = self.gamma * ops.rsqrt(variance + 1e-5)
        else:
            scale = self.gamma / (ops.sqrt(variance) + 1e-3)
        # Written as one multiplication and one addition per pixel.
        return ops.cast(wide * scale + (self.beta - mean * scale), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


@register
class ConditionalInstanceNormalization(layers.Layer):
    """Instance normalisation of (N, H, W, C) with scale and shift that depend on a condition (N, K), the second input.

    Dumoulin et al., "A Learned Representation for Artistic Style", ICLR 2017, eq. 5, for conditions in between, too:
    scale and shift are each a constant plus a linear function of the condition, which starts at zero. Computed in
    float32. (A plane with the condition beside the image would be subtracted with the mean.)
    """

    def build(self, shapes):
        (*_, channels), (*_, length) = shapes
        settings = {"dtype": "float32", "autocast": False}
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones", **settings)
        self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros", **settings)
        self.gamma_told, self.beta_told = (self.add_weight(name=name, shape=(length, channels), initializer="zeros",
                                                           **settings) for name in ("gamma_told", "beta_told"))

    def call(self, inputs):
        x, condition = (ops.cast(one, "float32") for one in inputs)
        mean, variance = ops.moments(x, (1, 2), keepdims=True)
        gamma = (self.gamma + ops.matmul(condition, self.gamma_told))[:, None, None]
        beta = (self.beta + ops.matmul(condition, self.beta_told))[:, None, None]
        scale = gamma * ops.rsqrt(variance + 1e-5)
        return ops.cast(x * scale + (beta - mean * scale), self.compute_dtype)

    def compute_output_shape(self, shapes):
        return shapes[0]


@register
class AgeCode(layers.Layer):
    """Ages (N, 1) in years -> their code (N, K): linear interpolation between K known ages, whose codes are the unit
    vectors. An age beyond them has the code of the nearest one. known: in years, ascending."""

    def __init__(self, known, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.known = list(known)

    def call(self, ages):
        # The code's entry k is a hat: 1 at the age k, 0 from the ages beside it on. Beyond both ends it stays 1.
        known, far = self.known, 1e6
        left = ops.convert_to_tensor(np.diff(known, prepend=known[0] - far)[None], "float32")
        right = ops.convert_to_tensor(np.diff(known, append=known[-1] + far)[None], "float32")
        distance = ops.clip(ages, known[0], known[-1]) - ops.convert_to_tensor([known], "float32")
        return ops.relu(1 - ops.maximum(-distance / left, distance / right))

    def compute_output_shape(self, shape):
        return (shape[0], len(self.known))

    def get_config(self):
        return {**super().get_config(), "known": self.known}


@register
class ReflectionPadding2D(layers.Layer):
    """Reflect `size` pixels at each border of (N, H, W, C). The border pixel itself is not repeated."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x):
        return ops.pad(x, ((0, 0), (self.size,) * 2, (self.size,) * 2, (0, 0)), mode="reflect")

    def compute_output_shape(self, shape):
        grow = [None if n is None else n + 2 * self.size for n in shape[1:3]]
        return (shape[0], *grow, shape[3])

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@register
class BoundedResidual(layers.Layer):
    """[image, delta] -> tanh(atanh(clip(image, -.98, .98)) + delta); all float32 (N, H, W, 3), images in [-1, 1].

    At delta = 0 it is the identity, within .02 at saturated pixels. A delta changes a pixel less the nearer it is to
    black or white, so no artefact appears where the photo is saturated.
    """

    limit = 0.98

    def call(self, inputs):
        image, delta = inputs
        x = ops.clip(image, -self.limit, self.limit)
        # atanh(x), by functions that every export format has
        return ops.tanh(0.5 * (ops.log(1 + x) - ops.log(1 - x)) + delta)

    def compute_output_shape(self, shapes):
        return shapes[0]


@register
class MutedColour(layers.Layer):
    """A change (N, H, W, 3) with 0.3 of its colour: its mean over the channels stays."""

    share = 0.3

    def call(self, change):
        grey = ops.mean(change, axis=-1, keepdims=True)
        return grey + self.share * (change - grey)

    def compute_output_shape(self, shape):
        return shape


@register
class UpsamplingConv2D(layers.Conv2D):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution: (N, H, W, C) -> (N, 2H, 2W, filters).

    It leaves no checkerboard, as a trained transposed convolution does (Odena et al. 2016). Both steps are computed at
    once, by a transposed convolution with a 4x4 kernel: 4/9 of the work, and no upsampled tensor in memory.
    """

    def __init__(self, filters, **kwargs):
        kwargs.pop("kernel_size", None)
        super().__init__(filters, kernel_size=3, **{**kwargs, "padding": "same"})

    def call(self, x):
        # Upsampling makes four equal pixels of one. Each takes the 3x3 kernel to another place of the 4x4 kernel.
        kernel = sum(ops.pad(self.kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1))
        kernel = ops.transpose(ops.flip(kernel, (0, 1)), (0, 1, 3, 2))  # as a transposed convolution takes it
        y = ops.conv_transpose(x, kernel, strides=2, padding="same", data_format="channels_last")
        return y + self.bias if self.use_bias else y

    def compute_output_shape(self, shape):
        return (shape[0], *(None if n is None else 2 * n for n in shape[1:3]), self.filters)


@register
class BilinearUpsampling2D(layers.Layer):
    """Bilinear upsampling by 2: (N, H, W, C) -> (N, 2H, 2W, C). Keras' layer exports with fixed H and W only."""

    def call(self, x):
        height, width, channels = ops.shape(x)[1:]
        if isinstance(height, int) and isinstance(width, int):
            return ops.image.resize(x, (2 * height, 2 * width), "bilinear", data_format="channels_last")
        # The sizes are unknown in an export. The same as a convolution, whose outputs are the four new pixels of each
        # old one: along each axis, a quarter of a pixel before and after it. The border repeats.
        weights = np.array([[0.25, 0.75, 0], [0, 0.75, 0.25]], self.compute_dtype)
        kernel = np.einsum("pi,qj,cd->ijcpqd", weights, weights, np.eye(channels, dtype=self.compute_dtype))
        x = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        x = ops.concatenate([x[:, :, :1], x, x[:, :, -1:]], axis=2)
        kernel = ops.convert_to_tensor(kernel.reshape(3, 3, channels, 4 * channels))
        return ops.depth_to_space(ops.conv(x, kernel, padding="valid", data_format="channels_last"), 2, "channels_last")

    def compute_output_shape(self, shape):
        return (shape[0], *(None if n is None else 2 * n for n in shape[1:3]), shape[3])


@register
class BlockConv2D(layers.Conv2D):
    """A convolution to few channels, computed in blocks of 4x4 pixels. H and W must be multiples of 4.

    CPUs compute 8 or 16 channels at once, so three channels leave them idle. Here each block of pixels is one output of
    a convolution of stride 4 with 4 x 4 x filters channels, whose kernel holds the small kernel at every place of the
    block: twice the arithmetic in a sixth of the time (7x7, 32 -> 3 channels, 64 px, with gradients, two cores).
    """

    block = 4

    def call(self, x):
        reach, b = self.kernel_size[0] // 2, self.block
        if self.padding == "same":
            x = ops.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        kernel = ops.concatenate([ops.pad(self.kernel, ((i, b - 1 - i), (j, b - 1 - j), (0, 0), (0, 0)))
                                  for i in range(b) for j in range(b)], axis=3)
        y = ops.conv(x, kernel, strides=b, padding="valid", data_format="channels_last")
        y = ops.depth_to_space(y, b, "channels_last")
        return y + self.bias if self.use_bias else y


@register
class Initializer(keras.initializers.Initializer):
    """Initial kernels, drawn by NumPy from the seed of `keras.utils.set_random_seed`: the same on every backend.

    kind: "glorot", uniform (Glorot and Bengio 2010, eq. 16); "he", Gaussian (He et al. 2015, eq. 10), which keeps the
    signal's scale without norm; "normal", N(0, 0.02), the paper's. JAX would compile a program for each shape.
    """

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, shape, dtype=None):
        places = np.prod(shape[:-2], dtype=int)
        fan_in, fan_out = places * shape[-2], places * shape[-1]
        if self.kind == "glorot":
            limit = np.sqrt(6 / (fan_in + fan_out))
            values = np.random.uniform(-limit, limit, shape)
        else:
            values = np.random.normal(0, {"he": np.sqrt(2 / fan_in), "normal": 0.02}[self.kind], shape)
        return ops.convert_to_tensor(values.astype("float32"), dtype)

    def get_config(self):
        return {"kind": self.kind}


ENHANCER_BLOCKS = 2  # residual blocks of a local enhancer at half its size; one more follows at the full size
HEAD_FILTERS = 64
BAND_GAIN = 12.0     # the finest band of a sharp face, standard deviation 0.04, becomes as strong as the image, 0.5


def build_generator(filters=64, blocks=9, norm="channel", padding="zero", upsampling="transpose", output="image",
                    init="glorot", enhancers=0, ages=(), precision="float32", name=None):
    """Residual generator: float32 (N, H, W, 3) in [-1, 1] -> the same; H and W multiples of 4 * 2**enhancers.

    7x7 conv, two stride-2 3x3 convs, `blocks` residual blocks at a quarter of the size, two upsamplings, 7x7 conv.
    Norm ("channel", "contrib": see InstanceNormalization) and ReLU after every conv but the last.

    padding: "zero", or "reflect" in the 7x7 convs and residual blocks, as in the paper.
    upsampling: "transpose", stride-2 transposed convs (the paper's), or "resize", nearest neighbour and a 3x3 conv,
        which leaves no checkerboard (Odena et al. 2016).
    output: "image", tanh of the last conv; "residual", a BoundedResidual that starts as the identity; "muted", a
        residual of MutedColour.
    init: see Initializer.
    enhancers: how many local enhancers are wrapped around the generator, see `_enhancer`. The layer "coarse" is the
        generator inside the outermost one, without its BoundedResidual or tanh: image -> [change, features].
    ages: the known ages in years of a generator that is told an age, see AgeCode. It takes [images, ages (N, 1) in
        years], and each of its norms, which must be "channel", is conditional. (): it takes images.
    precision: "float32" or "mixed_bfloat16"; weights and output are float32 in both.
    """
    image = layers.Input((None, None, 3), name="image")
    age = [layers.Input((1,), name="age")] * bool(ages)
    code = AgeCode(ages, name="code")(*age) if ages else None
    parts = _GeneratorParts(norm, padding, upsampling, init, precision, code)
    change, _ = _enhancer(parts, image, filters, blocks, enhancers, output)
    if output == "image":
        x = layers.Activation("tanh", dtype="float32", name="translated")(change)
    else:
        change = MutedColour(dtype="float32")(change) if output == "muted" else change
        x = BoundedResidual(dtype="float32", name="translated")([image, change])
    return keras.Model([image, *age] if ages else image, x, name=name)


def told(network, images, ages):
    """What `network`, a generator, takes for `images` (N, H, W, 3): with the ages (M, 1) in years if it is told an age.

    N is a multiple of M: several batches of images, for each of which the ages are the same.
    """
    if len(network.inputs) == 1:
        return images
    batches = images.shape[0] // ages.shape[0]
    return [images, ages if batches == 1 else ops.tile(ages, (batches, 1))]


def _enhancer(parts, image, filters, blocks, level, output):
    """(last conv's output, features before it) of a local enhancer and everything inside it. level 0: no enhancer.

    Wang et al., "pix2pixHD", CVPR 2018, section 3.2: a generator for half the size works on the downsampled image, and
    its last features are added to the enhancer's, which has half the filters. Unlike there, the inner generator's last
    conv stays: its output is upsampled, and the enhancer adds to it. The enhancer's last conv starts at zero, so a
    generator that grows starts with what it has learned. And the enhancer's first features skip to its end, into a
    residual block of the full size (Ronneberger et al., "U-Net", 2015): wrinkles are finer than half the size can show.
    """
    if level == 0:
        return _coarse(parts, image, filters, blocks, output)
    smaller, inside = layers.Input((None, None, 3)), parts.of_a_model_inside()
    coarse = keras.Model(inside.inputs(smaller), _enhancer(inside, smaller, filters, blocks, level - 1, output),
                         name="coarse")
    change, features = coarse(parts.inputs(layers.AveragePooling2D(2, dtype="float32")(image)))
    width = filters >> level
    fine = parts.norm_relu(parts.padded_conv(image, width, 7))
    x = layers.Add(dtype=parts.precision)([parts.down(fine, 2 * width), features])
    for _ in range(ENHANCER_BLOCKS):
        x = parts.residual_block(x, 2 * width)
    x = layers.Add(dtype=parts.precision)([parts.up(x, width), fine])
    x = parts.residual_block(x, width)
    change = BilinearUpsampling2D(dtype="float32")(change)
    return layers.Add(dtype="float32")([change, parts.last_conv(x, zeros=True)]), x


def _coarse(parts, image, filters, blocks, output):
    """(last conv's output, features before it) of the paper's generator."""
    x = parts.norm_relu(parts.padded_conv(image, filters, 7))
    for width in (2 * filters, 4 * filters):
        x = parts.down(x, width)
    for _ in range(blocks):
        x = parts.residual_block(x, 4 * filters)
    for width in (2 * filters, filters):
        x = parts.up(x, width)
    # From zeros the untrained residual generator is the identity.
    return parts.last_conv(x, zeros=output != "image"), x


class _GeneratorParts:
    """The parts of a generator, all with the same norm, padding, upsampling, initialisation and precision.

    condition: the tensor (N, K) of which the norms' scales and shifts are functions, or None.
    """

    def __init__(self, norm, padding, upsampling, init, precision, condition=None):
        self.norm, self.padding, self.upsampling, self.precision = norm, padding, upsampling, precision
        self.condition = condition
        self.settings = {"kernel_initializer": Initializer(init), "dtype": precision,
                         "use_bias": norm != "channel"}  # instance norm subtracts the mean, so a bias is redundant

    def of_a_model_inside(self):
        """The same parts for a model inside of this one, which has an input of its own for the condition."""
        inside = copy.copy(self)
        inside.condition = None if self.condition is None else layers.Input(self.condition.shape[1:])
        return inside

    def inputs(self, image):
        return image if self.condition is None else [image, self.condition]

    def padded_conv(self, x, filters, size, layer=layers.Conv2D, **more):
        if self.padding == "reflect":
            x = ReflectionPadding2D(size // 2, dtype=self.precision)(x)
        padding = "valid" if self.padding == "reflect" else "same"
        return layer(filters, size, padding=padding, **{**self.settings, **more})(x)

    def normalised(self, x):
        if self.condition is not None:
            return ConditionalInstanceNormalization(dtype=self.precision)([x, self.condition])
        return InstanceNormalization(self.norm, dtype=self.precision)(x)

    def norm_relu(self, x):
        return layers.ReLU(dtype=self.precision)(self.normalised(x))

    def down(self, x, filters):
        return self.norm_relu(layers.Conv2D(filters, 3, strides=2, padding="same", **self.settings)(x))

    def residual_block(self, x, filters):
        y = self.norm_relu(self.padded_conv(x, filters, 3))
        return layers.Add(dtype=self.precision)([x, self.normalised(self.padded_conv(y, filters, 3))])

    def up(self, x, filters):
        if self.upsampling == "transpose":
            x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", **self.settings)(x)
        else:
            x = UpsamplingConv2D(filters, **self.settings)(x)
        return self.norm_relu(x)

    def last_conv(self, x, zeros):
        more = {"kernel_initializer": "zeros"} if zeros else {}
        return self.padded_conv(x, 3, 7, BlockConv2D, use_bias=True, name="delta", **more)


def build_discriminator(filters=64, norm="channel", order="norm_first", last_stride=2, init="glorot", labels=0,
                        features=False, ages=(), scales=1, precision="float32", name=None):
    """PatchGAN: float32 (N, H, W, 3) in [-1, 1] -> float32 (N, h, w, 1), a score per patch; H and W multiples of 16.
    With `scales` above 1, or with `features`, it returns a list of such scores.

    Four 4x4 convs (filters, x2, x4, x8), leaky ReLU 0.2, norm on all but the first, a last 4x4 conv to one channel.

    norm: "channel", "contrib" or "none".
    order: "norm_first" (conv, norm, activation: the paper's) or "activation_first" (conv, activation, norm:
        the tutorial's).
    last_stride: of the fourth conv. 2: 256x256 in, 16x16 out; 1: the paper's 70-pixel receptive field, 32x32 out.
    init: see Initializer.
    labels: 0, or the length of a face's label vector. The network then takes [images, labels (N, labels)]. The inner
        product of a patch's last features and a learned projection of the labels is added to its score (Miyato and
        Koyama, ICLR 2018, eq. 5). The projection starts at zero. Labels of zeros leave the score unchanged.
    ages: () or the known ages in years, see AgeCode. The network then also takes ages (N, 1) in years, its last input.
        Their code is part of what is projected.
    scales: number of PatchGANs. Above 1 they are the layers "scale0", "scale1", ..., each for half the size of the one
        before (pix2pixHD, section 3.2). The last one sees the smallest image. Each one before it sees only what the
        next one cannot: its band of a Laplacian pyramid (Denton et al., "LAPGAN", NIPS 2015, section 2.1), times
        BAND_GAIN. So none decides by what another one judges. H and W multiples of 16 * 2**(scales - 1).
    features: three heads, the layers "head0" to "head2", judge the whole image beside them, by the features that a
        network has learned on ImageNet (projected discriminators, Sauer et al., NeurIPS 2021).
    """
    image = layers.Input((None, None, 3), name="image")
    label, age = [layers.Input((labels,), name="labels")] * bool(labels), [layers.Input((1,), name="age")] * bool(ages)
    inputs = [image, *label, *age] if label or age else image
    if scales > 1 or features:
        scores = []
        for scale, seen in enumerate(_laplacian_pyramid(image, scales)):
            one = build_discriminator(filters, norm, order, last_stride, init, labels, ages=ages, precision=precision,
                                      name=f"scale{scale}")
            scores.append(one([seen, *label, *age] if label or age else seen))
        for number, seen in enumerate(ImageNetFeatures()(image) if features else ()):
            one = _build_head(seen.shape[-1], number < 2, labels, ages, name=f"head{number}")
            scores.append(one([seen, *label, *age] if label or age else seen))
        return keras.Model(inputs, scores, name=name)

    conv = functools.partial(layers.Conv2D, kernel_size=4, padding="same", kernel_initializer=Initializer(init),
                             dtype=precision)

    def normalised(x):
        return x if norm == "none" else InstanceNormalization(norm, dtype=precision)(x)

    def activated(x):
        return layers.LeakyReLU(0.2, dtype=precision)(x)

    x = activated(conv(filters, strides=2)(image))
    for width, stride in ((2, 2), (4, 2), (8, last_stride)):
        x = conv(width * filters, strides=stride, use_bias=norm != "channel" or order != "norm_first")(x)
        x = activated(normalised(x)) if order == "norm_first" else normalised(activated(x))
    return keras.Model(inputs, _scores(conv(1)(x), x, label, age, ages, precision), name=name)


def _scores(scores, x, label, age, ages, precision):
    """`scores`, those of the last features `x`, with the projection of labels and ages, float32."""
    if told := [*label, *(AgeCode(ages, name="code")(one) for one in age)]:
        told = layers.Concatenate()(told) if len(told) > 1 else told[0]
        projection = layers.Dense(x.shape[-1], use_bias=False, kernel_initializer="zeros", dtype=precision,
                                  name="projection")(told)
        scores = scores + ops.einsum("nhwc,nc->nhw", x, projection)[..., None]
    return layers.Activation("linear", dtype="float32", name="scores")(scores)


def _build_head(channels, shrinks, labels, ages, name):
    """A head on features (N, h, w, channels): scores of their places, of every second one if it `shrinks`.

    A fixed random mixing of the channels first, so that no few of them decide (Sauer et al., section 3.2).
    """
    features = layers.Input((None, None, channels))
    label, age = [layers.Input((labels,))] * bool(labels), [layers.Input((1,))] * bool(ages)
    conv = functools.partial(layers.Conv2D, kernel_size=3, padding="same", kernel_initializer=Initializer("he"))
    x = conv(HEAD_FILTERS, kernel_size=1, use_bias=False, trainable=False)(features)
    x = layers.LeakyReLU(0.2)(conv(HEAD_FILTERS)(x))
    x = layers.LeakyReLU(0.2)(conv(3 * HEAD_FILTERS // 2, strides=2 if shrinks else 1)(x))
    scores = conv(1, kernel_initializer=Initializer("normal"))(x)
    return keras.Model([features, *label, *age] if label or age else features,
                       _scores(scores, x, label, age, ages, "float32"), name=name)


def _laplacian_pyramid(image, levels):
    """[finest band, next band at half the size, ..., smallest image]; the bands times BAND_GAIN.

    The pyramid of Burt and Adelson (1983), but with means of 2x2 pixels on the way down and bilinear upsampling on the
    way up.
    """
    bands = []
    for _ in range(levels - 1):
        smaller = layers.AveragePooling2D(2, dtype="float32")(image)
        band = layers.Subtract(dtype="float32")([image, BilinearUpsampling2D(dtype="float32")(smaller)])
        bands.append(layers.Rescaling(BAND_GAIN, dtype="float32")(band))
        image = smaller
    return [*bands, image]


def build_classifier(labels, size, seen, filters=32, precision="float32", name=None):
    """Classifier of faces: float32 (N, size, size, 3) in [-1, 1] -> float32 (N, labels) scores.

    Four stride-2 4x4 convs like the PatchGAN's (He initialisation, no norm), then a dense layer over all places and
    features, because faces are aligned. (On global averages it learned slower.) The dense layer starts at zero.

    labels: length of a face's label vector; `losses.log_probabilities` turns scores into probabilities. seen: the size
    in pixels at which it works. Images are resized to it, so the classifier can be kept when the image size grows.
    """
    image = layers.Input((size, size, 3), name="image")
    x = layers.AveragePooling2D(size // seen, dtype="float32")(image) if size >= 2 * seen else image
    if x.shape[1] != seen:
        x = layers.Resizing(seen, seen, dtype="float32")(x)
    for width in (1, 2, 4, 8):
        x = layers.Conv2D(width * filters, 4, strides=2, padding="same", kernel_initializer=Initializer("he"),
                          dtype=precision)(x)
        x = layers.LeakyReLU(0.2, dtype=precision)(x)
    x = layers.Flatten(dtype="float32")(x)
    return keras.Model(image, layers.Dense(labels, kernel_initializer="zeros", dtype="float32")(x), name=name)


def outermost(generator):
    """The trainable variables of a generator's outermost enhancer, or of the whole generator if it has none."""
    return [v for layer in generator.layers if layer.name != "coarse" for v in layer.trainable_variables]


def parts(discriminator, kind="scale"):
    """The PatchGANs of a discriminator, the one for the full size first. kind: "head" for its heads on features."""
    found = [layer for layer in discriminator.layers if isinstance(layer, keras.Model) and layer.name.startswith(kind)]
    return sorted(found, key=lambda one: one.name) or [discriminator] * (kind == "scale")
