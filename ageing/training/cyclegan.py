"""CycleGAN: losses, the steps of training, finishing, image pool, moving averages, checkpoints.

Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017 (arXiv
1703.10593; "eq." below). A = young, B = old; g_AB ages, g_BA rejuvenates; d_A and d_B judge.

Steps run unchanged under any tf.distribute strategy: losses are means over the global batch, all random
numbers are drawn for the global batch from (seed, step), and the pool is the same on every replica. So R replicas
compute what one device computes on the same global batch.
"""

import tensorflow as tf
from keras import optimizers

import models
from augmentation import DISTURBED, augment, disturb, disturbance
from data_loader import FRAME, GENDERS, LABELS, RACES, Faces, around


def least_squares(scores, target):
    """Least-squares GAN loss, mean over patches (Mao et al. 2017; section 4 of the paper).

    scores: a tensor, or one for each scale: their losses are added up (pix2pixHD, eq. 3).
    """
    return tf.add_n([tf.reduce_mean(tf.square(one - target)) for one in tf.nest.flatten(scores)])


def reconstruction(kind):
    """The error of the cycle and identity terms: "absolute" (eq. 2, L1) or "squared" (L2), mean over all values."""
    power = {"absolute": tf.abs, "squared": tf.square}[kind]
    return lambda x, y: tf.reduce_mean(power(x - y))


def colour_change(x, y):
    """Mean absolute difference of the mean colours of the middles of (N, H, W, 3) `x` and `y`, each face by itself.

    The middle half of a crop that is framed as UTKFace is skin. Only its mean counts: wrinkles, spots and shadows stay
    free, a face that turns darker or redder as a whole does not.
    """
    height, width = x.shape[1:3]
    middle = (y - x)[:, height // 4:height - height // 4, width // 4:width - width // 4]
    return tf.reduce_mean(tf.abs(tf.reduce_mean(middle, axis=(1, 2))))


def spots_drawn(x, y):
    """How much more spots on the foreheads of (N, H, W, 3) `y` stand out than those of `x` in the same places, mean.

    A spot is darker than the skin on all eight sides, a wrinkle only across itself. Darker in green, of which blood and
    melanin take most. Faces framed as UTKFace; `data_loader.forehead_spot` is another measure of the same.
    """
    return tf.reduce_mean(tf.nn.relu(_spots(y) - tf.nn.relu(_spots(x))))


def _spots(images):
    """How much darker every place of the foreheads is than all that is around it, 3 or 5 pixels away: (N, h, w)."""
    smaller = max(images.shape[1] // FRAME, 1)
    green = tf.nn.avg_pool2d(images[..., 1:2], smaller, smaller, "VALID")
    if green.shape[1:3] != (FRAME, FRAME):
        green = tf.image.resize(green, (FRAME, FRAME))
    green = green[..., 0]
    narrow, wide = (tf.reduce_min([tf.roll(green, by, (1, 2)) for by in around(radius)], axis=0) for radius in (3, 5))
    # As near to the top as the wide circle may be: a spot shall not move to where data_loader.FOREHEAD does not look.
    # Not down to the brows: the old do have more there, and punished there too, ageing lost a seventh of its years.
    return (tf.maximum(narrow, wide) - green)[:, 5:15, 26:38]


def log_probabilities(scores):
    """(N, LABELS) scores of a classifier -> log-probabilities, of the genders among themselves, of the groups too."""
    return tf.concat([tf.nn.log_softmax(part) for part in tf.split(scores, [len(GENDERS), len(RACES)], axis=1)], 1)


def label_loss(scores, labels):
    """Cross-entropy of a classifier's (N, LABELS) scores, gender and group added up; labels of zeros cost nothing."""
    return -tf.reduce_mean(tf.reduce_sum(labels * log_probabilities(scores), axis=1))


def label_change(before, after):
    """Kullback-Leibler divergence from what a classifier said before to what it says after, both (N, LABELS) scores.

    0 if it says the same, right or wrong: a face shall stay as it was, not become more typical of its label.
    """
    before, after = log_probabilities(before), log_probabilities(after)
    return tf.reduce_mean(tf.reduce_sum(tf.exp(before) * (before - after), axis=1))


def _round(batch, k):
    """The k-th of the rounds in (A, B), each Faces (rounds, n, ...)."""
    return tf.nest.map_structure(lambda x: x[k], batch)


def _together(network, images):
    """{name: what `network` makes of it} of {name: (N, H, W, 3)}, in one call."""
    return dict(zip(images, tf.split(network(tf.concat(list(images.values()), 0), training=True), len(images)),
                    strict=True))


def choose(which, faces, others):
    """Faces: `faces` where `which` (n,) is true, else `others`."""
    return Faces(tf.where(which[:, None, None, None], faces.images, others.images),
                 tf.where(which[:, None], faces.labels, others.labels))


class ImagePool:
    """The last translated images and the labels of the faces they were made of, so that a discriminator does
    not forget (Shrivastava et al. 2017; paper, section 4).

    size 0 hands faces straight through. Called in replica context with the images of all replicas; every replica
    does the same, and the first one's writing counts.
    """

    def __init__(self, size, image_size):
        self.size = size
        shared = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.images = tf.Variable(tf.zeros([max(size, 1), image_size, image_size, 3]), **shared)
        self.labels = tf.Variable(tf.zeros([max(size, 1), LABELS]), **shared)
        self.count = tf.Variable(0, dtype=tf.int32, **shared)  # images ever put in by `push` or while filling

    def swap(self, faces, uniform):
        """The paper's pool: while it fills, faces pass; then half of them are kept and an older one is handed out.

        faces: Faces, n of them. uniform: (n, 2) in [0, 1).
        """
        if self.size == 0:
            return faces
        n = faces.images.shape[0]
        filling = self.count + tf.range(n) < self.size
        slot = tf.cast(uniform[:, 0] * self.size, tf.int32)
        keep = filling | (uniform[:, 1] < 0.5)
        slot = tf.where(filling, self.count + tf.range(n), slot)
        older = self._gather(slot)
        # Where each slot's next content comes from: the pool itself, and behind it the new faces.
        origin = tf.range(self.size)
        for i in range(n):  # one after the other: two faces may want one slot, and the later one gets it
            origin = tf.tensor_scatter_nd_update(
                origin, [[slot[i]]], [tf.where(keep[i], self.size + i, origin[slot[i]])])
        for stored, new in zip((self.images, self.labels), faces, strict=True):
            stored.assign(tf.gather(tf.concat([stored, new], 0), origin))
        self.count.assign(tf.minimum(self.count + n, self.size))
        return choose(keep & ~filling, older, faces)

    def push(self, faces):
        """Put in `faces`, over the oldest ones."""
        n = faces.images.shape[0]
        slot = (self.count + tf.range(n)) % self.size
        for stored, new in zip((self.images, self.labels), faces, strict=True):
            stored.assign(tf.tensor_scatter_nd_update(stored.read_value(), slot[:, None], new))
        self.count.assign_add(n)

    def sample(self, uniform):
        """Faces at random: uniform (n,) in [0, 1) -> n Faces."""
        filled = tf.cast(tf.minimum(self.count, self.size), tf.float32)
        return self._gather(tf.cast(uniform * filled, tf.int32))

    def _gather(self, slot):
        return Faces(tf.gather(self.images, slot), tf.gather(self.labels, slot))


def build_generator(recipe, growths, name, precision="float32"):
    """The generator of `recipe` after it has grown so many times."""
    g = recipe.generator
    return models.build_generator(g.filters, g.blocks, g.norm, g.padding, g.upsampling, g.output, g.init, growths,
                                  precision, name)


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class CycleGAN:
    """The four networks, the classifier if there is one, their optimizers, moving averages and pools at one image size.

    recipe: recipe.Recipe; stage: recipe.Stage; precision: "float32" or "mixed_bfloat16". Build it under
    `strategy.scope()`. `train_step`, `warm_step` and `finish_step` are the tf.functions of training.
    """

    def __init__(self, recipe, stage, precision="float32", jit_compile=False):
        self.recipe, self.stage = recipe, stage
        self.growths = recipe.growths(stage.size)
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.error = reconstruction(recipe.loss.error)
        self.g_AB, self.g_BA, self.ema_AB, self.ema_BA = (
            build_generator(recipe, self.growths, name, precision) for name in ("g_AB", "g_BA", "ema_AB", "ema_BA"))
        d = recipe.discriminator
        self.d_A, self.d_B = (
            models.build_discriminator(d.filters, d.norm, d.order, d.last_stride, d.init,
                                       LABELS if d.labels == "projection" else 0, self.growths + 1, precision, name)
            for name in ("d_A", "d_B"))
        # Sees gender and group of real faces, and so what translation does to them.
        self.classifier = models.build_classifier(LABELS, stage.size, recipe.stages[0].size, precision=precision,
                                                  name="classifier") if recipe.loss.lambda_label else None
        # What is within an enhancer has been learned in the stages before, and stays.
        self.g_variables = models.outermost(self.g_AB) + models.outermost(self.g_BA)
        self.d_variables = self.d_A.trainable_variables + self.d_B.trainable_variables
        if self.classifier:
            self.d_variables += self.classifier.trainable_variables
        self.g_optimizer, self.d_optimizer = (
            optimizers.Adam(stage.learning_rate, beta_1=recipe.optimizer.beta1) for _ in range(2))
        # Finishing is of the whole moving averages, enhancers and what is within.
        self.finish_variables = self.ema_AB.trainable_variables + self.ema_BA.trainable_variables
        self.finish_optimizer = None
        if recipe.finish.steps and stage == recipe.stages[-1]:
            self.finish_optimizer = optimizers.Adam(recipe.finish.learning_rate, beta_1=recipe.optimizer.beta1)
            self.finish_optimizer.build(self.finish_variables)
        self.g_optimizer.build(self.g_variables)  # before the first step: unbuilt state is not saved
        self.d_optimizer.build(self.d_variables)
        self.pool_A, self.pool_B = (ImagePool(recipe.adversary.pool_size, stage.size) for _ in range(2))
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.copy_to_average()
        self.train_step = tf.function(self._train_step, jit_compile=jit_compile, autograph=False)
        self.warm_step = tf.function(self._warm_step, jit_compile=jit_compile, autograph=False)
        self.finish_step = tf.function(self._finish_step, jit_compile=jit_compile, autograph=False)

    def copy_to_average(self):
        for average, network in ((self.ema_AB, self.g_AB), (self.ema_BA, self.g_BA)):
            _assign(average.variables, network.variables)

    def state(self):
        """All that training needs to go on exactly, for tf.train.Checkpoint."""
        some = {name: getattr(self, name) for name in ("classifier", "finish_optimizer") if getattr(self, name)}
        return {**self.networks(), **some, "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer,
                "step": self.step, "pool_A": self.pool_A.images, "pool_B": self.pool_B.images,
                "labels_A": self.pool_A.labels, "labels_B": self.pool_B.labels,
                "count_A": self.pool_A.count, "count_B": self.pool_B.count}

    def continue_from(self, other):
        """Take over what `other`, the CycleGAN of the stage before, has learned. The pools hold another size."""
        self.step.assign(other.step)
        pairs = self._grown_from(other) if self.growths > other.growths else self._same_as(other)
        if self.classifier:
            pairs.append((self.classifier.variables, other.classifier.variables))
        for mine, theirs in pairs:
            _assign(mine, theirs)

    def _same_as(self, other):
        """Networks and optimizers: pairs of lists of variables."""
        pairs = [(mine, other.networks()[name]) for name, mine in self.networks().items()]
        pairs += [(self.g_optimizer, other.g_optimizer), (self.d_optimizer, other.d_optimizer)]
        return [(mine.variables, theirs.variables) for mine, theirs in pairs]

    def _grown_from(self, other):
        """The moving averages of `other` become what is within the new enhancers. Each PatchGAN goes on judging the
        size that it knows, and the new one, for the full size, begins as a copy of the one below it.

        The optimizers begin anew; the generators' learns the enhancers only. (All of a generator learning at once put
        ripples on every cheek within twenty steps.)
        """
        pairs = [(mine.get_layer("coarse"), average) for mine, average in (
            (self.g_AB, other.ema_AB), (self.ema_AB, other.ema_AB), (self.g_BA, other.ema_BA),
            (self.ema_BA, other.ema_BA))]
        for mine, theirs in ((self.d_A, other.d_A), (self.d_B, other.d_B)):
            scales = models.parts(theirs)
            pairs += zip(models.parts(mine), [scales[0], *scales], strict=True)
        return [(mine.variables, theirs.variables) for mine, theirs in pairs]

    def networks(self):
        """The networks and averages that another recipe may begin with, by name."""
        return {name: getattr(self, name) for name in ("g_AB", "g_BA", "d_A", "d_B", "ema_AB", "ema_BA")}

    def set_learning_rate(self, value):
        for optimizer in filter(None, (self.g_optimizer, self.d_optimizer, self.finish_optimizer)):
            optimizer.learning_rate = value

    # One generator step and the discriminators' steps that belong to it

    def _train_step(self, batch, d_batch):
        """{name: mean loss} of one step.

        batch: (A, B), each Faces (1, n, ...). d_batch: (A, B), each Faces (steps, m, ...), for the discriminators;
        None: they see the generators' batch.
        """
        losses = self._mean(self.strategy.run(self._replica_step, args=(batch, d_batch)))
        step = tf.cast(self.g_optimizer.iterations.value, tf.float32)
        # The start is forgotten at once: an average over the last few steps as long as there are few.
        decay = tf.minimum(self.recipe.optimizer.ema_decay, (1 + step) / (10 + step))
        for average, network in ((self.ema_AB, self.g_AB), (self.ema_BA, self.g_BA)):
            for a, w in zip(models.outermost(average), models.outermost(network), strict=True):
                self.strategy.extended.update(
                    a.value, lambda a, w, decay: a.assign(w + decay * (a - w)), args=(w.value, decay))
        self.step.assign_add(1)
        return losses

    def _replica_step(self, batch, d_batch):
        real_A, real_B = _round(batch, 0)
        fake_A, fake_B, losses = self._generator_step(real_A, real_B)
        every_A, every_B = self._gather(fake_A), self._gather(fake_B)
        if d_batch is None:
            whole = real_A.images.shape[0] * self.replicas
            fake_A = self._mine(self.pool_A.swap(every_A, self._uniform([whole, 2], 0)))
            fake_B = self._mine(self.pool_B.swap(every_B, self._uniform([whole, 2], 1)))
            return losses | self._discriminator_step(real_A, real_B, fake_A, fake_B, 0)
        self.pool_A.push(every_A)
        self.pool_B.push(every_B)
        rounds = [self._discriminator_round(*_round(d_batch, k), k) for k in range(self.recipe.adversary.steps)]
        return losses | {name: tf.add_n([r[name] for r in rounds]) / len(rounds) for name in rounds[0]}

    def _generator_step(self, real_A, real_B):
        """Eq. 3 for both generators at once, with the identity term of section 5.2. (fake A, fake B, {name: loss})."""
        weights = self.recipe.loss_of(self.stage)
        (real_A, labels_A), (real_B, labels_B) = real_A, real_B
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in self.g_variables])
            # What each generator is to translate, in one call.
            to_B, to_A = {"translation": real_A}, {"translation": real_B}
            if weights.lambda_identity:
                to_B["identity"], to_A["identity"] = real_B, real_A
            if weights.lambda_consistency:
                how_A, how_B = self._disturbance(real_A, 6), self._disturbance(real_B, 7)
                to_B["disturbed"], to_A["disturbed"] = disturb(real_A, how_A), disturb(real_B, how_B)
            made_B, made_A = _together(self.g_AB, to_B), _together(self.g_BA, to_A)
            fake_B, fake_A = made_B["translation"], made_A["translation"]  # G_AB(A), G_BA(B)
            identity_A = identity_B = consistency_A = consistency_B = tf.constant(0.0)
            if weights.lambda_identity:
                identity_A = self.error(made_A["identity"], real_A)  # || G_BA(A) - A ||
                identity_B = self.error(made_B["identity"], real_B)  # || G_AB(B) - B ||
            if weights.lambda_consistency:
                # || G_AB(T(A)) - T(G_AB(A)) ||, || G_BA(T(B)) - T(G_BA(B)) ||: the undisturbed face is the teacher.
                consistency_A = self.error(made_B["disturbed"], disturb(tf.stop_gradient(fake_B), how_A))
                consistency_B = self.error(made_A["disturbed"], disturb(tf.stop_gradient(fake_A), how_B))
            rec_A = self.g_BA(fake_B, training=True)       # G_BA(G_AB(A))
            rec_B = self.g_AB(fake_A, training=True)       # G_AB(G_BA(B))
            cycle_A = self.error(rec_A, real_A)            # || G_BA(G_AB(A)) - A ||
            cycle_B = self.error(rec_B, real_B)            # || G_AB(G_BA(B)) - B ||
            colour_A = colour_change(real_A, fake_B)
            colour_B = colour_change(real_B, fake_A)
            label_A = self._label_change(real_A, fake_B, 4)
            label_B = self._label_change(real_B, fake_A, 5)
            # (D_B(G_AB(A)) - 1)^2, (D_A(G_BA(B)) - 1)^2: a translated face keeps the labels of the one it was made of.
            adversarial_AB = least_squares(self._judge(self.d_B, Faces(fake_B, labels_A), 2), 1.0)
            adversarial_BA = least_squares(self._judge(self.d_A, Faces(fake_A, labels_B), 3), 1.0)
            # Both cycle terms reach both generators: the gradient of each goes through G_AB and G_BA.
            total = (adversarial_AB + adversarial_BA + weights.lambda_cycle * (cycle_A + cycle_B)
                     + weights.lambda_identity * (identity_A + identity_B)
                     + weights.lambda_consistency * (consistency_A + consistency_B)
                     + weights.lambda_colour * (colour_A + colour_B) + weights.lambda_label * (label_A + label_B))
            loss = total / self.replicas  # apply() adds up over replicas
        gradients = tape.gradient(loss, [v.value for v in self.g_variables])
        self.g_optimizer.apply(gradients, self.g_variables)
        return Faces(fake_A, labels_B), Faces(fake_B, labels_A), {
            "adversarial_AB": adversarial_AB, "adversarial_BA": adversarial_BA, "cycle_A": cycle_A, "cycle_B": cycle_B,
            "identity_A": identity_A, "identity_B": identity_B, "consistency_A": consistency_A,
            "consistency_B": consistency_B, "colour_A": colour_A, "colour_B": colour_B,
            "label_A": label_A, "label_B": label_B,
            "g_gradient": tf.linalg.global_norm(gradients)}

    def _discriminator_round(self, real_A, real_B, k):
        """One discriminator step on its own batch: negatives from the pool and from the other domain's real images."""
        whole = real_A.images.shape[0] * self.replicas
        fake_A = self._mine(self.pool_A.sample(self._uniform([whole], 10 + 10 * k)))
        fake_B = self._mine(self.pool_B.sample(self._uniform([whole], 11 + 10 * k)))
        # Which places of the global batch borrow: spread evenly, so that every replica has its share of them.
        share = self.recipe.adversary.real_negatives
        borrows = self._mine(tf.constant([int((i + 1) * share) > int(i * share) for i in range(whole)]))
        return self._discriminator_step(real_A, real_B, choose(borrows, real_B, fake_A),
                                        choose(borrows, real_A, fake_B), k)

    def _discriminator_step(self, real_A, real_B, negative_A, negative_B, k):
        """Least squares, real -> 1, negative -> 0, halved so that D learns slower than G (section 7.1).

        The classifier learns beside them, from the real faces only (as StarGAN's, Choi et al. 2018, eq. 2).
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in self.d_variables])
            d_A = self._discriminator_loss(self.d_A, real_A, negative_A, 12 + 10 * k)
            d_B = self._discriminator_loss(self.d_B, real_B, negative_B, 14 + 10 * k)
            classifier = self._classifier_loss(real_A, 12 + 10 * k) + self._classifier_loss(real_B, 14 + 10 * k)
            loss = (d_A + d_B + classifier) / self.replicas
        gradients = tape.gradient(loss, [v.value for v in self.d_variables])
        self.d_optimizer.apply(gradients, self.d_variables)
        return {"d_A": d_A, "d_B": d_B, "classifier": classifier, "d_gradient": tf.linalg.global_norm(gradients)}

    def _discriminator_loss(self, discriminator, real, negative, purpose):
        on_real = least_squares(self._judge(discriminator, real, purpose), 1.0)          # (D(real) - 1)^2
        on_negative = least_squares(self._judge(discriminator, negative, purpose + 1), 0.0)  # D(negative)^2
        return (on_real + on_negative) / 2

    def _classifier_loss(self, real, purpose):
        if not self.classifier:
            return tf.constant(0.0)
        return label_loss(self.classifier(self._augment(real.images, purpose), training=True), real.labels)

    def _label_change(self, before, after, purpose):
        """What the classifier sees of the change from images to images, both augmented the same."""
        if not self.classifier:
            return tf.constant(0.0)
        return label_change(*(self.classifier(self._augment(x, purpose), training=True) for x in (before, after)))

    # Warm start: before the first generator step the discriminators learn the real domains, the classifier its labels

    def _warm_step(self, batch):
        """{name: mean loss} of one step: own domain -> 1, the other one -> 0. batch: (A, B), each Faces (1, n, ...)."""
        losses = self._mean(self.strategy.run(self._replica_warm_step, args=(batch,)))
        self.step.assign_add(1)
        return losses

    def _replica_warm_step(self, batch):
        real_A, real_B = _round(batch, 0)
        return self._discriminator_step(real_A, real_B, real_B, real_A, 0)

    # Finishing: after the last generator step the moving averages learn to do what they do, without spots on foreheads

    def begin_finish(self):
        """The moving averages as they are now become their own teachers, in the place of the generators."""
        for network, average in ((self.g_AB, self.ema_AB), (self.g_BA, self.ema_BA)):
            _assign(network.variables, average.variables)

    def _finish_step(self, batch):
        """{name: mean loss} of one step. batch: (A, B), each Faces (1, n, ...)."""
        losses = self._mean(self.strategy.run(self._replica_finish_step, args=(batch,)))
        self.step.assign_add(1)
        return losses

    def _replica_finish_step(self, batch):
        """Self-distillation (Furlanello et al., ICML 2018), with a term on what the pupil shall not learn."""
        settings = self.recipe.finish
        real_A, real_B = (faces.images for faces in _round(batch, 0))
        # Above 1 ageing learns to do more than its teacher: without the spots a face looks younger.
        taught_B = real_A + settings.strength_AB * (self.g_AB(real_A, training=False) - real_A)
        taught_A = self.g_BA(real_B, training=False)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in self.finish_variables])
            fake_B, fake_A = self.ema_AB(real_A, training=True), self.ema_BA(real_B, training=True)
            teacher_A = self.error(fake_B, tf.clip_by_value(taught_B, -1, 1))
            teacher_B = self.error(fake_A, taught_A)
            spot_A, spot_B = spots_drawn(real_A, fake_B), spots_drawn(real_B, fake_A)
            loss = (settings.lambda_teacher * (teacher_A + teacher_B)
                    + settings.lambda_spot * (spot_A + spot_B)) / self.replicas
        gradients = tape.gradient(loss, [v.value for v in self.finish_variables])
        self.finish_optimizer.apply(gradients, self.finish_variables)
        return {"teacher_A": teacher_A, "teacher_B": teacher_B, "spot_A": spot_A, "spot_B": spot_B,
                "finish_gradient": tf.linalg.global_norm(gradients)}

    # The same numbers on any number of replicas

    def _judge(self, discriminator, faces, purpose):
        images = self._augment(faces.images, purpose)
        inputs = images if self.recipe.discriminator.labels == "none" else [images, faces.labels]
        return discriminator(inputs, training=True)

    def _augment(self, images, purpose):
        settings = self.recipe.adversary
        if not settings.augment:
            return images
        uniform = self._mine(self._uniform([images.shape[0] * self.replicas, 4], 100 + purpose))
        return augment(images, uniform, settings.augment_shift)

    def _disturbance(self, images, purpose):
        whole = images.shape[0] * self.replicas
        uniform = self._mine(self._uniform([whole, len(DISTURBED)], 100 + purpose))
        noise = self._mine(self._uniform([whole, *images.shape[1:3], 1], 200 + purpose))
        return disturbance(uniform, noise)

    def _uniform(self, shape, purpose):
        """Uniform numbers for the global batch, a function of (seed, step, purpose)."""
        key = tf.stack([tf.constant(self.recipe.seed * 10_000 + purpose, tf.int64), tf.identity(self.step)])
        return tf.random.stateless_uniform(shape, key)

    def _gather(self, faces):
        """The Faces of all replicas."""
        if self.replicas == 1:
            return faces
        context = tf.distribute.get_replica_context()
        return Faces(*(tf.ensure_shape(context.all_gather(x, axis=0), [x.shape[0] * self.replicas, *x.shape[1:]])
                       for x in faces))

    def _mine(self, values):
        """This replica's part of values for the global batch: of a tensor, or of each tensor in Faces."""
        if self.replicas == 1:
            return values
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group

        def part(x):
            n = x.shape[0] // self.replicas
            return tf.ensure_shape(x[replica * n:(replica + 1) * n], [n, *x.shape[1:]])

        return tf.nest.map_structure(part, values)

    def _mean(self, losses):
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in losses.items()}
