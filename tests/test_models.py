import keras
import numpy as np
import pytest
import tensorflow as tf

import models


def images(*shape, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_contrib_norm_computes_what_keras_contrib_computed():
    x = images(3, 5, 7, 4) * 3 + 1
    layer = models.InstanceNormalization("contrib")
    layer.build(x.shape)
    layer.gamma.assign([1.5])
    layer.beta.assign([-0.25])
    # axis=None: mean and standard deviation over everything but the batch, epsilon added to the deviation
    mean, std = x.mean((1, 2, 3), keepdims=True), x.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(layer(x), (x - mean) / (std + 1e-3) * 1.5 - 0.25, atol=1e-5)


def test_channel_norm_is_group_norm_with_a_group_a_channel():
    x = images(3, 6, 5, 4) * 3 + 1
    theirs = keras.layers.GroupNormalization(groups=-1, epsilon=1e-5)
    np.testing.assert_allclose(models.InstanceNormalization()(x), theirs(x), atol=1e-5)


def test_the_code_of_an_age_lies_between_those_of_known_ages():
    code = models.AgeCode([45, 55, 75])
    found = code(np.float32([[20], [45], [50], [60], [75], [99]]))
    expected = [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 0.75, 0.25], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert code.compute_output_shape((None, 1)) == (None, 3)


def test_a_conditional_norm_starts_as_instance_norm_and_follows_its_condition():
    x, condition = images(2, 6, 5, 4) * 3 + 1, np.float32([[1, 0], [0.25, 0.75]])
    layer = models.ConditionalInstanceNormalization()
    plain = models.InstanceNormalization()(x)
    np.testing.assert_allclose(layer([x, condition]), plain, atol=1e-6)
    layer.gamma_told.assign([[1] * 4, [3] * 4])
    layer.beta_told.assign([[0] * 4, [-2] * 4])
    gamma, beta = np.float32([2, 1 + 0.25 + 2.25]), np.float32([0, -1.5])
    expected = plain * gamma[:, None, None, None] + beta[:, None, None, None]
    np.testing.assert_allclose(layer([x, condition]), expected, atol=1e-5)


@pytest.mark.parametrize("side", [5, 8])
def test_upsampling_conv_is_nearest_neighbour_and_a_conv(side):
    x = images(2, side, 2 * side, 6)
    mine = models.UpsamplingConv2D(4)
    plain = keras.layers.Conv2D(4, 3, padding="same")
    up = keras.layers.UpSampling2D(2, interpolation="nearest")
    mine.build(x.shape)
    plain.build(x.shape)
    mine.set_weights([plain.kernel, images(4)])
    plain.bias.assign(mine.bias)
    np.testing.assert_allclose(mine(x), plain(up(x)), atol=1e-5)
    assert mine.compute_output_shape((2, side, None, 6)) == (2, 2 * side, None, 4)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 5, 8, 3), (1, 16, 4, 2)])
def test_bilinear_upsampling_is_the_same_where_an_export_leaves_the_size_open(shape):
    x, layer = tf.constant(images(*shape)), models.BilinearUpsampling2D()
    expected = tf.image.resize(x, (2 * shape[1], 2 * shape[2]))
    open_size = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, shape[3]])])
    np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_allclose(open_size(x), expected, atol=1e-6)
    assert layer.compute_output_shape((2, 5, None, 3)) == (2, 10, None, 3)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_block_conv_is_a_conv(padding):
    border = 6 if padding == "valid" else 0
    x = images(2, 16 + border, 24 + border, 5)
    mine, plain = (kind(3, 7, padding=padding) for kind in (models.BlockConv2D, keras.layers.Conv2D))
    plain.build(x.shape)
    mine.build(x.shape)
    mine.set_weights([plain.kernel, images(3)])
    plain.bias.assign(mine.bias)
    np.testing.assert_allclose(mine(x), plain(x), atol=1e-5)
    assert mine(x).shape == (2, 16, 24, 3)


@pytest.mark.parametrize("options", [
    {}, {"norm": "contrib"}, {"padding": "reflect"}, {"upsampling": "resize"}, {"output": "residual"},
    {"init": "normal"}, {"precision": "mixed_bfloat16", "output": "residual"},
    {"enhancers": 1, "norm": "contrib"}, {"enhancers": 1, "precision": "mixed_bfloat16", "output": "residual"}])
def test_generator_keeps_any_size_that_is_a_multiple_of_four_or_eight(options):
    network = models.build_generator(filters=2, blocks=1, **options)
    for height, width in ((32, 32), (72, 40) if "enhancers" in options else (36, 20)):
        out = network(images(2, height, width, 3))
        assert out.shape == (2, height, width, 3)
        assert out.dtype == tf.float32
        assert np.abs(out).max() <= 1


@pytest.mark.parametrize("options", [{"output": "residual"}, {"upsampling": "resize", "padding": "reflect"}])
def test_enhancer_starts_as_the_generator_within_on_half_the_size(options):
    within = models.build_generator(filters=4, blocks=1, enhancers=1, **options)
    coarse = within.get_layer("coarse")
    for variable in coarse.trainable_variables:
        variable.assign(variable + 0.1 * images(*variable.shape))
    photo = images(1, 48, 32, 3)
    half = photo.reshape(1, 24, 2, 16, 2, 3).mean((2, 4))
    change = tf.image.resize(coarse(half)[0], (48, 32))
    if options.get("output") == "residual":
        expected = tf.tanh(tf.atanh(np.clip(photo, -0.98, 0.98)) + change)
    else:
        expected = tf.tanh(change)
    np.testing.assert_allclose(within(photo), expected, atol=1e-4)
    # What it adds begins at its last convolution.
    kernel = within.get_layer("delta").kernel
    assert not np.any(kernel)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.abs(within(photo) - images(1, 48, 32, 3, seed=2)))
    assert np.any(tape.gradient(loss, kernel))


def test_two_enhancers_hold_the_variables_of_one():
    one, two = (models.build_generator(filters=4, blocks=1, enhancers=n, output="residual") for n in (1, 2))
    assert two(images(1, 32, 48, 3)).shape == (1, 32, 48, 3)
    shapes = [[v.shape for v in network.variables] for network in (one, two.get_layer("coarse"))]
    assert shapes[0] == shapes[1]
    assert one.count_params() < two.count_params() < 1.5 * one.count_params()
    outermost = {id(v) for v in models.outermost(two)}
    assert outermost == {id(v) for v in two.trainable_variables} - {id(v) for v in two.get_layer("coarse").variables}


def test_untrained_residual_generator_returns_the_photo():
    photo = images(1, 32, 32, 3)
    out = models.build_generator(filters=2, blocks=1, output="residual", enhancers=1)(photo).numpy()
    np.testing.assert_allclose(out, np.clip(photo, -0.98, 0.98), atol=1e-5)


def test_a_muted_change_keeps_its_lightness_and_a_third_of_its_colour():
    change = np.float32([[[[0.9, 0.0, 0.0], [0.2, 0.2, 0.2]]]])
    np.testing.assert_allclose(models.MutedColour()(change)[0, 0], [[0.48, 0.21, 0.21], [0.2] * 3], atol=1e-6)
    network = models.build_generator(4, 1, output="muted")
    np.testing.assert_allclose(network(photo := images(1, 16, 16, 3) * 0.9), photo, atol=1e-5)
    network.get_layer("delta").bias.assign([1.0, 0, 0])
    moved = np.arctanh(network(photo)) - np.arctanh(photo)
    np.testing.assert_allclose(moved.mean((0, 1, 2)), [0.3 + 0.7 / 3, 0.7 / 3, 0.7 / 3], atol=1e-3)


def test_bounded_residual_moves_saturated_pixels_least():
    layer = models.BoundedResidual()
    dark, middle = (float(layer([tf.fill([1, 1, 1, 3], v), tf.fill([1, 1, 1, 3], 0.3)])[0, 0, 0, 0]) - v
                    for v in (-0.98, 0.0))
    assert 0 < dark < middle / 10
    assert middle == pytest.approx(np.tanh(0.3), abs=1e-6)


@pytest.mark.parametrize(("last_stride", "side"), [(2, 16), (1, 32)])
def test_discriminator_scores_patches(last_stride, side):
    network = models.build_discriminator(filters=2, last_stride=last_stride)
    assert network(images(1, 256, 256, 3)).shape == (1, side, side, 1)


@pytest.mark.parametrize("labels", [0, 7])
def test_each_part_sees_its_band(labels):
    """The last part sees the smallest size; each one before it what the next size cannot show."""
    network = models.build_discriminator(filters=2, norm="none", labels=labels, scales=3)
    photo = images(2, 128, 64, 3)
    half, quarter = (photo.reshape(2, 128 // n, n, 64 // n, n, 3).mean((2, 4)) for n in (2, 4))
    seen = [models.BAND_GAIN * (large - tf.image.resize(small, large.shape[1:3]).numpy())
            for large, small in ((photo, half), (half, quarter))] + [quarter]
    label = [np.eye(7, dtype=np.float32)[:2]] if labels else []
    scores = network([photo, *label] if labels else photo)
    parts = models.parts(network)
    for score, part, image in zip(scores, parts, seen, strict=True):
        np.testing.assert_allclose(score, part([image, *label] if labels else image), atol=1e-5)
    assert [s.shape for s in scores] == [(2, 8, 4, 1), (2, 4, 2, 1), (2, 2, 1, 1)]
    assert models.parts(parts[0]) == [parts[0]]


def test_a_fine_band_is_blind_to_shading():
    network = models.build_discriminator(filters=2, norm="none", scales=2)
    grey, shaded = np.zeros((1, 64, 64, 3), np.float32), np.full((1, 64, 64, 3), 0.3, np.float32)
    (fine, coarse), (fine_shaded, coarse_shaded) = network(grey), network(shaded)
    np.testing.assert_allclose(fine_shaded, fine, atol=1e-6)
    assert np.abs(coarse_shaded - coarse).max() > 1e-3


def test_labels_of_zeros_leave_the_score_as_it_is():
    plain = models.build_discriminator(filters=2, norm="none")
    labelled = models.build_discriminator(filters=2, norm="none", labels=7)
    projection = labelled.get_layer("projection").kernel
    weights = [v for v in labelled.trainable_variables if v.path != projection.path]
    for mine, theirs in zip(weights, plain.trainable_variables, strict=True):
        mine.assign(theirs)
    photos, labels = images(2, 32, 32, 3), np.eye(7, dtype=np.float32)[:2]
    np.testing.assert_array_equal(labelled([photos, labels]), plain(photos))  # as it starts
    projection.assign(images(7, 16))
    np.testing.assert_array_equal(labelled([photos, labels * 0]), plain(photos))
    moved = labelled([photos, labels]).numpy() - plain(photos).numpy()
    assert (np.abs(moved) > 1e-3).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("side", [64, 128])
def test_heads_judge_the_features_of_an_imagenet_network(side):
    network = models.build_discriminator(4, labels=7, features=True, ages=(45, 55), scales=2)
    faces, labels, ages = images(2, side, side, 3), np.eye(7, dtype=np.float32)[:2], np.float32([[45], [50]])
    scores = network([faces, labels, ages])
    seen = max(side, 96)
    assert [tuple(one.shape[1:3]) for one in scores[2:]] == [(seen // n,) * 2 for n in (8, 16, 16)]
    for k in range(3):
        np.testing.assert_array_equal(network([faces, labels, ages + 9])[2 + k], scores[2 + k])  # starts at zero
        models.parts(network, "head")[k].get_layer("projection").kernel.assign(images(9, 96))
        changed = np.abs(network([faces, labels, ages + 9])[2 + k] - network([faces, labels, ages])[2 + k])
        assert changed.max() > 1e-4
    assert not any("imagenet" in variable.path.lower() for variable in network.variables)


@pytest.mark.parametrize("size", [32, 48, 64, 80, 128])
def test_classifier_keeps_the_size_that_it_began_with(size):
    first, later = (models.build_classifier(3, side, 32, filters=2) for side in (32, size))
    rng = np.random.default_rng(1)
    first.layers[-1].kernel.assign(rng.normal(size=first.layers[-1].kernel.shape))
    later.set_weights(first.get_weights())
    small = images(2, 2, 2, 3).repeat(16, 1).repeat(16, 2)  # quarters of one colour look alike at any size
    large = small[:, np.arange(size) * 32 // size][:, :, np.arange(size) * 32 // size]
    np.testing.assert_allclose(later(large), first(small), atol=0.05)
    assert np.ptp(first(small).numpy()) > 1


def test_reference_patch_sees_70_pixels():
    network = models.build_discriminator(filters=2, norm="none", last_stride=1)
    x = tf.Variable(images(1, 256, 256, 3))
    with tf.GradientTape() as tape:
        score = network(x)[0, 16, 16, 0]
    rows = np.flatnonzero(np.abs(tape.gradient(score, x)).sum((0, 2, 3)))
    assert rows.max() - rows.min() + 1 == 70


def test_order_of_norm_and_activation():
    first = models.build_discriminator(filters=2, order="norm_first")
    kinds = [type(layer).__name__ for layer in first.layers]
    assert kinds[3:6] == ["Conv2D", "InstanceNormalization", "LeakyReLU"]
    other = models.build_discriminator(filters=2, order="activation_first")
    assert [type(layer).__name__ for layer in other.layers][3:6] == ["Conv2D", "LeakyReLU", "InstanceNormalization"]


def test_normal_init_gives_every_layer_its_own_weights():
    network = models.build_generator(filters=8, blocks=2, init="normal")
    kernels = [w.numpy() for w in network.trainable_variables if w.shape == (3, 3, 32, 32)]
    assert len(kernels) == 4
    assert np.std(kernels[0]) == pytest.approx(0.02, rel=0.1)
    assert not np.allclose(kernels[0], kernels[1])


@pytest.mark.parametrize("options", [{"norm": "contrib"}, {"upsampling": "resize", "enhancers": 1}], ids=str)
def test_generator_is_saved_and_loaded(tmp_path, options):
    """Also where the user's Keras puts channels first."""
    network = models.build_generator(filters=2, blocks=1, padding="reflect", output="residual", **options)
    network.get_layer("delta").kernel.assign(images(*network.get_layer("delta").kernel.shape))
    network.save(tmp_path / "g.keras")
    photo = images(1, 32, 32, 3)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "g.keras")(photo), network(photo))
    keras.config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(keras.models.load_model(tmp_path / "g.keras")(photo), network(photo))
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(("kind", "deviation", "reach"), [
    ("glorot", np.sqrt(2 / (9 * 64 + 9 * 96)), np.sqrt(3)), ("he", np.sqrt(2 / (9 * 64)), np.inf),
    ("normal", 0.02, np.inf)])
def test_initial_kernels_follow_their_distribution_and_the_seed(kind, deviation, reach):
    initializer = models.Initializer(kind)
    keras.utils.set_random_seed(1)
    first, second = (initializer((3, 3, 64, 96)).numpy() for _ in range(2))
    assert first.dtype == np.float32
    assert first.mean() == pytest.approx(0, abs=0.02 * deviation)
    assert first.std() == pytest.approx(deviation, rel=0.01)
    # A uniform distribution ends at the square root of 3 deviations. A Gaussian has 4.55 % of its values beyond 2.
    assert (np.abs(first) / deviation).max() == pytest.approx(reach, rel=1e-3) or reach == np.inf
    assert (np.abs(first) > 2 * deviation).mean() == pytest.approx(0.0455 if reach == np.inf else 0, abs=0.004)
    assert not np.array_equal(first, second)
    keras.utils.set_random_seed(1)
    copy = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    np.testing.assert_array_equal(copy((3, 3, 64, 96)), first)
    keras.utils.set_random_seed(2)
    assert not np.array_equal(copy((3, 3, 64, 96)), first)
    assert initializer((64, 96)).shape == (64, 96)  # a dense layer's kernel
