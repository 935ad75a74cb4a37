import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from training_pieces import COMPILE, NoiseFaces
from training_pieces import labelled_faces as faces

import models
from ageing.training import cyclegan, recipe_file
from ageing.training.augmentation import disturb, disturbance
from ageing.training.engine import TensorFlow
from ageing.training.losses import mean_absolute, spots_drawn
from ageing.training.plan import batch as batch_of
from ageing.training.plan import plan
from ageing.training.recipe import TERMS, Loss
from ageing.utkface import LABELS, labels_of
from data_loader import LabelledFaces

pytestmark = pytest.mark.usefixtures("eager")
_told = models.told


def build(tree, precision="float32", **loss):
    recipe = recipe_file.parse(tree, "tiny")
    recipe = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, **loss))
    keras.utils.set_random_seed(1)
    return cyclegan.CycleGAN(recipe, recipe.stages[0], precision)


def batch(gan, kind="train", step=0, **phase):
    """What a step of `gan` gets, with noise for faces. phase: fields of the plan.Phase that are to be others."""
    first = next(p for p in plan(gan.recipe, 40) if (p.kind, p.stage.size) == (kind, gan.stage.size))
    faces = NoiseFaces(gan.stage.size, ages=(40, 89) if gan.recipe.data.ages else None)
    return batch_of(dataclasses.replace(first, **phase), gan, faces, step)


def take(gan, kind="train", **more):
    """One step of `gan` on noise, as the loop takes it; its losses. more: as of `batch`."""
    return gan.compute(kind, gan.engine.place(batch(gan, kind, **more)))


def told(tiny, **discriminator):
    """The tiny recipe with three old domains."""
    return {**tiny, "data": {**tiny["data"], "domain_B": ["40s", "60s", "80s"]},
            "discriminator": {**tiny["discriminator"], **discriminator}}


def told_weights(network):
    """Those by which an age acts."""
    return [v.numpy() for v in network.trainable_variables if v.path.endswith(("_told", "projection/kernel"))]


def numbers(gan, network, n=2):
    """The random numbers of one generator or discriminator step of n pairs."""
    rng = np.random.default_rng(5)
    shapes = gan.random_shapes("train", n, 1, n)[network]
    return {name: tf.constant(rng.random(shape[-len(shape) + (network == "discriminator"):], np.float32))
            for name, shape in shapes.items()}


def opened(*networks):
    """From zero, the residual's last layer would stop every gradient but its own."""
    for kernel in (network.get_layer("delta").kernel for network in networks):
        kernel.assign(tf.random.stateless_normal(kernel.shape, [1, 2]) * 0.1)


def values(network):
    return [w.numpy() for w in network.variables]


def same(xs, ys):
    return all(np.array_equal(x, y) for x, y in zip(xs, ys, strict=True))


def test_classifier_learns_from_real_faces_only(tiny):
    gan = build(tiny)
    random, before = numbers(gan, "discriminator", 4), values(gan.classifier)
    gan._generator_step(faces(2, seed=1), faces(2, seed=2), numbers(gan, "generator"))
    assert same(values(gan.classifier), before)
    losses = gan._discriminator_step(*(faces(4, seed=s) for s in (1, 2, 3, 4)), random)
    assert not same(values(gan.classifier), before)
    own = [float(gan._classifier_loss(faces(4, seed=s), random[name])) for s, name in ((1, "real_A"), (2, "real_B"))]
    assert float(losses["classifier"]) > sum(own)  # it has learned since
    without = build(tiny, lambda_label=0.0)
    assert without.classifier is None
    assert not any(name.startswith("label") for name in take(without))


def test_label_terms_reach_the_generators_through_the_classifier(tiny):
    gan = build(tiny)
    opened(gan.g_AB, gan.g_BA)
    head = gan.classifier.layers[-1].kernel
    head.assign(tf.random.stateless_normal(head.shape, [1, 2]) * 0.1)
    real_A, real_B, random = faces(2, seed=1), faces(2, seed=2), numbers(gan, "generator")
    with tf.GradientTape() as tape:
        total = 3.0 * (gan._label_change(real_A.images, gan.g_AB(real_A.images), random["label_AB"])
                       + gan._label_change(real_B.images, gan.g_BA(real_B.images), random["label_BA"]))
    expected = tape.gradient(total, [v.value for v in gan.g_variables])
    gan = with_only(gan, Loss(lambda_cycle=0.0, lambda_identity=0.0, lambda_label=3.0))
    for mine, theirs in zip(handed(gan, real_A, real_B)[0], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    half = len(expected) // 2
    assert all(max(float(tf.reduce_max(tf.abs(g))) for g in part) > 1e-4 for part in (expected[:half], expected[half:]))


def test_one_step_moves_all_networks_and_returns_every_loss_apart(tiny):
    gan = build({**tiny, "adversary": tiny["adversary"] | {"steps": 2}})
    before = {name: values(getattr(gan, name)) for name in ("g_AB", "g_BA", "d_A", "d_B", "ema_AB", "classifier")}
    losses = take(gan)
    terms = {term for term, weight in gan.recipe.weights(gan.stage).items() if weight}
    assert terms == {"adversarial", *TERMS} - {"colour"}  # which has no weight here
    assert set(losses) == {f"{term}_{way}" for term in terms for way in ("AB", "BA")} | {
        "d_A", "d_B", "classifier", "g_gradient", "d_gradient"}
    for name, old in before.items():
        assert not same(values(getattr(gan, name)), old), name
    assert gan.step == int(gan.g_optimizer.iterations) == 1
    assert int(gan.d_optimizer.iterations) == 2


def test_warm_step_teaches_the_discriminators_only(tiny):
    gan = build(tiny)
    before = {name: values(getattr(gan, name)) for name in ("g_AB", "g_BA", "d_A", "d_B")}
    first = take(gan, "warm")
    for _ in range(20):
        last = take(gan, "warm", learning_rate=lambda step: 0.01)
    assert same(values(gan.g_AB), before["g_AB"])
    assert same(values(gan.g_BA), before["g_BA"])
    assert float(last["d_A"]) < float(first["d_A"]) / 2


def test_both_cycle_terms_reach_both_generators(tiny):
    gan = build(tiny)
    opened(gan.g_AB, gan.g_BA)
    real_A, real_B = faces(2, seed=1), faces(2, seed=2)
    with tf.GradientTape(persistent=True) as tape:
        cycle_A = mean_absolute(gan.g_BA(gan.g_AB(real_A.images)), real_A.images)
        cycle_B = mean_absolute(gan.g_AB(gan.g_BA(real_B.images)), real_B.images)
    expected = [2.0 * (a + b) for a, b in zip(*(tape.gradient(c, [v.value for v in gan.g_variables])
                                                 for c in (cycle_A, cycle_B)), strict=True)]
    # What the step hands to the optimizer when the cycle terms are all there is. The stage's weight counts.
    gan = with_only(gan, Loss(lambda_cycle=9.0, lambda_identity=0.0))
    gan.stage = dataclasses.replace(gan.stage, lambda_cycle=2.0)
    for mine, theirs in zip(handed(gan, real_A, real_B)[0], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_consistency_teaches_a_disturbed_face_what_the_face_itself_gets(tiny):
    gan = build(tiny)
    opened(gan.g_AB, gan.g_BA)
    real_A, real_B, random = faces(2, seed=1), faces(2, seed=2), numbers(gan, "generator")
    expected, losses = [], {}
    for way, network, real in (("AB", gan.g_AB, real_A), ("BA", gan.g_BA, real_B)):
        how = disturbance(random[f"disturb_{way}"], random[f"grain_{way}"])
        taught = disturb(network(real.images), how)
        with tf.GradientTape() as tape:
            error = mean_absolute(network(disturb(real.images, how)), taught)
        losses[f"consistency_{way}"] = float(error)
        expected += [3.0 * g for g in tape.gradient(error, [v.value for v in models.outermost(network)])]
    gan = with_only(gan, Loss(lambda_cycle=0.0, lambda_identity=0.0, lambda_consistency=3.0))
    gradients, found = handed(gan, real_A, real_B)
    for name, error in losses.items():
        assert float(found[name]) == pytest.approx(error, rel=1e-4)
        assert error > 0.01
    for mine, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    without = build(tiny, lambda_consistency=0.0)
    _, _, losses = without._generator_step(real_A, real_B, numbers(without, "generator"))
    assert "consistency_AB" not in losses


def test_finishing_teaches_the_averages_what_they_did_but_spots(tiny, monkeypatch):
    for name, value in (("LAMBDA_TEACHER", 2.0), ("LAMBDA_SPOT", 3.0), ("STRENGTHS", {"AB": 1.5, "BA": 1.25})):
        monkeypatch.setattr(cyclegan, name, value)
    gan = build({**tiny, "stages": tiny["stages"][:1], "loss": {}})
    opened(gan.ema_AB, gan.ema_BA)
    (real_A, *_), (real_B, *_) = one = faces(2, seed=1), faces(2, seed=2)
    gan.begin_finish()
    assert same(values(gan.g_AB), values(gan.ema_AB))
    assert same(values(gan.g_BA), values(gan.ema_BA))
    old_B, old_A = gan.ema_AB(real_A), gan.ema_BA(real_B)
    taught_B = tf.clip_by_value(1.5 * old_B - 0.5 * real_A, -1, 1)
    taught_A = tf.clip_by_value(1.25 * old_A - 0.25 * real_B, -1, 1)
    with tf.GradientTape() as tape:
        fake_B, fake_A = gan.ema_AB(real_A), gan.ema_BA(real_B)
        teacher_A, teacher_B = mean_absolute(fake_B, taught_B), mean_absolute(fake_A, taught_A)
        spot_A, spot_B = spots_drawn(real_A, fake_B), spots_drawn(real_B, fake_A)
        total = 2.0 * (teacher_A + teacher_B) + 3.0 * (spot_A + spot_B)
    expected = tape.gradient(total, [v.value for v in gan.finish_variables])
    gradients, apply = [], gan.finish_optimizer.apply
    gan.finish_optimizer.apply = lambda found, variables: (gradients.extend(found), apply(found, variables))
    before, moved = {name: values(network) for name, network in gan.networks().items()}, gan.finish_variables
    losses = gan._finish_step({"faces": one, "learning_rate": 1e-4})
    for name, value in (("teacher_AB", teacher_A), ("teacher_BA", teacher_B), ("spot_AB", spot_A), ("spot_BA", spot_B)):
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
    gan._score = lambda discriminator, faces, random: tf.ones([1])
    return gan


def handed(gan, real_A, real_B):
    """(the gradients that a generator step hands to the optimizer, its losses)."""
    found = []
    gan.g_optimizer.apply = lambda gradients, variables: found.extend(gradients)
    return found, gan._generator_step(real_A, real_B, numbers(gan, "generator"))[2]


def test_discriminator_loss_is_halved(tiny):
    gan = build(tiny)
    gan._score = lambda discriminator, faces, random: tf.fill([4], 0.25)
    assert float(gan._discriminator_loss(gan.d_A, None, None, None, None)) == pytest.approx((0.75**2 + 0.25**2) / 2)


def test_a_discriminator_with_labels_tells_the_same_image_apart_by_its_label(tiny):
    gan = build({**tiny, "discriminator": {"filters": 4, "labels": "projection"}})
    images = tf.repeat(faces(1).images, 2, axis=0)
    men, women = (LabelledFaces(images, tf.constant(labels_of(np.full(2, cell)))) for cell in (0, 5))

    def scores(them):
        return gan._score(gan.d_A, them, numbers(gan, "discriminator")["real_A"]).numpy()

    np.testing.assert_array_equal(scores(men), scores(women))  # the projection starts at zero
    before = scores(men)
    gan._set_learning_rate(0.02)
    for _ in range(15):
        gan._discriminator_step(men, men, women, women, numbers(gan, "discriminator"))  # label and nothing else decides
    assert scores(men).mean() > scores(women).mean() + 0.2
    unlabelled = LabelledFaces(images, tf.zeros([2, LABELS]))
    assert not np.array_equal(before, scores(men))
    assert scores(women).mean() < scores(unlabelled).mean() < scores(men).mean()


def test_real_faces_of_the_other_domain_are_among_the_negatives(tiny):
    gan = build(tiny)
    seen = {}
    gan._discriminator_step = lambda real_A, real_B, negative_A, negative_B, _: seen.update(A=negative_A, B=negative_B)
    real_A, real_B = faces(4, seed=1), faces(4, seed=2)
    gan._discriminator_round(real_A, real_B, numbers(gan, "discriminator", 4))
    for own, other in ((seen["A"], real_B), (seen["B"], real_A)):
        for mine, theirs in zip(own[:2], other[:2], strict=True):  # images and labels
            borrowed = [np.array_equal(x, y) for x, y in zip(mine.numpy(), theirs.numpy(), strict=True)]
            assert borrowed == [False, True, False, True]  # half of them


def test_a_step_teaches_what_the_age_says(tiny):
    gan = build(told(tiny))
    opened(gan.g_AB)  # the ages act behind the last layer, which starts at zero
    before = {name: told_weights(getattr(gan, name)) for name in ("g_AB", "g_BA", "d_A", "d_B")}
    assert len(before["g_AB"]) == 2 * sum("InstanceNorm" in type(layer).__name__ for layer in gan.g_AB.layers)
    assert (before["g_BA"], len(before["d_A"]), len(before["d_B"])) == ([], 1, 1)
    assert before["d_B"][0].shape[0] == before["d_A"][0].shape[0] + 3
    losses = take(gan)
    assert all(np.isfinite(value) for value in losses.values())
    for name in ("g_AB", "d_B"):
        after = told_weights(getattr(gan, name))
        assert all(np.any(x != y) for x, y in zip(after, before[name], strict=True)), name
    photo = np.zeros((2, 16, 16, 3), np.float32)
    assert np.any(np.abs(gan.age(photo, 45) - gan.age(photo, 85)) > 1e-7)
    for network in (gan.ema_AB, gan.g_AB):
        np.testing.assert_array_equal(network([photo, np.full((2, 1), 85)]), network([photo, np.full((2, 1), 99)]))


def test_an_old_face_is_told_its_own_age_and_so_is_its_cycle(tiny, monkeypatch):
    gan, seen = build(told(tiny)), []
    monkeypatch.setattr(models, "told", lambda network, images, ages: seen.append(
        (network.name, len(images), ages.numpy().ravel().tolist())) or _told(network, images, ages))
    real_A, real_B = faces(2, seed=1), faces(2, seed=2, ages=(40, 80))
    gan._generator_loss(real_A, real_B, numbers(gan, "generator"))
    ages = real_B.ages.numpy().ravel().tolist()
    # Fake, identity and disturbed face in one call; then both cycles: the old face gets its own age back.
    assert [one for one in seen if one[0] == "g_AB"] == [("g_AB", 6, ages), ("g_AB", 2, ages)]


def test_d_B_learns_ages_from_real_faces_that_are_told_wrong_ones(tiny):
    gan, seen = build(told(tiny)), {}
    gan._discriminator_step = lambda real_A, real_B, negative_A, negative_B, _: seen.update(A=negative_A, B=negative_B)
    young, old = faces(8, seed=1), faces(8, seed=2).told(tf.constant([[40.], [80], [41], [81], [42], [53], [43], [83]]))
    gan.pool_B.push(faces(2, seed=3, ages=(40, 41)))
    gan._discriminator_round(young, old, numbers(gan, "discriminator", 8))
    assert seen["A"].ages is None

    def source(i):
        return next((name for name, some in (("young", young), ("old", old))
                     if np.array_equal(seen["B"].images[i], some.images[i])), "fake")

    # Half are real: in turn a young face that is told to be old, and an old one told the age before it, if that is far.
    assert [source(i) for i in range(8)] == ["fake", "young", "fake", "old", "fake", "young", "fake", "old"]
    assert seen["B"].ages[1::2, 0].numpy().tolist() == [80, 41, 53, 43]
    near = old.told(old.ages * 0 + 60)
    gan._discriminator_round(young, near, numbers(gan, "discriminator", 8))
    assert [source(i) for i in (3, 7)] == ["young", "young"]


def test_with_heads_on_features_the_whole_generator_grows_and_learns_on(tiny):
    gan = build(told(tiny, features=True))
    take(gan)
    later = cyclegan.CycleGAN(gan.recipe, gan.recipe.stages[1])
    later.continue_from(gan)
    for name in ("d_A", "d_B"):
        for mine, theirs in zip(*(models.parts(getattr(g, name), "head") for g in (later, gan)), strict=True):
            assert same(values(mine), values(theirs))
    assert len(models.parts(later.d_A, "head")) == 3
    before = values(later.g_AB.get_layer("coarse"))
    for _ in range(2):  # from the second step on: the last layer starts at zero
        take(later)
    after = values(later.g_AB.get_layer("coarse"))
    assert not any(np.array_equal(x, y) for x, y in zip(before, after, strict=True) if x.ndim == 4)
    assert not same(values(later.ema_AB.get_layer("coarse")), before)


def test_moving_average_follows_its_formula(tiny):
    gan = build(tiny)
    weight = gan.g_AB.trainable_variables[0]
    average = gan.ema_AB.trainable_variables[0]
    expected = average.numpy()
    for k in range(3):
        take(gan, step=k)
        decay = min(gan.recipe.optimizer.ema_decay, (2 + k) / (11 + k))  # k + 1 generator steps are done
        expected = decay * expected + (1 - decay) * weight.numpy()
        np.testing.assert_allclose(average.numpy(), expected, atol=1e-6)


def test_decay_zero_means_no_average(tiny):
    gan = build({**tiny, "optimizer": {"ema_decay": 0.0}})
    take(gan)
    assert same(values(gan.ema_AB), values(gan.g_AB))


def test_next_stage_grows_around_everything_learned(tiny):
    gan = build(tiny)
    take(gan)
    later = cyclegan.CycleGAN(gan.recipe, gan.recipe.stages[1])
    later.continue_from(gan)
    images, labels, _ = faces(2)

    def assert_within():
        for name in ("g_AB", "g_BA", "ema_AB", "ema_BA"):
            coarse = getattr(later, name).get_layer("coarse")
            within = models.BoundedResidual()([images, coarse(images)[0]])
            np.testing.assert_allclose(within, getattr(gan, name.replace("g_", "ema_"))(images), atol=1e-6)

    assert_within()
    for name in ("d_A", "d_B"):
        expected = getattr(gan, name)([images, labels])
        kept = models.parts(getattr(later, name))[-1]
        np.testing.assert_allclose(kept([images, labels]), expected, atol=1e-6)
    assert np.any(gan.classifier.layers[-1].kernel)
    enlarged = np.repeat(np.repeat(images, 2, 1), 2, 2)  # the classifier keeps the size that it began with
    np.testing.assert_allclose(later.classifier(enlarged), gan.classifier(images), atol=1e-6)
    assert later.step == 1
    assert int(later.g_optimizer.iterations) == 0
    assert later.pool_A.faces.images.shape[1:3] == (32, 32)
    # Learning goes on in the enhancers only, from their last convolution on: it starts at zeros.
    deltas = [network.get_layer("delta").kernel for network in (later.g_AB, later.g_BA)]
    assert not any(np.any(kernel) for kernel in deltas)
    take(later)
    assert all(np.any(kernel) for kernel in deltas)
    assert_within()


def test_the_new_patchgan_starts_from_nothing(tiny):
    gan = build(tiny)
    later = cyclegan.CycleGAN(gan.recipe, gan.recipe.stages[1])
    later.continue_from(gan)
    (before,), (new, kept) = models.parts(gan.d_A), models.parts(later.d_A)
    assert same(values(kept), values(before))
    assert not same(values(new), values(before))


def test_next_stage_at_another_scale_continues_with_everything_learned(tiny):
    gan = build({**tiny, "growing": "rescale"})
    take(gan)
    later = cyclegan.CycleGAN(gan.recipe, gan.recipe.stages[1])
    later.continue_from(gan)
    for name in ("g_AB", "g_BA", "d_A", "d_B", "ema_AB", "ema_BA", "classifier", "g_optimizer", "d_optimizer"):
        assert same(values(getattr(later, name)), values(getattr(gan, name))), name
    assert later.step == 1
    assert later.pool_A.faces.images.shape[1:3] == (32, 32)


def test_the_recipe_says_how_far_augmentation_shifts(tiny):
    gan = build({**tiny, "adversary": tiny["adversary"] | {"augment_shift": 0.5}})
    x = gan._augment(tf.ones([200, 16, 16, 3]), numbers(gan, "discriminator", 200)["real_A"])
    # Rows that have come in from outside: up to half of the image
    empty = tf.reduce_sum(tf.cast(tf.reduce_all(x[..., 0] == 0, axis=2), tf.int32), axis=1)
    assert int(tf.reduce_max(empty)) == 8


def test_faces_are_flipped_jittered_and_scaled_before_the_step(tiny):
    gan = build(tiny)
    asked = batch(gan)
    a, b = asked["faces"]
    mirror = np.float32([-1, 0, 15, 0, 1, 0])  # of an image 16 pixels wide
    transforms = np.stack([np.float32([1, 0, 0, 0, 1, 0]), mirror])
    prepared = gan.prepare(gan.engine.place(asked | {"faces": (a._replace(transforms=transforms), b)}))
    assert prepared.keys() == asked.keys()
    mine, others = prepared["faces"]
    expected = a.images.astype(np.float32)
    expected[1] = expected[1, :, ::-1]
    np.testing.assert_allclose(mine.images, expected / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(others.images, b.images / np.float32(127.5) - 1, atol=1e-6)
    np.testing.assert_array_equal(mine.labels, a.labels)


@pytest.mark.slow
def test_the_compiled_step_computes_what_the_eager_one_does(tiny, monkeypatch):
    """All other tests run steps eagerly. The gradients' norms are among the values compared."""
    eager = build(tiny)
    monkeypatch.setattr(TensorFlow, "compile", COMPILE)
    compiled = build(tiny)
    # From zero the cycle error is rounding noise, of any sign.
    opened(eager.g_AB, eager.g_BA, compiled.g_AB, compiled.g_BA)
    theirs, mine = take(eager), take(compiled)
    assert theirs.keys() == mine.keys()
    for name in theirs:
        assert float(mine[name]) == pytest.approx(float(theirs[name]), rel=1e-3, abs=1e-6), name
    assert compiled.step == int(compiled.g_optimizer.iterations) == 1


@pytest.mark.parametrize("name", ["seed", "reference"])
def test_a_step_of_a_recipe_without_discriminator_batches(name):
    """The generators' own batch goes through the swapping pool."""
    stages = "stages=[{size: 32, batch_size: 2, steps: 1}]"
    recipe = recipe_file.load(ROOT / f"configs/{name}.yaml", [stages, "generator.filters=2", "generator.blocks=1",
                                                              "discriminator.filters=2"])
    gan = cyclegan.CycleGAN(recipe, recipe.stages[0])
    before = {name: values(network) for name, network in gan.networks().items()}
    losses = take(gan)
    assert all(np.isfinite(float(value)) for value in losses.values())
    assert not any(same(values(network), before[name]) for name, network in gan.networks().items())
    assert same(values(gan.ema_AB), values(gan.g_AB))  # neither recipe has a moving average
    assert int(gan.pool_A.count) == (2 if name == "reference" else 0)


def test_a_bfloat16_step_is_near_the_float32_one(tiny):
    exact, rounded = (build(tiny, precision=p) for p in ("float32", "mixed_bfloat16"))
    assert rounded.g_AB.get_layer("delta").compute_dtype == "bfloat16"
    assert {v.dtype for v in rounded.g_variables} == {"float32"}
    for mine, theirs in zip(rounded.d_variables, exact.d_variables, strict=True):
        mine.assign(theirs)
    for mine, theirs in zip(rounded.g_variables, exact.g_variables, strict=True):
        mine.assign(theirs)
    wanted, found = take(exact), take(rounded)
    for name in ("adversarial_AB", "adversarial_BA", "d_A", "d_B", "cycle_AB", "identity_AB"):
        assert float(found[name]) == pytest.approx(float(wanted[name]), rel=0.1, abs=0.01), name
