"""How a training step is computed: compiled, on one or several devices, with the same random numbers everywhere.

Losses are means over the global batch and random numbers are drawn for the global batch from (seed, step). So any
number of replicas computes what one device computes on the same global batch.
"""

import tensorflow as tf


class Engine:
    """Runs steps under the current tf.distribute strategy. seed: decides all random numbers of the steps."""

    def __init__(self, seed, jit_compile=False):
        self.seed, self.jit_compile = seed, jit_compile
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False,
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def compile(self, function):
        return tf.function(function, jit_compile=self.jit_compile, autograph=False)

    def run(self, function, *arguments):
        """`function` in every replica; it returns {name: scalar}, of which the mean over replicas is returned."""
        values = self.strategy.run(function, args=arguments)
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in values.items()}

    def minimise(self, function, variables, optimizer):
        """One optimizer step on `variables`. function() returns (loss, anything). Returns (anything, gradient norm)."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            loss, more = function()
            loss = loss / self.replicas  # apply() adds up over replicas
        gradients = tape.gradient(loss, [v.value for v in variables])
        optimizer.apply(gradients, variables)
        return more, tf.linalg.global_norm(gradients)

    def average(self, averages, values, decay):
        """average <- value + decay * (average - value), for each pair of variables."""
        for average, value in zip(averages, values, strict=True):
            self.strategy.extended.update(
                average.value, lambda a, w, decay: a.assign(w + decay * (a - w)), args=(value.value, decay))

    # In replica context

    def uniform(self, shape, purpose):
        """Uniform numbers in [0, 1) for the global batch, a function of (seed, step, purpose). purpose: an integer."""
        key = tf.stack([tf.constant(self.seed * 10_000 + purpose, tf.int64), tf.identity(self.step)])
        return tf.random.stateless_uniform(shape, key)

    def gather(self, values):
        """The values of all replicas, joined along axis 0: of each tensor in a structure."""
        if self.replicas == 1:
            return values
        context = tf.distribute.get_replica_context()
        return tf.nest.map_structure(
            lambda x: tf.ensure_shape(context.all_gather(x, axis=0), [x.shape[0] * self.replicas, *x.shape[1:]]),
            values)

    def part(self, values):
        """This replica's part of values of the global batch: of each tensor in a structure."""
        if self.replicas == 1:
            return values
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group

        def part(x):
            n = x.shape[0] // self.replicas
            return tf.ensure_shape(x[replica * n:(replica + 1) * n], [n, *x.shape[1:]])

        return tf.nest.map_structure(part, values)
