"""The pool of translated faces from which the discriminators get negatives."""

import keras
import numpy as np
from keras import ops

from ageing.pixels import scaled, unscaled
from ageing.utkface import LABELS
from data_loader import LabelledFaces


def choose(which, faces, others):
    """LabelledFaces: `faces` where the booleans `which` (n,) are true, else `others`."""
    def chosen(one, other):
        return ops.where(ops.reshape(which, (-1, *[1] * (len(one.shape) - 1))), one, other)

    return LabelledFaces(*(None if one is None else chosen(one, other)
                           for one, other in zip(faces, others, strict=True)))


class ImagePool:
    """The last translated images, with the labels of their sources and the ages told, so that a discriminator does not
    forget.

    Shrivastava et al. 2017; CycleGAN, section 4. size: how many; 0 passes faces straight through. told: whether faces
    have ages. Images are stored as 8-bit pixels, as those of real faces are.
    """

    def __init__(self, size, image_size, told=False):
        self.size = size
        self.faces = LabelledFaces(_variable((max(size, 1), image_size, image_size, 3), "uint8"),
                                   _variable((max(size, 1), LABELS), "float32"),
                                   _variable((max(size, 1), 1), "float32") if told else None)
        # swap: images in the pool; push: images ever put in. TensorFlow keeps int32 off the GPU, where XLA needs it.
        self.count = _variable((), "int")

    def swap(self, faces, uniform):
        """The paper's pool. While it fills, faces pass. Then half of them are kept and older ones are returned instead.

        faces: LabelledFaces, n of them. uniform: (n, 2) in [0, 1). Returns n LabelledFaces.
        """
        if self.size == 0:
            return faces
        n = faces.images.shape[0]
        next_slot = self._counted() + ops.arange(n)
        filling = next_slot < self.size
        keep = filling | (uniform[:, 1] < 0.5)
        slot = ops.where(filling, next_slot, ops.cast(uniform[:, 0] * self.size, "int32"))
        older = self._gather(slot)
        # For each slot, the index of its next content in [the pool, the new faces].
        slots = content = ops.arange(self.size)
        for i in range(n):  # in order: two faces may want one slot, and the later one gets it
            content = ops.where((slots == slot[i]) & keep[i], self.size + i, content)
        for stored, new in self._pairs(faces):
            stored.assign(ops.take(ops.concatenate([stored, new], 0), content, axis=0))
        self.count.assign(ops.minimum(self.count + n, self.size))
        return choose(keep & ~filling, older, faces)

    def push(self, faces):
        """Put in `faces` (LabelledFaces), in place of the oldest ones."""
        n = faces.images.shape[0]
        slot = (self._counted() + ops.arange(n)) % self.size
        for stored, new in self._pairs(faces):
            stored.assign(ops.scatter_update(stored, slot[:, None], new))
        self.count.assign_add(n)

    def sample(self, uniform):
        """n LabelledFaces at random, with replacement. uniform: (n,) in [0, 1)."""
        filled = ops.cast(ops.minimum(self._counted(), self.size), "float32")
        return self._gather(ops.cast(uniform * filled, "int32"))

    def _counted(self):
        return ops.cast(self.count, "int32")

    def _gather(self, slot):
        found = LabelledFaces(*(None if stored is None else ops.take(stored, slot, axis=0) for stored in self.faces))
        return found._replace(images=scaled(ops.cast(found.images, "float32")))

    def _pairs(self, faces):
        """[(variable, what of `faces` it stores)]"""
        pixels = ops.clip(ops.round(unscaled(faces.images)), 0, 255)
        new = faces._replace(images=ops.cast(pixels, "uint8"))
        return [pair for pair in zip(self.faces, new, strict=True) if pair[0] is not None]

    @property
    def variables(self):
        return [stored for stored in self.faces if stored is not None] + [self.count]


def _variable(shape, dtype):
    return keras.Variable(np.zeros(shape, dtype), dtype=dtype, trainable=False)
