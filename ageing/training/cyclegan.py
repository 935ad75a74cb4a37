"""CycleGAN: the networks of one stage and the steps that train them.

"Paper" is Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017
(arXiv 1703.10593). A = young, B = old; g_AB ages, g_BA rejuvenates; d_A and d_B tell real faces from translated ones.
"""

import keras
from keras import ops, optimizers

import models
from ageing.training.augmentation import DISTURBED, augment, disturb, disturbance, from_pixels
from ageing.training.engine import engine
from ageing.training.image_pool import ImagePool, choose
from ageing.training.losses import (
    colour_change,
    cycle_loss,
    identity_loss,
    label_change,
    label_loss,
    least_squares,
    mean_absolute,
    spots_drawn,
)
from ageing.utkface import LABELS
from data_loader import LabelledFaces

ADAM_BETA_1 = 0.5  # the paper's; with Keras' 0.9 generators and discriminators overshoot each other

# Finishing. Of the weights tried, these removed most spots at no loss of years (docs/experiments.md).
LAMBDA_TEACHER = 10.0   # of the difference to what the generators did before
LAMBDA_SPOT = 100.0     # of the spots that they draw on foreheads
STRENGTH_AB = 1.2       # ageing is taught this much of its change: fine lines count less with the judges than folds
STRENGTH_BA = 1.1       # the same of rejuvenation


def build_generator(recipe, growths, name, precision="float32"):
    """The generator of `recipe`, inside `growths` enhancers."""
    g = recipe.generator
    return models.build_generator(g.filters, g.blocks, g.norm, g.padding, g.upsampling, g.output, g.init, growths,
                                  precision, name)


def build_discriminator(recipe, scales, name, precision="float32"):
    """The discriminator of `recipe` with `scales` PatchGANs."""
    d = recipe.discriminator
    return models.build_discriminator(d.filters, d.norm, d.order, d.last_stride, d.init,
                                      LABELS if d.labels == "projection" else 0, scales, precision, name)


class CycleGAN:
    """The networks, the classifier if there is one, their optimizers, moving averages and pools at one image size.

    recipe: recipe.Recipe. stage: recipe.Stage. precision: "float32" or "mixed_bfloat16". step: how many steps of the
    run are done. compute: takes one step. prepare: a batch's LoadedFaces -> LabelledFaces. age and rejuvenate: the
    moving averages as functions of images.
    """

    def __init__(self, recipe, stage, precision="float32"):
        self.recipe, self.stage, self.step = recipe, stage, 0
        self.growths = recipe.growths(stage.size)
        self.engine = engine()
        self.g_AB, self.g_BA, self.ema_AB, self.ema_BA = (
            build_generator(recipe, self.growths, name, precision) for name in ("g_AB", "g_BA", "ema_AB", "ema_BA"))
        scales = recipe.scales(stage.size)
        self.d_A, self.d_B = (build_discriminator(recipe, scales, name, precision) for name in ("d_A", "d_B"))
        # Predicts gender and race. It learns on real faces and shows the generators what translation changes.
        self.classifier = models.build_classifier(LABELS, stage.size, recipe.stages[0].size, precision=precision,
                                                  name="classifier") if recipe.loss.lambda_label else None
        self.pool_A, self.pool_B = (ImagePool(recipe.adversary.pool_size, stage.size) for _ in range(2))
        self._build_optimizers()
        self.copy_to_average()
        self.age, self.rejuvenate = self.engine.forward(self.ema_AB), self.engine.forward(self.ema_BA)
        self.prepare = self.engine.compile(self._prepared, xla=False)
        variables = [v for some in self.state().values() for v in some]
        self._steps = {kind: self.engine.compile(step, variables) for kind, step in (
            ("train", self._train_step), ("warm", self._warm_step), ("finish", self._finish_step))}

    def _build_optimizers(self):
        """Optimizers are built before the first step, because their state is part of a checkpoint. Every step sets
        their learning rate."""
        def adam(learning_rate, variables):
            optimizer = optimizers.Adam(learning_rate, beta_1=ADAM_BETA_1)
            optimizer.build(variables)
            return optimizer

        # The coarse generator inside an enhancer is frozen.
        self.g_variables = models.outermost(self.g_AB) + models.outermost(self.g_BA)
        self.d_variables = self.d_A.trainable_variables + self.d_B.trainable_variables
        if self.classifier:
            self.d_variables += self.classifier.trainable_variables
        self.g_optimizer = adam(self.stage.learning_rate, self.g_variables)
        self.d_optimizer = adam(self.stage.learning_rate, self.d_variables)
        # Finishing trains the whole moving averages, the coarse generators included.
        self.finish_variables = self.ema_AB.trainable_variables + self.ema_BA.trainable_variables
        last = self.stage == self.recipe.stages[-1]
        self.finish_optimizer = (adam(self.stage.learning_rate, self.finish_variables)
                                 if last and self.recipe.finish.steps else None)

    # State

    def networks(self):
        """{name: network} of the networks and averages that another recipe may start from."""
        return {name: getattr(self, name) for name in ("g_AB", "g_BA", "d_A", "d_B", "ema_AB", "ema_BA")}

    def state(self):
        """{name: [variables]} of all that training needs to resume exactly, beside the number of the step."""
        parts = self.networks() | {name: getattr(self, name) for name in (
            "classifier", "g_optimizer", "d_optimizer", "finish_optimizer", "pool_A", "pool_B")}
        return {name: list(part.variables) for name, part in parts.items() if part}

    def copy_to_average(self):
        for average, network in ((self.ema_AB, self.g_AB), (self.ema_BA, self.g_BA)):
            _assign(average.variables, network.variables)

    def continue_from(self, other):
        """Take over what `other`, the CycleGAN of the stage before, has learned. The pools start empty."""
        self.step = other.step
        pairs = self._grown_from(other) if self.growths > other.growths else self._same_as(other)
        if self.classifier:
            pairs.append((self.classifier, other.classifier))
        for mine, theirs in pairs:
            _assign(mine.variables, theirs.variables)

    def _same_as(self, other):
        """[(mine, other's)]: networks and optimizers."""
        return [*zip(self.networks().values(), other.networks().values(), strict=True),
                (self.g_optimizer, other.g_optimizer), (self.d_optimizer, other.d_optimizer)]

    def _grown_from(self, other):
        """[(mine, other's)]: the moving averages become the frozen coarse generators inside the new enhancers. Each
        PatchGAN keeps judging its size. The new one, for a band that no other one has seen, starts from nothing.

        The optimizers are reset. (When the whole generators trained, ripples covered every cheek within 20 steps.)
        """
        pairs = [(mine.get_layer("coarse"), average) for mine, average in (
            (self.g_AB, other.ema_AB), (self.ema_AB, other.ema_AB), (self.g_BA, other.ema_BA),
            (self.ema_BA, other.ema_BA))]
        for mine, theirs in ((self.d_A, other.d_A), (self.d_B, other.d_B)):
            pairs += zip(models.parts(mine)[1:], models.parts(theirs), strict=True)
        return pairs

    # One step

    def compute(self, kind, batch):
        """Take one step; {name: loss, a scalar tensor}. kind: of a plan.Phase. batch: as of batches.batch, placed."""
        losses = self._steps[kind](self.prepare(batch))
        self.step += 1
        return losses

    def random_shapes(self, kind, n, d_rounds, d_n):
        """{"generator" or "discriminator": {name: shape}} of the numbers in [0, 1) that a step draws.

        n: pairs of the generator step. d_rounds, d_n: discriminator steps, and pairs of each.
        """
        augment = self.recipe.adversary.augment
        g = dict.fromkeys(("score_AB", "score_BA", "label_AB", "label_BA"), (4,)) if augment else {}
        if self.recipe.loss_of(self.stage).lambda_consistency:
            size = self.stage.size
            g |= {"disturb_A": (len(DISTURBED),), "disturb_B": (len(DISTURBED),),
                  "grain_A": (size, size, 1), "grain_B": (size, size, 1)}
        d = dict.fromkeys(("real_A", "real_B", "negative_A", "negative_B"), (4,)) if augment else {}
        if kind == "train":
            d |= {"pool_A": (2,), "pool_B": (2,)}
        generator = {name: (1, n, *shape) for name, shape in g.items()} if kind == "train" else {}
        discriminator = {name: (d_rounds, d_n, *shape) for name, shape in d.items()} if kind != "finish" else {}
        return {"generator": generator, "discriminator": discriminator}

    def _prepared(self, batch):
        """`batch` with LabelledFaces (rounds, n, ...) in place of LoadedFaces: flipped, jittered, in [-1, 1]."""
        def prepared(faces):
            images = faces.images
            if faces.transforms is not None:
                images = ops.stack([self.engine.warp(images[k], faces.transforms[k]) for k in range(images.shape[0])])
            return LabelledFaces(from_pixels(images), faces.labels)

        return batch | {name: tuple(map(prepared, batch[name])) for name in ("faces", "d_faces") if name in batch}

    # Training: one generator step, and the discriminator steps that belong to it

    def _train_step(self, batch):
        """{name: mean loss} of one step."""
        self._set_learning_rate(batch["learning_rate"])
        real_A, real_B = _round(batch["faces"], 0)
        random = batch["random"]
        fake_A, fake_B, losses = self._generator_step(real_A, real_B, _round(random["generator"], 0))
        losses |= self._discriminator_steps(batch, (real_A, real_B), (fake_A, fake_B), random["discriminator"])
        step = ops.cast(self.g_optimizer.iterations, "float32")
        decay = ops.minimum(self.recipe.optimizer.ema_decay, (1 + step) / (10 + step))  # EMA warm-up
        for average, network in ((self.ema_AB, self.g_AB), (self.ema_BA, self.g_BA)):
            for mean, value in zip(models.outermost(average), models.outermost(network), strict=True):
                mean.assign(value + decay * (mean - value))
        return losses

    def _discriminator_steps(self, batch, real, fake, random):
        """{name: mean loss}. On batches of their own if there are any, else on those of the generators."""
        (real_A, real_B), (fake_A, fake_B) = real, fake
        if "d_faces" not in batch:
            random = _round(random, 0)
            fake_A, fake_B = self.pool_A.swap(fake_A, random["pool_A"]), self.pool_B.swap(fake_B, random["pool_B"])
            return self._discriminator_step(real_A, real_B, fake_A, fake_B, random)
        self.pool_A.push(fake_A)
        self.pool_B.push(fake_B)
        rounds = [self._discriminator_round(*_round(batch["d_faces"], k), _round(random, k))
                  for k in range(self.recipe.adversary.steps)]
        return {name: sum(r[name] for r in rounds) / len(rounds) for name in rounds[0]}

    def _set_learning_rate(self, value):
        for optimizer in filter(None, (self.g_optimizer, self.d_optimizer, self.finish_optimizer)):
            optimizer.learning_rate = value

    def _generator_step(self, real_A, real_B, random):
        """(fake A, fake B, {name: loss}). Both generators take one step together."""
        (fake_A, fake_B, losses), gradient = self.engine.minimise(
            lambda: self._generator_loss(real_A, real_B, random), self.g_variables, self.g_optimizer)
        return fake_A, fake_B, losses | {"g_gradient": gradient}

    def _generator_loss(self, real_A, real_B, random):
        """Paper, eq. 3 for both generators at once, with the identity term of section 5.2 and terms of our own.

        Returns (total, (fake A, fake B, {name: loss})).
        """
        weights = self.recipe.loss_of(self.stage)
        (real_A, labels_A), (real_B, labels_B) = real_A, real_B
        # One call of each generator translates, and makes what the identity and consistency terms need.
        to_B, to_A = {"translation": real_A}, {"translation": real_B}
        if weights.lambda_identity:
            to_B["identity"], to_A["identity"] = real_B, real_A
        if weights.lambda_consistency:
            how_A, how_B = (disturbance(random[f"disturb_{side}"], random[f"grain_{side}"]) for side in "AB")
            to_B["disturbed"], to_A["disturbed"] = disturb(real_A, how_A), disturb(real_B, how_B)
        made_B, made_A = _together(self.g_AB, to_B), _together(self.g_BA, to_A)
        fake_B, fake_A = made_B["translation"], made_A["translation"]  # G_AB(A), G_BA(B)
        rec_A = self.g_BA(fake_B, training=True)       # G_BA(G_AB(A))
        rec_B = self.g_AB(fake_A, training=True)       # G_AB(G_BA(B))
        # Both cycle terms train both generators: the gradient of each goes through G_AB and G_BA.
        cycle_A = cycle_loss(rec_A, real_A)            # || G_BA(G_AB(A)) - A ||
        cycle_B = cycle_loss(rec_B, real_B)            # || G_AB(G_BA(B)) - B ||
        identity_A = identity_B = consistency_A = consistency_B = ops.zeros(())
        if weights.lambda_identity:
            identity_A = identity_loss(made_A["identity"], real_A)  # || G_BA(A) - A ||
            identity_B = identity_loss(made_B["identity"], real_B)  # || G_AB(B) - B ||
        if weights.lambda_consistency:
            # || G_AB(T(A)) - T(G_AB(A)) ||, T degrades a face. The translation of the clean face is the teacher.
            consistency_A = mean_absolute(made_B["disturbed"], disturb(ops.stop_gradient(fake_B), how_A))
            consistency_B = mean_absolute(made_A["disturbed"], disturb(ops.stop_gradient(fake_A), how_B))
        colour_A, colour_B = colour_change(real_A, fake_B), colour_change(real_B, fake_A)
        label_A = self._label_change(real_A, fake_B, random.get("label_AB"))
        label_B = self._label_change(real_B, fake_A, random.get("label_BA"))
        # A translated face keeps the labels of its source, so the discriminator penalises a change of gender.
        fakes_A, fakes_B = LabelledFaces(fake_A, labels_B), LabelledFaces(fake_B, labels_A)
        scores_AB = self._score(self.d_B, fakes_B, random.get("score_AB"))
        scores_BA = self._score(self.d_A, fakes_A, random.get("score_BA"))
        adversarial_AB = least_squares(scores_AB, 1.0)  # (D_B(G_AB(A)) - 1)^2
        adversarial_BA = least_squares(scores_BA, 1.0)  # (D_A(G_BA(B)) - 1)^2
        total = (adversarial_AB + adversarial_BA + weights.lambda_cycle * (cycle_A + cycle_B)
                 + weights.lambda_identity * (identity_A + identity_B)
                 + weights.lambda_consistency * (consistency_A + consistency_B)
                 + weights.lambda_colour * (colour_A + colour_B) + weights.lambda_label * (label_A + label_B))
        return total, (fakes_A, fakes_B, {
            "adversarial_AB": adversarial_AB, "adversarial_BA": adversarial_BA, "cycle_A": cycle_A, "cycle_B": cycle_B,
            "identity_A": identity_A, "identity_B": identity_B, "consistency_A": consistency_A,
            "consistency_B": consistency_B, "colour_A": colour_A, "colour_B": colour_B,
            "label_A": label_A, "label_B": label_B})

    def _discriminator_round(self, real_A, real_B, random):
        """One discriminator step on its own batch. Negatives: from the pool, and real images of the other domain."""
        fake_A, fake_B = (pool.sample(random[name][:, 0]) for pool, name in ((self.pool_A, "pool_A"),
                                                                             (self.pool_B, "pool_B")))
        # Which places get a real image: evenly spread.
        share = self.recipe.adversary.real_negatives
        borrows = ops.array([int((i + 1) * share) > int(i * share) for i in range(real_A.images.shape[0])])
        return self._discriminator_step(real_A, real_B, choose(borrows, real_B, fake_A),
                                        choose(borrows, real_A, fake_B), random)

    def _discriminator_step(self, real_A, real_B, negative_A, negative_B, random):
        """{name: loss}. Both discriminators take one step together, and the classifier beside them, on the real faces
        (as StarGAN's, Choi et al. 2018, eq. 2)."""
        def loss():
            d_A = self._discriminator_loss(self.d_A, real_A, negative_A, random.get("real_A"), random.get("negative_A"))
            d_B = self._discriminator_loss(self.d_B, real_B, negative_B, random.get("real_B"), random.get("negative_B"))
            classifier = (self._classifier_loss(real_A, random.get("real_A"))
                          + self._classifier_loss(real_B, random.get("real_B")))
            return d_A + d_B + classifier, {"d_A": d_A, "d_B": d_B, "classifier": classifier}

        losses, gradient = self.engine.minimise(loss, self.d_variables, self.d_optimizer)
        return losses | {"d_gradient": gradient}

    def _discriminator_loss(self, discriminator, real, negative, random_real, random_negative):
        """Least squares, real -> 1, negative -> 0. Halved, so that D learns slower than G (paper, section 7.1)."""
        on_real = least_squares(self._score(discriminator, real, random_real), 1.0)              # (D(real) - 1)^2
        on_negative = least_squares(self._score(discriminator, negative, random_negative), 0.0)  # D(negative)^2
        return (on_real + on_negative) / 2

    def _classifier_loss(self, real, random):
        if not self.classifier:
            return ops.zeros(())
        return label_loss(self.classifier(self._augment(real.images, random), training=True), real.labels)

    def _label_change(self, before, after, random):
        """Change of the classifier's prediction between two image batches with the same augmentation."""
        if not self.classifier:
            return ops.zeros(())
        return label_change(*(self.classifier(self._augment(x, random), training=True) for x in (before, after)))

    # Warm start: the discriminators learn the two real domains, the classifier its labels

    def _warm_step(self, batch):
        """{name: mean loss} of one step: own domain -> 1, the other one -> 0."""
        self._set_learning_rate(batch["learning_rate"])
        real_A, real_B = _round(batch["faces"], 0)
        return self._discriminator_step(real_A, real_B, real_B, real_A, _round(batch["random"]["discriminator"], 0))

    # Finishing: the moving averages learn to reproduce their own output without spots on foreheads

    def begin_finish(self):
        """Copy the moving averages into the generators, which become their teachers."""
        for network, average in ((self.g_AB, self.ema_AB), (self.g_BA, self.ema_BA)):
            _assign(network.variables, average.variables)

    def _finish_step(self, batch):
        """{name: mean loss} of one step: self-distillation (Furlanello et al., ICML 2018) with a penalty on spots."""
        self._set_learning_rate(batch["learning_rate"])
        real_A, real_B = (faces.images for faces in _round(batch["faces"], 0))
        taught_B = _stronger(real_A, self.g_AB(real_A, training=False), STRENGTH_AB)
        taught_A = _stronger(real_B, self.g_BA(real_B, training=False), STRENGTH_BA)

        def loss():
            fake_B, fake_A = self.ema_AB(real_A, training=True), self.ema_BA(real_B, training=True)
            teacher_A, teacher_B = mean_absolute(fake_B, taught_B), mean_absolute(fake_A, taught_A)
            spot_A, spot_B = spots_drawn(real_A, fake_B), spots_drawn(real_B, fake_A)
            total = LAMBDA_TEACHER * (teacher_A + teacher_B) + LAMBDA_SPOT * (spot_A + spot_B)
            return total, {"teacher_A": teacher_A, "teacher_B": teacher_B, "spot_A": spot_A, "spot_B": spot_B}

        losses, gradient = self.engine.minimise(loss, self.finish_variables, self.finish_optimizer)
        return losses | {"finish_gradient": gradient}

    # What the discriminators and the classifier see. random: (n, 4) for `augment`, or None without augmentation

    def _score(self, discriminator, faces, random):
        images = self._augment(faces.images, random)
        inputs = images if self.recipe.discriminator.labels == "none" else [images, faces.labels]
        return discriminator(inputs, training=True)

    def _augment(self, images, random):
        return images if random is None else augment(images, random, self.recipe.adversary.augment_shift)


def _round(structure, k):
    """The k-th of the rounds in nested tensors (rounds, n, ...)."""
    return keras.tree.map_structure(lambda x: x[k], structure)


def _together(network, images):
    """{name: images} through `network` in one call: {name: output}."""
    made = network(ops.concatenate(list(images.values())), training=True)
    return dict(zip(images, ops.split(made, len(images)), strict=True))


def _stronger(images, translated, strength):
    """`images` with `strength` times the change that made them `translated`."""
    return ops.clip(images + strength * (translated - images), -1, 1)


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(ops.convert_to_numpy(value))  # a copy: on JAX two variables must not share a value
