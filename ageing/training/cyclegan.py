"""CycleGAN: the networks of one stage and the steps that train them.

"Paper" is Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017
(arXiv 1703.10593). A = young, B = old; g_AB ages, g_BA rejuvenates; d_A and d_B tell real faces from translated ones.
"""

import tensorflow as tf
from keras import optimizers

import models
from ageing.training.augmentation import DISTURBED, augment, disturb, disturbance
from ageing.training.engine import Engine
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
STRENGTH_AB = 1.1       # ageing is taught this much of its change: without its spots a face looks younger


def build_generator(recipe, growths, name, precision="float32"):
    """The generator of `recipe`, inside `growths` enhancers."""
    g = recipe.generator
    return models.build_generator(g.filters, g.blocks, g.norm, g.padding, g.upsampling, g.output, g.init, growths,
                                  precision, name)


def build_discriminator(recipe, growths, name, precision="float32"):
    """The discriminator of `recipe` after `growths` growths, with one PatchGAN per size."""
    d = recipe.discriminator
    return models.build_discriminator(d.filters, d.norm, d.order, d.last_stride, d.init,
                                      LABELS if d.labels == "projection" else 0, growths + 1, precision, name)


class CycleGAN:
    """The networks, the classifier if there is one, their optimizers, moving averages and pools at one image size.

    recipe: recipe.Recipe. stage: recipe.Stage. precision: "float32" or "mixed_bfloat16". Build it under
    `strategy.scope()`. train_step, warm_step and finish_step are the compiled steps.
    """

    def __init__(self, recipe, stage, precision="float32", jit_compile=False):
        self.recipe, self.stage = recipe, stage
        self.growths = recipe.growths(stage.size)
        self.engine = Engine(recipe.seed, jit_compile)
        self.step = self.engine.step
        self.g_AB, self.g_BA, self.ema_AB, self.ema_BA = (
            build_generator(recipe, self.growths, name, precision) for name in ("g_AB", "g_BA", "ema_AB", "ema_BA"))
        self.d_A, self.d_B = (build_discriminator(recipe, self.growths, name, precision) for name in ("d_A", "d_B"))
        # Predicts gender and race. It learns on real faces and shows the generators what translation changes.
        self.classifier = models.build_classifier(LABELS, stage.size, recipe.stages[0].size, precision=precision,
                                                  name="classifier") if recipe.loss.lambda_label else None
        self.pool_A, self.pool_B = (ImagePool(recipe.adversary.pool_size, stage.size) for _ in range(2))
        self._build_optimizers()
        self.copy_to_average()
        self.train_step, self.warm_step, self.finish_step = map(
            self.engine.compile, (self._train_step, self._warm_step, self._finish_step))

    def _build_optimizers(self):
        """Optimizers are built before the first step, because a checkpoint skips the state of unbuilt ones. Their
        learning rate is set before every step."""
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
        """{name: object} of all that training needs to resume exactly, for tf.train.Checkpoint."""
        some = {name: getattr(self, name) for name in ("classifier", "finish_optimizer") if getattr(self, name)}
        return {**self.networks(), **some, "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer,
                "step": self.step, "pool_A": self.pool_A.images, "pool_B": self.pool_B.images,
                "labels_A": self.pool_A.labels, "labels_B": self.pool_B.labels,
                "count_A": self.pool_A.count, "count_B": self.pool_B.count}

    def set_learning_rate(self, value):
        for optimizer in filter(None, (self.g_optimizer, self.d_optimizer, self.finish_optimizer)):
            optimizer.learning_rate = value

    def copy_to_average(self):
        for average, network in ((self.ema_AB, self.g_AB), (self.ema_BA, self.g_BA)):
            _assign(average.variables, network.variables)

    def continue_from(self, other):
        """Take over what `other`, the CycleGAN of the stage before, has learned. The pools start empty."""
        self.step.assign(other.step)
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
        PatchGAN keeps judging its size. The new one, for the full size, starts as a copy of the next smaller one.

        The optimizers are reset. (When the whole generators trained, ripples covered every cheek within 20 steps.)
        """
        pairs = [(mine.get_layer("coarse"), average) for mine, average in (
            (self.g_AB, other.ema_AB), (self.ema_AB, other.ema_AB), (self.g_BA, other.ema_BA),
            (self.ema_BA, other.ema_BA))]
        for mine, theirs in ((self.d_A, other.d_A), (self.d_B, other.d_B)):
            scales = models.parts(theirs)
            pairs += zip(models.parts(mine), [scales[0], *scales], strict=True)
        return pairs

    # Training: one generator step, and the discriminator steps that belong to it

    def _train_step(self, batch, d_batch):
        """{name: mean loss} of one step.

        batch: (A, B), each LabelledFaces (1, n, ...). d_batch: (A, B), each LabelledFaces (steps, m, ...), for the
        discriminators; None: they train on the generators' batch.
        """
        losses = self.engine.run(self._replica_step, batch, d_batch)
        step = tf.cast(self.g_optimizer.iterations.value, tf.float32)
        decay = tf.minimum(self.recipe.optimizer.ema_decay, (1 + step) / (10 + step))  # EMA warm-up
        for average, network in ((self.ema_AB, self.g_AB), (self.ema_BA, self.g_BA)):
            self.engine.average(models.outermost(average), models.outermost(network), decay)
        self.step.assign_add(1)
        return losses

    def _replica_step(self, batch, d_batch):
        real_A, real_B = _round(batch, 0)
        fake_A, fake_B, losses = self._generator_step(real_A, real_B)
        all_A, all_B = self.engine.gather(fake_A), self.engine.gather(fake_B)
        if d_batch is None:
            whole = real_A.images.shape[0] * self.engine.replicas
            fake_A = self.engine.part(self.pool_A.swap(all_A, self.engine.uniform([whole, 2], 0)))
            fake_B = self.engine.part(self.pool_B.swap(all_B, self.engine.uniform([whole, 2], 1)))
            return losses | self._discriminator_step(real_A, real_B, fake_A, fake_B, 0)
        self.pool_A.push(all_A)
        self.pool_B.push(all_B)
        rounds = [self._discriminator_round(*_round(d_batch, k), k) for k in range(self.recipe.adversary.steps)]
        return losses | {name: tf.add_n([r[name] for r in rounds]) / len(rounds) for name in rounds[0]}

    def _generator_step(self, real_A, real_B):
        """(fake A, fake B, {name: loss}). Both generators take one step together."""
        (fake_A, fake_B, losses), gradient = self.engine.minimise(
            lambda: self._generator_loss(real_A, real_B), self.g_variables, self.g_optimizer)
        return fake_A, fake_B, losses | {"g_gradient": gradient}

    def _generator_loss(self, real_A, real_B):
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
            how_A, how_B = self._disturbance(real_A, 6), self._disturbance(real_B, 7)
            to_B["disturbed"], to_A["disturbed"] = disturb(real_A, how_A), disturb(real_B, how_B)
        made_B, made_A = _together(self.g_AB, to_B), _together(self.g_BA, to_A)
        fake_B, fake_A = made_B["translation"], made_A["translation"]  # G_AB(A), G_BA(B)
        rec_A = self.g_BA(fake_B, training=True)       # G_BA(G_AB(A))
        rec_B = self.g_AB(fake_A, training=True)       # G_AB(G_BA(B))
        # Both cycle terms train both generators: the gradient of each goes through G_AB and G_BA.
        cycle_A = cycle_loss(rec_A, real_A)            # || G_BA(G_AB(A)) - A ||
        cycle_B = cycle_loss(rec_B, real_B)            # || G_AB(G_BA(B)) - B ||
        identity_A = identity_B = consistency_A = consistency_B = tf.constant(0.0)
        if weights.lambda_identity:
            identity_A = identity_loss(made_A["identity"], real_A)  # || G_BA(A) - A ||
            identity_B = identity_loss(made_B["identity"], real_B)  # || G_AB(B) - B ||
        if weights.lambda_consistency:
            # || G_AB(T(A)) - T(G_AB(A)) ||, T degrades a face. The translation of the clean face is the teacher.
            consistency_A = mean_absolute(made_B["disturbed"], disturb(tf.stop_gradient(fake_B), how_A))
            consistency_B = mean_absolute(made_A["disturbed"], disturb(tf.stop_gradient(fake_A), how_B))
        colour_A, colour_B = colour_change(real_A, fake_B), colour_change(real_B, fake_A)
        label_A, label_B = self._label_change(real_A, fake_B, 4), self._label_change(real_B, fake_A, 5)
        # A translated face keeps the labels of its source, so the discriminator penalises a change of gender.
        fakes_A, fakes_B = LabelledFaces(fake_A, labels_B), LabelledFaces(fake_B, labels_A)
        adversarial_AB = least_squares(self._score(self.d_B, fakes_B, 2), 1.0)  # (D_B(G_AB(A)) - 1)^2
        adversarial_BA = least_squares(self._score(self.d_A, fakes_A, 3), 1.0)  # (D_A(G_BA(B)) - 1)^2
        total = (adversarial_AB + adversarial_BA + weights.lambda_cycle * (cycle_A + cycle_B)
                 + weights.lambda_identity * (identity_A + identity_B)
                 + weights.lambda_consistency * (consistency_A + consistency_B)
                 + weights.lambda_colour * (colour_A + colour_B) + weights.lambda_label * (label_A + label_B))
        return total, (fakes_A, fakes_B, {
            "adversarial_AB": adversarial_AB, "adversarial_BA": adversarial_BA, "cycle_A": cycle_A, "cycle_B": cycle_B,
            "identity_A": identity_A, "identity_B": identity_B, "consistency_A": consistency_A,
            "consistency_B": consistency_B, "colour_A": colour_A, "colour_B": colour_B,
            "label_A": label_A, "label_B": label_B})

    def _discriminator_round(self, real_A, real_B, k):
        """One discriminator step on its own batch. Negatives: from the pool, and real images of the other domain."""
        whole = real_A.images.shape[0] * self.engine.replicas
        fake_A = self.engine.part(self.pool_A.sample(self.engine.uniform([whole], 10 + 10 * k)))
        fake_B = self.engine.part(self.pool_B.sample(self.engine.uniform([whole], 11 + 10 * k)))
        # Which places of the global batch get a real image: evenly spread, so that each replica has its share.
        share = self.recipe.adversary.real_negatives
        borrows = self.engine.part(tf.constant([int((i + 1) * share) > int(i * share) for i in range(whole)]))
        return self._discriminator_step(real_A, real_B, choose(borrows, real_B, fake_A),
                                        choose(borrows, real_A, fake_B), k)

    def _discriminator_step(self, real_A, real_B, negative_A, negative_B, k):
        """{name: loss}. Both discriminators take one step together, and the classifier beside them, on the real faces
        (as StarGAN's, Choi et al. 2018, eq. 2). k: number of this step within the training step."""
        def loss():
            d_A = self._discriminator_loss(self.d_A, real_A, negative_A, 12 + 10 * k)
            d_B = self._discriminator_loss(self.d_B, real_B, negative_B, 14 + 10 * k)
            classifier = self._classifier_loss(real_A, 12 + 10 * k) + self._classifier_loss(real_B, 14 + 10 * k)
            return d_A + d_B + classifier, {"d_A": d_A, "d_B": d_B, "classifier": classifier}

        losses, gradient = self.engine.minimise(loss, self.d_variables, self.d_optimizer)
        return losses | {"d_gradient": gradient}

    def _discriminator_loss(self, discriminator, real, negative, purpose):
        """Least squares, real -> 1, negative -> 0. Halved, so that D learns slower than G (paper, section 7.1)."""
        on_real = least_squares(self._score(discriminator, real, purpose), 1.0)          # (D(real) - 1)^2
        on_negative = least_squares(self._score(discriminator, negative, purpose + 1), 0.0)  # D(negative)^2
        return (on_real + on_negative) / 2

    def _classifier_loss(self, real, purpose):
        if not self.classifier:
            return tf.constant(0.0)
        return label_loss(self.classifier(self._augment(real.images, purpose), training=True), real.labels)

    def _label_change(self, before, after, purpose):
        """Change of the classifier's prediction between two image batches with the same augmentation."""
        if not self.classifier:
            return tf.constant(0.0)
        return label_change(*(self.classifier(self._augment(x, purpose), training=True) for x in (before, after)))

    # Warm start: the discriminators learn the two real domains, the classifier its labels

    def _warm_step(self, batch):
        """{name: mean loss} of one step: own domain -> 1, the other one -> 0. batch: as for _train_step."""
        losses = self.engine.run(self._replica_warm_step, batch)
        self.step.assign_add(1)
        return losses

    def _replica_warm_step(self, batch):
        real_A, real_B = _round(batch, 0)
        return self._discriminator_step(real_A, real_B, real_B, real_A, 0)

    # Finishing: the moving averages learn to reproduce their own output without spots on foreheads

    def begin_finish(self):
        """Copy the moving averages into the generators, which become their teachers."""
        for network, average in ((self.g_AB, self.ema_AB), (self.g_BA, self.ema_BA)):
            _assign(network.variables, average.variables)

    def _finish_step(self, batch):
        """{name: mean loss} of one step. batch: as for _train_step."""
        losses = self.engine.run(self._replica_finish_step, batch)
        self.step.assign_add(1)
        return losses

    def _replica_finish_step(self, batch):
        """Self-distillation (Furlanello et al., ICML 2018) with a penalty on spots."""
        real_A, real_B = (faces.images for faces in _round(batch, 0))
        taught_B = tf.clip_by_value(real_A + STRENGTH_AB * (self.g_AB(real_A, training=False) - real_A), -1, 1)
        taught_A = self.g_BA(real_B, training=False)

        def loss():
            fake_B, fake_A = self.ema_AB(real_A, training=True), self.ema_BA(real_B, training=True)
            teacher_A, teacher_B = mean_absolute(fake_B, taught_B), mean_absolute(fake_A, taught_A)
            spot_A, spot_B = spots_drawn(real_A, fake_B), spots_drawn(real_B, fake_A)
            total = LAMBDA_TEACHER * (teacher_A + teacher_B) + LAMBDA_SPOT * (spot_A + spot_B)
            return total, {"teacher_A": teacher_A, "teacher_B": teacher_B, "spot_A": spot_A, "spot_B": spot_B}

        losses, gradient = self.engine.minimise(loss, self.finish_variables, self.finish_optimizer)
        return losses | {"finish_gradient": gradient}

    # What the discriminators and the classifier see. purpose: an integer, so that each call has its own random numbers

    def _score(self, discriminator, faces, purpose):
        images = self._augment(faces.images, purpose)
        inputs = images if self.recipe.discriminator.labels == "none" else [images, faces.labels]
        return discriminator(inputs, training=True)

    def _augment(self, images, purpose):
        settings = self.recipe.adversary
        if not settings.augment:
            return images
        uniform = self.engine.uniform([images.shape[0] * self.engine.replicas, 4], 100 + purpose)
        return augment(images, self.engine.part(uniform), settings.augment_shift)

    def _disturbance(self, images, purpose):
        whole = images.shape[0] * self.engine.replicas
        uniform = self.engine.uniform([whole, len(DISTURBED)], 100 + purpose)
        noise = self.engine.uniform([whole, *images.shape[1:3], 1], 200 + purpose)
        return disturbance(self.engine.part(uniform), self.engine.part(noise))


def _round(batch, k):
    """The k-th of the rounds in (A, B), each LabelledFaces (rounds, n, ...)."""
    return tf.nest.map_structure(lambda x: x[k], batch)


def _together(network, images):
    """{name: images} through `network` in one call: {name: output}."""
    return dict(zip(images, tf.split(network(tf.concat(list(images.values()), 0), training=True), len(images)),
                    strict=True))


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
