"""CycleGAN: the networks of one stage and the steps that train them.

"Paper" is Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017
(arXiv 1703.10593). A = young, B = old; g_AB ages, g_BA rejuvenates; d_A and d_B tell real faces from translated ones.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, optimizers

import models
from ageing.faces.direction import USUAL
from ageing.pixels import scaled
from ageing.training.augmentation import DISTURBED, augment, disturb, disturbance
from ageing.training.engine import engine
from ageing.training.image_pool import ImagePool, choose
from ageing.training.losses import (
    colour_change,
    label_change,
    label_loss,
    least_squares,
    mean_absolute,
    spots_drawn,
)
from ageing.utkface import LABELS
from data_loader import LabelledFaces

ADAM_BETA_1 = 0.5  # the paper's; with Keras' 0.9 generators and discriminators overshoot each other

WRONG = 12.0  # years; people who are closer in age look alike

# Finishing. Of the weights tried, these removed most spots at no loss of years (docs/experiments.md).
LAMBDA_TEACHER = 10.0   # of the difference to what the generators did before
LAMBDA_SPOT = 100.0     # of the spots that they draw on foreheads
STRENGTHS = {"AB": 1.2, "BA": 1.1}  # of its change that each way is taught: judges count fine lines less than folds


def build_generator(recipe, growths, name, precision="float32"):
    """The generator of `recipe`, inside `growths` enhancers. One whose `name` ends in AB is told the age if the recipe
    has several old domains."""
    return models.build_generator(**dataclasses.asdict(recipe.generator), enhancers=growths, precision=precision,
                                  ages=recipe.data.ages if name.endswith("AB") else (), name=name)


def build_discriminator(recipe, scales, name, precision="float32"):
    """The discriminator of `recipe` with `scales` PatchGANs. Where ages are told, d_B is told them too."""
    settings = dataclasses.asdict(recipe.discriminator)
    settings["labels"] = LABELS if recipe.discriminator.labels == "projection" else 0
    return models.build_discriminator(**settings, ages=recipe.data.ages if name.endswith("B") else (), scales=scales,
                                      precision=precision, name=name)


class Way(NamedTuple):
    """One way of translation, A -> B or B -> A.

    name: "AB" or "BA". G, D: the generator, and the discriminator of the domain that it makes. F: the generator of the
    other way. average: the moving average of G.
    """

    name: str
    G: keras.Model
    F: keras.Model
    D: keras.Model
    average: keras.Model


class Translation(NamedTuple):
    """What one way makes in a step. x, y: images of the domain that G translates, and of the one that it makes.

    labels: of x. ages: what G_AB is told: those of the old faces, which are x or y. made: {"fake": G(x),
    "identity": G(y), "disturbed": G(T(x))}, of which the last two may be missing. how: T, an augmentation.Disturbance.
    random: numbers of the step.
    """

    way: Way
    x: Any
    y: Any
    labels: Any
    ages: Any
    made: dict
    how: Any
    random: dict

    @property
    def fakes(self):
        """A translated face keeps the labels of its source, so the discriminator penalises a change of gender."""
        return LabelledFaces(self.made["fake"], self.labels, self.ages if self.way.name == "AB" else None)


class CycleGAN:
    """The networks, the classifier if there is one, their optimizers, moving averages and pools at one image size.

    recipe: recipe.Recipe. stage: recipe.Stage. precision: "float32" or "mixed_bfloat16". step: how many steps of the
    run are done. compute: takes one step. prepare: a batch's LoadedFaces -> LabelledFaces.
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
        self.pool_A, self.pool_B = (ImagePool(recipe.adversary.pool_size, stage.size, told)
                                    for told in (False, bool(recipe.data.ages)))
        self.ways = (Way("AB", self.g_AB, self.g_BA, self.d_B, self.ema_AB),
                     Way("BA", self.g_BA, self.g_AB, self.d_A, self.ema_BA))
        self._build_optimizers()
        self.copy_to_average()
        self._forward = {way.name: self.engine.forward(way.average) for way in self.ways}
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

        self.g_variables = self._trained(self.g_AB) + self._trained(self.g_BA)
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

    def _trained(self, generator):
        """Its variables that train. The coarse generator inside an enhancer is frozen: else ripples covered every cheek
        within 20 steps. Heads on features see ripples, so with them all of it trains."""
        features = self.recipe.discriminator.features
        return generator.trainable_variables if features else models.outermost(generator)

    # Translation by the moving averages: images float32 (N, H, W, 3) in [-1, 1] -> the same

    def age(self, images, age=USUAL):
        """age: in years. Generators that are told none make their domain."""
        ages = np.full((len(images), 1), age, np.float32)
        return self._forward["AB"](models.told(self.ema_AB, images, ages))

    def rejuvenate(self, images):
        return self._forward["BA"](images)

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
        for way in self.ways:
            _assign(way.average.variables, way.G.variables)

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
        """[(mine, other's)]: the moving averages become the coarse generators inside the new enhancers. Each PatchGAN
        keeps judging its size. The new one, for a band that no other one has seen, starts from nothing.

        The optimizers are reset.
        """
        pairs = [(mine.get_layer("coarse"), average) for mine, average in (
            (self.g_AB, other.ema_AB), (self.ema_AB, other.ema_AB), (self.g_BA, other.ema_BA),
            (self.ema_BA, other.ema_BA))]
        for mine, theirs in ((self.d_A, other.d_A), (self.d_B, other.d_B)):
            pairs += zip(models.parts(mine)[1:], models.parts(theirs), strict=True)
            pairs += zip(models.parts(mine, "head"), models.parts(theirs, "head"), strict=True)
        return pairs

    # One step

    def compute(self, kind, batch):
        """Take one step; {name: loss, a scalar tensor}. kind: of a plan.Phase. batch: of plan.batch, on the device."""
        losses = self._steps[kind](self.prepare(batch))
        self.step += 1
        return losses

    def random_shapes(self, kind, n, d_rounds, d_n):
        """{"generator" or "discriminator": {name: shape}} of the numbers in [0, 1) that a step draws.

        n: pairs of the generator step. d_rounds, d_n: discriminator steps, and pairs of each.
        """
        augment = self.recipe.adversary.augment
        g = dict.fromkeys(("score_AB", "score_BA", "label_AB", "label_BA"), (4,)) if augment else {}
        if self.recipe.weights(self.stage)["consistency"]:
            size = self.stage.size
            g |= {"disturb_AB": (len(DISTURBED),), "disturb_BA": (len(DISTURBED),),
                  "grain_AB": (size, size, 1), "grain_BA": (size, size, 1)}
        d = dict.fromkeys(("real_A", "real_B", "negative_A", "negative_B"), (4,)) if augment else {}
        if kind == "train":
            d |= {"pool_A": (2,), "pool_B": (2,)}
        generator = {name: (n, *shape) for name, shape in g.items()} if kind == "train" else {}
        discriminator = {name: (d_rounds, d_n, *shape) for name, shape in d.items()} if kind != "finish" else {}
        return {"generator": generator, "discriminator": discriminator}

    def _prepared(self, batch):
        """`batch` with LabelledFaces in place of LoadedFaces: flipped, jittered, in [-1, 1]."""
        def prepared(faces):
            moved = faces.images if faces.transforms is None else self.engine.warp(faces.images, faces.transforms)
            return LabelledFaces(scaled(ops.cast(moved, "float32")), faces.labels, faces.ages)

        def part(some):
            return some | {"faces": tuple(map(prepared, some["faces"]))} if "faces" in some else some

        return part(batch) | {"rounds": [part(one) for one in batch["rounds"]]}

    # Training: one generator step, and the discriminator steps that belong to it

    def _train_step(self, batch):
        """{name: mean loss} of one step."""
        self._set_learning_rate(batch["learning_rate"])
        real_A, real_B = batch["faces"]
        fake_A, fake_B, losses = self._generator_step(real_A, real_B, batch["random"])
        losses |= self._discriminator_steps(batch["rounds"], (real_A, real_B), (fake_A, fake_B))
        step = ops.cast(self.g_optimizer.iterations, "float32")
        decay = ops.minimum(self.recipe.optimizer.ema_decay, (1 + step) / (10 + step))  # EMA warm-up
        for way in self.ways:
            for mean, value in zip(self._trained(way.average), self._trained(way.G), strict=True):
                mean.assign(value + decay * (mean - value))
        return losses

    def _discriminator_steps(self, rounds, real, fake):
        """{name: mean loss}. On batches of their own if there are any, else on those of the generators."""
        (real_A, real_B), (fake_A, fake_B) = real, fake
        if "faces" not in rounds[0]:
            random = rounds[0]["random"]
            fake_A, fake_B = self.pool_A.swap(fake_A, random["pool_A"]), self.pool_B.swap(fake_B, random["pool_B"])
            return self._discriminator_step(real_A, real_B, fake_A, fake_B, random)
        self.pool_A.push(fake_A)
        self.pool_B.push(fake_B)
        losses = [self._discriminator_round(*one["faces"], one["random"]) for one in rounds]
        return {name: sum(each[name] for each in losses) / len(losses) for name in losses[0]}

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

        Returns (total, (fake A, fake B, {name: loss})). A loss is called "cycle_AB": its term and its way. A term
        without weight is left out.
        """
        AB, BA = self.ways
        weights = {term: weight for term, weight in self.recipe.weights(self.stage).items() if weight}
        to_B, to_A = self._translate(AB, real_A, real_B, random), self._translate(BA, real_B, real_A, random)
        terms = {term: (loss(to_B), loss(to_A)) for term, loss in self.terms.items() if term in weights}
        total = sum(weight * (terms[term][0] + terms[term][1]) for term, weight in weights.items())
        losses = {f"{term}_{way.name}": value for term, values in terms.items()
                  for way, value in zip(self.ways, values, strict=True)}
        return total, (to_A.fakes, to_B.fakes, losses)

    def _translate(self, way, source, target, random):
        """The Translation of one way: all that G makes for the terms, in one call."""
        weights = self.recipe.weights(self.stage)
        seen, how = {"fake": source.images}, None
        if weights["identity"]:
            seen["identity"] = target.images
        if weights["consistency"]:
            how = disturbance(random[f"disturb_{way.name}"], random[f"grain_{way.name}"])
            seen["disturbed"] = disturb(source.images, how)
        ages = (target if way.name == "AB" else source).ages
        made = ops.split(_translate(way.G, ops.concatenate(list(seen.values())), ages), len(seen))
        return Translation(way, source.images, target.images, source.labels, ages, dict(zip(seen, made, strict=True)),
                           how, random)

    # The terms of one way: x is translated, y is what it becomes like. A new one is a method here, its name in `terms`
    # and a weight in recipe.Loss. Random numbers that it needs stand in `random_shapes`.

    @property
    def terms(self):
        """{term: its loss, a function of a Translation}."""
        return {"cycle": self._cycle, "identity": self._identity, "consistency": self._consistency,
                "colour": self._colour, "label": self._label, "adversarial": self._adversarial}

    def _cycle(self, t):
        """|| F(G(x)) - x ||, L1 (paper, eq. 2). Its gradient goes through both generators."""
        return mean_absolute(_translate(t.way.F, t.made["fake"], t.ages), t.x)

    def _identity(self, t):
        """|| G(y) - y ||, L1 (paper, section 5.2)."""
        return mean_absolute(t.made["identity"], t.y)

    def _consistency(self, t):
        """|| G(T(x)) - T(G(x)) ||, T degrades a face. The translation of the clean face is the teacher."""
        return mean_absolute(t.made["disturbed"], disturb(ops.stop_gradient(t.made["fake"]), t.how))

    def _colour(self, t):
        return colour_change(t.x, t.made["fake"])

    def _label(self, t):
        return self._label_change(t.x, t.made["fake"], t.random.get(f"label_{t.way.name}"))

    def _adversarial(self, t):
        """(D(G(x)) - 1)^2 (paper, section 4)."""
        return least_squares(self._score(t.way.D, t.fakes, t.random.get(f"score_{t.way.name}")), 1.0)

    # Training of the discriminators

    def _discriminator_round(self, real_A, real_B, random):
        """One discriminator step on its own batch. Negatives: from the pool, and real images of the other domain."""
        fake_A, fake_B = (pool.sample(random[name][:, 0]) for pool, name in ((self.pool_A, "pool_A"),
                                                                             (self.pool_B, "pool_B")))
        # Which places get a real image: evenly spread.
        share = self.recipe.adversary.real_negatives
        borrows = [int((i + 1) * share) > int(i * share) for i in range(real_A.images.shape[0])]
        negative_A, negative_B = _real_negatives(real_A, real_B, borrows)
        return self._discriminator_step(real_A, real_B, choose(ops.array(borrows), negative_A, fake_A),
                                        choose(ops.array(borrows), negative_B, fake_B), random)

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
        return label_change(*(self.classifier(self._augment(x, random), training=True) for x in (before, after)))

    # Warm start: the discriminators learn the two real domains, the classifier its labels

    def _warm_step(self, batch):
        """{name: mean loss} of one step: own domain -> 1, the other one -> 0."""
        self._set_learning_rate(batch["learning_rate"])
        real_A, real_B = batch["faces"]
        negatives = _real_negatives(real_A, real_B, [True] * real_A.images.shape[0])
        return self._discriminator_step(real_A, real_B, *negatives, batch["rounds"][0]["random"])

    # Finishing: the moving averages learn to reproduce their own output without spots on foreheads

    def begin_finish(self):
        """Copy the moving averages into the generators, which become their teachers."""
        for way in self.ways:
            _assign(way.G.variables, way.average.variables)

    def _finish_step(self, batch):
        """{name: mean loss} of one step: self-distillation (Furlanello et al., ICML 2018) with a penalty on spots."""
        self._set_learning_rate(batch["learning_rate"])
        sources, ages = [faces.images for faces in batch["faces"]], batch["faces"][1].ages
        taught = [_stronger(x, _translate(way.G, x, ages, training=False), STRENGTHS[way.name])
                  for way, x in zip(self.ways, sources, strict=True)]

        def loss():
            total, losses = 0.0, {}
            for way, x, wanted in zip(self.ways, sources, taught, strict=True):
                fake = _translate(way.average, x, ages)
                teacher, spot = mean_absolute(fake, wanted), spots_drawn(x, fake)
                total += LAMBDA_TEACHER * teacher + LAMBDA_SPOT * spot
                losses |= {f"teacher_{way.name}": teacher, f"spot_{way.name}": spot}
            return total, losses

        losses, gradient = self.engine.minimise(loss, self.finish_variables, self.finish_optimizer)
        return losses | {"finish_gradient": gradient}

    # What the discriminators and the classifier see. random: (n, 4) for `augment`, or None without augmentation

    def _score(self, discriminator, faces, random):
        images = self._augment(faces.images, random)
        labels = [] if self.recipe.discriminator.labels == "none" else [faces.labels]
        ages = [] if faces.ages is None else [faces.ages]
        return discriminator([images, *labels, *ages] if labels or ages else images, training=True)

    def _augment(self, images, random):
        return images if random is None else augment(images, random, self.recipe.adversary.augment_shift)


def _translate(generator, images, ages, training=True):
    return generator(models.told(generator, images, ages), training=training)


def _real_negatives(real_A, real_B, used):
    """(of d_A, of d_B): real faces as negatives, LabelledFaces. used: booleans, in which places they will be seen.

    Old faces for d_A, young ones for d_B. If d_B is told ages, it sees young faces that are told to be old and, in
    every second of the used places, an old face that is told the age of another one, if that is at least WRONG years
    off: so it learns what the age says, as matching-aware discriminators do (Reed et al., ICML 2016, section 4.2).
    """
    if real_B.ages is None:
        return real_B, real_A
    others = ops.roll(real_B.ages, 1, axis=0)
    wrong = ops.abs(others - real_B.ages)[:, 0] >= WRONG
    second = ops.array([mine and count % 2 == 0 for mine, count in zip(used, itertools.accumulate(used), strict=True)])
    return real_B.told(None), choose(wrong & second, real_B.told(others), real_A.told(real_B.ages))


def _stronger(images, translated, strength):
    """`images` with `strength` times the change that made them `translated`."""
    return ops.clip(images + strength * (translated - images), -1, 1)


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(ops.convert_to_numpy(value))  # a copy: on JAX two variables must not share a value
