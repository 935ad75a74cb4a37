"""The pool of translated faces from which the discriminators get negatives."""

import tensorflow as tf

from ageing.utkface import LABELS
from data_loader import LabelledFaces


def choose(which, faces, others):
    """LabelledFaces: `faces` where the booleans `which` (n,) are true, else `others`."""
    return LabelledFaces(tf.where(which[:, None, None, None], faces.images, others.images),
                         tf.where(which[:, None], faces.labels, others.labels))


class ImagePool:
    """The last translated images, with the labels of their sources, so that a discriminator does not forget.

    Shrivastava et al. 2017; CycleGAN, section 4. size: how many; 0 passes faces straight through. Call it in replica
    context with the images of all replicas: every replica computes the same, only the first one's update is kept.
    """

    def __init__(self, size, image_size):
        self.size = size
        shared = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.images = tf.Variable(tf.zeros([max(size, 1), image_size, image_size, 3]), **shared)
        self.labels = tf.Variable(tf.zeros([max(size, 1), LABELS]), **shared)
        self.count = tf.Variable(0, dtype=tf.int32, **shared)  # swap: images in the pool; push: images ever put in

    def swap(self, faces, uniform):
        """The paper's pool. While it fills, faces pass. Then half of them are kept and older ones are returned instead.

        faces: LabelledFaces, n of them. uniform: (n, 2) in [0, 1). Returns n LabelledFaces.
        """
        if self.size == 0:
            return faces
        n = faces.images.shape[0]
        filling = self.count + tf.range(n) < self.size
        slot = tf.cast(uniform[:, 0] * self.size, tf.int32)
        keep = filling | (uniform[:, 1] < 0.5)
        slot = tf.where(filling, self.count + tf.range(n), slot)
        older = self._gather(slot)
        # For each slot, the index of its next content in [the pool, the new faces].
        content = tf.range(self.size)
        for i in range(n):  # in order: two faces may want one slot, and the later one gets it
            content = tf.tensor_scatter_nd_update(
                content, [[slot[i]]], [tf.where(keep[i], self.size + i, content[slot[i]])])
        for stored, new in zip((self.images, self.labels), faces, strict=True):
            stored.assign(tf.gather(tf.concat([stored, new], 0), content))
        self.count.assign(tf.minimum(self.count + n, self.size))
        return choose(keep & ~filling, older, faces)

    def push(self, faces):
        """Put in `faces` (LabelledFaces), in place of the oldest ones."""
        n = faces.images.shape[0]
        slot = (self.count + tf.range(n)) % self.size
        for stored, new in zip((self.images, self.labels), faces, strict=True):
            stored.assign(tf.tensor_scatter_nd_update(stored.read_value(), slot[:, None], new))
        self.count.assign_add(n)

    def sample(self, uniform):
        """n LabelledFaces at random, with replacement. uniform: (n,) in [0, 1)."""
        filled = tf.cast(tf.minimum(self.count, self.size), tf.float32)
        return self._gather(tf.cast(uniform * filled, tf.int32))

    def _gather(self, slot):
        return LabelledFaces(tf.gather(self.images, slot), tf.gather(self.labels, slot))
