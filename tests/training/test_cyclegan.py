import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import cyclegan
import data_loader
import models
import recipe as recipes
from augmentation import disturb
from data_loader import Faces
from files import UserError


def build(tree, **loss):
    recipe = recipes.parse(tree, "tiny")
    recipe = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, **loss))
    keras.utils.set_random_seed(1)
    return cyclegan.CycleGAN(recipe, recipe.stages[0])


def faces(*shape, seed=1, side=16):
    rng = np.random.default_rng(seed)
    labels = data_loader.labels_of(rng.integers(10, size=np.prod(shape))).reshape(*shape, data_loader.LABELS)
    return Faces(tf.constant(rng.uniform(-1, 1, (*shape, side, side, 3)), tf.float32), tf.constant(labels))


def batch(rounds, n, side=16):
    return faces(rounds, n, seed=1, side=side), faces(rounds, n, seed=2, side=side)


def values(network):
    return [w.numpy() for w in network.variables]


def same(xs, ys):
    return all(np.array_equal(x, y) for x, y in zip(xs, ys, strict=True))


def test_losses_have_the_published_form():
    scores = tf.constant([0.0, 0.5, 1.0])
    assert float(cyclegan.least_squares(scores, 1.0)) == pytest.approx((1 + 0.25) / 3)
    assert float(cyclegan.least_squares([scores, scores[:1]], 1.0)) == pytest.approx((1 + 0.25) / 3 + 1)
    x, y = tf.constant([1.0, -1.0]), tf.constant([0.0, 2.0])
    assert float(cyclegan.reconstruction("absolute")(x, y)) == 2
    assert float(cyclegan.reconstruction("squared")(x, y)) == 5


def test_colour_change_is_that_of_the_mean_of_the_middle():
    x = np.zeros((2, 16, 16, 3), np.float32)
    y = x.copy()
    y[0, 4:12, 4:12] = [0.3, -0.6, 0.0]  # one face of two, two channels of three
    y[1, :4] = 1.0                       # hair
    assert float(cyclegan.colour_change(tf.constant(x), tf.constant(y))) == pytest.approx((0.3 + 0.6) / 6)
    wrinkles = x + np.tile([0.5, -0.5], 8)[None, None, :, None].astype(np.float32)
    assert float(cyclegan.colour_change(tf.constant(x), tf.constant(wrinkles))) == pytest.approx(0)


@pytest.mark.parametrize("side", [64, 96, 128])
def test_spots_drawn_are_dark_on_all_sides_and_new(side):
    def mean(before, after):
        return float(cyclegan.spots_drawn(*(tf.constant(x[None]) for x in (before, after))))

    def drawn(x, y, width=0.03, height=0.03, level=-0.2):
        """A face of level 0.4 with a rectangle, in shares of the side: its middle, its half width and height."""
        face = np.full((side, side, 3), 0.4, np.float32)
        top, bottom, left, right = (round(v * side) for v in (y - height, y + height, x - width, x + width))
        face[top:bottom, left:right] += level
        return face

    plain, spot = drawn(0.5, 0.2, level=0.0), drawn(0.5, 0.2)
    assert mean(plain, spot) > 1e-3
    assert mean(plain, drawn(0.48, 0.1)) > 1e-3
    assert mean(plain, drawn(0.5, 0.2, level=-0.4)) == pytest.approx(2 * mean(plain, spot), rel=1e-5)
    assert mean(spot, drawn(0.5, 0.2, level=-0.4)) == pytest.approx(mean(plain, spot), rel=1e-5)  # what stood there
    for other in (plain, spot, drawn(0.5, 0.2, level=0.2), drawn(0.5, 0.2, width=0.3), drawn(0.5, 0.2, height=0.15),
                  drawn(0.5, 0.3), drawn(0.5, 0.6)):  # nothing, gone, bright, lines, at the brows, the mouth
        assert mean(spot, other) == pytest.approx(0, abs=1e-6)
        if other is not spot:
            assert mean(plain, other) == pytest.approx(0, abs=1e-6)


def test_label_losses_take_gender_and_group_apart():
    sure = tf.constant([[9.0, -9, 0, 9, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])
    probability = np.exp(cyclegan.log_probabilities(sure).numpy())
    np.testing.assert_allclose(probability[:, :2].sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(probability[:, 2:].sum(1), 1, rtol=1e-6)
    labels = tf.constant([[1.0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])  # the second face's are unknown
    assert float(cyclegan.label_loss(sure, labels)) == pytest.approx(0, abs=1e-3)
    assert float(cyclegan.label_loss(0 * sure, labels)) == pytest.approx((np.log(2) + np.log(5)) / 2)
    assert float(cyclegan.label_change(sure, sure)) == 0
    assert float(cyclegan.label_change(sure + 3.0, sure)) == pytest.approx(0, abs=1e-5)  # the same probabilities
    q = probability[0]
    divergence = np.mean(np.log(0.5 / q[:2])) + np.mean(np.log(0.2 / q[2:]))  # of the first face; the second's is 0
    assert float(cyclegan.label_change(0 * sure, sure)) == pytest.approx(divergence / 2, rel=1e-3)


def test_classifier_learns_from_real_faces_only(tiny):
    gan = build(tiny)
    before = values(gan.classifier)
    gan._generator_step(faces(2, seed=1), faces(2, seed=2))
    assert same(values(gan.classifier), before)
    losses = gan._discriminator_step(faces(4, seed=1), faces(4, seed=2), faces(4, seed=3), faces(4, seed=4), 0)
    assert not same(values(gan.classifier), before)
    own = [float(gan._classifier_loss(faces(4, seed=s), 0)) for s in (1, 2)]
    assert float(losses["classifier"]) > sum(own)  # it has learned since
    without = build(tiny, lambda_label=0.0)
    assert without.classifier is None
    assert float(without._label_change(faces(2).images, faces(2, seed=2).images, 4)) == 0


def test_label_terms_reach_the_generators_through_the_classifier(tiny):
    gan = build(tiny)
    head = gan.classifier.layers[-1].kernel
    for kernel in (gan.g_AB.get_layer("delta").kernel, gan.g_BA.get_layer("delta").kernel, head):
        kernel.assign(tf.random.stateless_normal(kernel.shape, [1, 2]) * 0.1)
    real_A, real_B = faces(2, seed=1), faces(2, seed=2)
    with tf.GradientTape() as tape:
        total = 3.0 * (gan._label_change(real_A.images, gan.g_AB(real_A.images), 4)
                       + gan._label_change(real_B.images, gan.g_BA(real_B.images), 5))
    expected = tape.gradient(total, [v.value for v in gan.g_variables])
    gan = with_only(gan, recipes.Loss(lambda_cycle=0.0, lambda_identity=0.0, lambda_label=3.0))
    for mine, theirs in zip(handed(gan, real_A, real_B)[0], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    half = len(expected) // 2
    assert all(max(float(tf.reduce_max(tf.abs(g))) for g in part) > 1e-4 for part in (expected[:half], expected[half:]))


def test_one_step_moves_all_networks_and_returns_every_loss_apart(tiny):
    gan = build({**tiny, "adversary": tiny["adversary"] | {"steps": 2}})
    before = {name: values(getattr(gan, name)) for name in ("g_AB", "g_BA", "d_A", "d_B", "ema_AB", "classifier")}
    losses = gan.train_step(batch(1, 2), batch(2, 4))
    assert set(losses) == {"adversarial_AB", "adversarial_BA", "cycle_A", "cycle_B", "identity_A", "identity_B",
                           "consistency_A", "consistency_B", "colour_A", "colour_B", "label_A", "label_B",
                           "d_A", "d_B", "classifier", "g_gradient", "d_gradient"}
    for name, old in before.items():
        assert not same(values(getattr(gan, name)), old), name
    assert int(gan.step) == int(gan.g_optimizer.iterations) == 1
    assert int(gan.d_optimizer.iterations) == 2


def test_warm_step_teaches_the_discriminators_only(tiny):
    gan = build(tiny)
    before = {name: values(getattr(gan, name)) for name in ("g_AB", "g_BA", "d_A", "d_B")}
    first = gan.warm_step(batch(1, 4))
    gan.set_learning_rate(0.005)
    for _ in range(60):
        last = gan.warm_step(batch(1, 4))
    assert same(values(gan.g_AB), before["g_AB"])
    assert same(values(gan.g_BA), before["g_BA"])
    assert float(last["d_A"]) < float(first["d_A"]) / 2


def test_both_cycle_terms_reach_both_generators(tiny):
    gan = build(tiny)
    for network in (gan.g_AB, gan.g_BA):  # from zero, the residual's last layer would stop every gradient but its own
        kernel = network.get_layer("delta").kernel
        kernel.assign(tf.random.stateless_normal(kernel.shape, [1, 2]) * 0.1)
    real_A, real_B = faces(2, seed=1), faces(2, seed=2)
    with tf.GradientTape(persistent=True) as tape:
        cycle_A = gan.error(gan.g_BA(gan.g_AB(real_A.images)), real_A.images)
        cycle_B = gan.error(gan.g_AB(gan.g_BA(real_B.images)), real_B.images)
    expected = [2.0 * (a + b) for a, b in zip(*(tape.gradient(c, [v.value for v in gan.g_variables])
                                                 for c in (cycle_A, cycle_B)), strict=True)]
    # What the step hands to the optimizer when the cycle terms are all there is. The stage's weight counts.
    gan = with_only(gan, recipes.Loss(lambda_cycle=9.0, lambda_identity=0.0))
    gan.stage = dataclasses.replace(gan.stage, lambda_cycle=2.0)
    for mine, theirs in zip(handed(gan, real_A, real_B)[0], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_consistency_teaches_a_disturbed_face_what_the_face_itself_gets(tiny):
    gan = build(tiny)
    for network in (gan.g_AB, gan.g_BA):
        kernel = network.get_layer("delta").kernel
        kernel.assign(tf.random.stateless_normal(kernel.shape, [1, 2]) * 0.1)
    real_A, real_B = faces(2, seed=1), faces(2, seed=2)
    expected, losses = [], {}
    for name, network, real, purpose in (("consistency_A", gan.g_AB, real_A, 6),
                                         ("consistency_B", gan.g_BA, real_B, 7)):
        how = gan._disturbance(real.images, purpose)
        taught = disturb(network(real.images), how)
        with tf.GradientTape() as tape:
            error = gan.error(network(disturb(real.images, how)), taught)
        losses[name] = float(error)
        expected += [3.0 * g for g in tape.gradient(error, [v.value for v in models.outermost(network)])]
    gan = with_only(gan, recipes.Loss(lambda_cycle=0.0, lambda_identity=0.0, lambda_consistency=3.0))
    gradients, found = handed(gan, real_A, real_B)
    for name, error in losses.items():
        assert float(found[name]) == pytest.approx(error, rel=1e-4)
        assert error > 0.01
    for mine, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert float(build(tiny, lambda_consistency=0.0)._generator_step(real_A, real_B)[2]["consistency_A"]) == 0


def test_finishing_teaches_the_averages_what_they_did_but_spots(tiny):
    tree = {**tiny, "stages": tiny["stages"][:1], "loss": {}}
    tree["finish"] = {"steps": 5, "lambda_teacher": 2.0, "lambda_spot": 3.0, "strength_AB": 1.5}
    gan = build(tree)
    for network in (gan.ema_AB, gan.ema_BA):
        kernel = network.get_layer("delta").kernel
        kernel.assign(tf.random.stateless_normal(kernel.shape, [1, 2]) * 0.1)
    (real_A, _), (real_B, _) = one = faces(2, seed=1), faces(2, seed=2)
    gan.begin_finish()
    assert same(values(gan.g_AB), values(gan.ema_AB))
    assert same(values(gan.g_BA), values(gan.ema_BA))
    old_B, old_A = gan.ema_AB(real_A), gan.ema_BA(real_B)
    taught_B = tf.clip_by_value(1.5 * old_B - 0.5 * real_A, -1, 1)
    with tf.GradientTape() as tape:
        fake_B, fake_A = gan.ema_AB(real_A), gan.ema_BA(real_B)
        teacher_A, teacher_B = gan.error(fake_B, taught_B), gan.error(fake_A, old_A)
        spot_A, spot_B = cyclegan.spots_drawn(real_A, fake_B), cyclegan.spots_drawn(real_B, fake_A)
        total = 2.0 * (teacher_A + teacher_B) + 3.0 * (spot_A + spot_B)
    expected = tape.gradient(total, [v.value for v in gan.finish_variables])
    gradients, apply = [], gan.finish_optimizer.apply
    gan.finish_optimizer.apply = lambda found, variables: (gradients.extend(found), apply(found, variables))
    before, moved = {name: values(network) for name, network in gan.networks().items()}, gan.finish_variables
    losses = gan._replica_finish_step(tf.nest.map_structure(lambda x: x[None], one))
    for name, value in (("teacher_A", teacher_A), ("teacher_B", teacher_B), ("spot_A", spot_A), ("spot_B", spot_B)):
        assert float(losses[name]) == pytest.approx(float(value), abs=1e-6)
    assert float(spot_A) > 1e-3
    for mine, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert len(moved) == len(gan.ema_AB.trainable_variables) + len(gan.ema_BA.trainable_variables)
    for name, network in gan.networks().items():
        assert same(values(network), before[name]) == (not name.startswith("ema")), name


def with_only(gan, loss):
    """The terms of `loss`, and no adversary."""
    gan.recipe = dataclasses.replace(gan.recipe, loss=loss)
    gan._judge = lambda discriminator, faces, purpose: tf.ones([1])
    return gan


def handed(gan, real_A, real_B):
    """(the gradients that a generator step hands to the optimizer, its losses)."""
    found = []
    gan.g_optimizer.apply = lambda gradients, variables: found.extend(gradients)
    return found, gan._generator_step(real_A, real_B)[2]


def test_discriminator_loss_is_halved(tiny):
    gan = build(tiny)
    gan._judge = lambda discriminator, faces, purpose: tf.fill([4], 0.25)
    assert float(gan._discriminator_loss(gan.d_A, None, None, 0)) == pytest.approx((0.75**2 + 0.25**2) / 2)


def test_a_discriminator_with_labels_tells_the_same_image_apart_by_its_label(tiny):
    gan = build({**tiny, "discriminator": {"filters": 4, "labels": "projection"}})
    images = tf.repeat(faces(1).images, 2, axis=0)
    men, women = (Faces(images, tf.constant(data_loader.labels_of(np.full(2, cell)))) for cell in (0, 5))

    def scores(them):
        return gan._judge(gan.d_A, them, 0).numpy()

    np.testing.assert_array_equal(scores(men), scores(women))  # the projection starts at zero
    before = scores(men)
    gan.set_learning_rate(0.005)
    for _ in range(40):
        gan._discriminator_step(men, men, women, women, 0)  # label and nothing else decides
    assert scores(men).mean() > scores(women).mean() + 0.2
    unlabelled = Faces(images, tf.zeros([2, data_loader.LABELS]))
    assert not np.array_equal(before, scores(men))
    assert scores(women).mean() < scores(unlabelled).mean() < scores(men).mean()


def test_real_faces_of_the_other_domain_are_among_the_negatives(tiny):
    gan = build(tiny)
    seen = {}
    gan._discriminator_step = lambda real_A, real_B, negative_A, negative_B, k: seen.update(A=negative_A, B=negative_B)
    real_A, real_B = faces(4, seed=1), faces(4, seed=2)
    gan._discriminator_round(real_A, real_B, 0)
    for own, other in ((seen["A"], real_B), (seen["B"], real_A)):
        for mine, theirs in zip(own, other, strict=True):  # images and labels
            borrowed = [np.array_equal(x, y) for x, y in zip(mine.numpy(), theirs.numpy(), strict=True)]
            assert borrowed == [False, True, False, True]  # half of them


# Tracing a step takes longer than all else here, so the tests below take the step untraced.


def test_moving_average_follows_its_formula(tiny):
    gan = build(tiny)
    weight = gan.g_AB.trainable_variables[0]
    average = gan.ema_AB.trainable_variables[0]
    expected = average.numpy()
    for k in range(3):
        gan._train_step(batch(1, 2), batch(1, 4))
        decay = min(gan.recipe.optimizer.ema_decay, (2 + k) / (11 + k))  # k + 1 generator steps are done
        expected = decay * expected + (1 - decay) * weight.numpy()
        np.testing.assert_allclose(average.numpy(), expected, atol=1e-6)


def test_decay_zero_means_no_average(tiny):
    gan = build({**tiny, "optimizer": {"ema_decay": 0.0}})
    gan._train_step(batch(1, 2), batch(1, 4))
    assert same(values(gan.ema_AB), values(gan.g_AB))


def test_next_stage_grows_around_everything_learned(tiny):
    gan = build(tiny)
    gan._train_step(batch(1, 2), batch(1, 4))
    later = cyclegan.CycleGAN(gan.recipe, gan.recipe.stages[1])
    later.continue_from(gan)
    images, labels = (x[0] for x in faces(1, 2))

    def assert_within():
        for name in ("g_AB", "g_BA", "ema_AB", "ema_BA"):
            coarse = getattr(later, name).get_layer("coarse")
            within = models.BoundedResidual()([images, coarse(images)[0]])
            np.testing.assert_allclose(within, getattr(gan, name.replace("g_", "ema_"))(images), atol=1e-6)

    assert_within()
    for name in ("d_A", "d_B"):
        expected = getattr(gan, name)([images, labels])
        for part in models.parts(getattr(later, name)):
            np.testing.assert_allclose(part([images, labels]), expected, atol=1e-6)
    assert np.any(gan.classifier.layers[-1].kernel)
    enlarged = np.repeat(np.repeat(images, 2, 1), 2, 2)  # the classifier keeps the size that it began with
    np.testing.assert_allclose(later.classifier(enlarged), gan.classifier(images), atol=1e-6)
    assert int(later.step) == 1
    assert int(later.g_optimizer.iterations) == 0
    assert later.pool_A.images.shape[1:3] == (32, 32)
    # Learning goes on in the enhancers only, from their last convolution on: it starts at zeros.
    deltas = [network.get_layer("delta").kernel for network in (later.g_AB, later.g_BA)]
    assert not any(np.any(kernel) for kernel in deltas)
    later._train_step(batch(1, 2, side=32), batch(1, 4, side=32))
    assert all(np.any(kernel) for kernel in deltas)
    assert_within()


def test_next_stage_at_another_scale_continues_with_everything_learned(tiny):
    gan = build({**tiny, "growing": "rescale"})
    gan._train_step(batch(1, 2), batch(1, 4))
    later = cyclegan.CycleGAN(gan.recipe, gan.recipe.stages[1])
    later.continue_from(gan)
    for name in ("g_AB", "g_BA", "d_A", "d_B", "ema_AB", "ema_BA", "classifier", "g_optimizer", "d_optimizer"):
        assert same(values(getattr(later, name)), values(getattr(gan, name))), name
    assert int(later.step) == 1
    assert later.pool_A.images.shape[1:3] == (32, 32)


def test_pool_passes_images_while_it_fills_then_hands_out_older_ones():
    pool = cyclegan.ImagePool(4, 16)
    first = faces(4, seed=3)
    rng = np.random.default_rng(1)
    assert same(pool.swap(first, tf.zeros([4, 2])), first)
    older = 0
    for k in range(100):
        new = faces(2, seed=10 + k)
        uniform = tf.constant(rng.uniform(size=(2, 2)), tf.float32)
        images, labels = pool.images.numpy(), pool.labels.numpy()
        out = pool.swap(new, uniform)
        for i in range(2):
            slot = int(uniform[i, 0] * 4)
            if np.array_equal(out.images[i], new.images[i]):
                assert np.array_equal(out.labels[i], new.labels[i])
                continue
            older += 1
            assert np.array_equal(out.images[i], images[slot])
            assert np.array_equal(out.labels[i], labels[slot])
            if slot != int(uniform[1 - i, 0] * 4):  # else the other one may have come after it
                assert np.array_equal(pool.images[slot], new.images[i])
                assert np.array_equal(pool.labels[slot], new.labels[i])
    assert 70 < older < 130  # half of 200


def test_pool_of_nothing_passes_images():
    new = faces(2)
    assert cyclegan.ImagePool(0, 16).swap(new, tf.zeros([2, 2])) is new


def test_pool_keeps_the_newest():
    pool = cyclegan.ImagePool(4, 16)
    for k in range(3):
        pool.push(faces(2, seed=k))
    kept = held(pool)
    assert kept == held(faces(2, seed=1)) | held(faces(2, seed=2))
    assert held(pool.sample(tf.constant([0.0, 0.3, 0.6, 0.99]))) == kept


def held(faces):
    """The faces, each with its label, to be compared whatever their order."""
    return {image.tobytes() + label.tobytes()
            for image, label in zip(faces.images.numpy(), faces.labels.numpy(), strict=True)}


def test_half_filled_pool_gives_only_what_was_put_in():
    pool = cyclegan.ImagePool(4, 16)
    pool.push(faces(1, seed=1))
    assert held(pool.sample(tf.constant([0.0, 0.99]))) == held(faces(1, seed=1))


def test_the_recipe_says_how_far_augmentation_shifts(tiny):
    gan = build({**tiny, "adversary": tiny["adversary"] | {"augment_shift": 0.5}})
    x = tf.ones([200, 16, 16, 3])
    # Rows that have come in from outside: up to half of the image
    empty = tf.reduce_sum(tf.cast(tf.reduce_all(gan._augment(x, 1)[..., 0] == 0, axis=2), tf.int32), axis=1)
    assert int(tf.reduce_max(empty)) == 8


def test_random_numbers_depend_on_seed_step_and_purpose(tiny):
    gan = build(tiny)
    first = gan._uniform([4], 0).numpy()
    np.testing.assert_array_equal(first, gan._uniform([4], 0))
    assert not np.array_equal(first, gan._uniform([4], 1))
    gan.step.assign_add(1)
    assert not np.array_equal(first, gan._uniform([4], 0))


def test_pool_smaller_than_a_batch_is_refused(tiny):
    tiny["adversary"]["pool_size"] = 1
    with pytest.raises(UserError, match="pool_size"):
        build(tiny)
