"""Run an exported generator on crops of faces, with ONNX Runtime: no TensorFlow is imported.

    older = Translator()(crops)        crops, older: uint8 RGB (N, size, size, 3)
"""

import copy
import os
from pathlib import Path

import numpy as np

from ageing.errors import UserError, kind_of
from ageing.faces.direction import USUAL, Direction
from ageing.pixels import to_floats, to_pixels
from ageing.project import PROJECT

BATCH = 8  # faces at once; more is not faster and takes more memory


def load(folder, directions=Direction):
    """{direction: Translator} of the generators in `folder`. Raises UserError as Translator does."""
    return {direction: Translator(Path(folder, direction.generator)) for direction in directions}


class Translator:
    """A generator that `train.py --export` wrote: float32 (N, H, W, 3) in [-1, 1] to the same shape and range.

    size: side in pixels of the faces that it was trained on. multiple: height and width must be multiples of it.
    title: the domain that it makes, for example "50s". threads: 0 uses all processors. ages: the (youngest, oldest)
    age in years that it can be told, None if it makes one domain. age: what it is told, see `told`.
    mirror: average the outputs for a face and its mirror image, in twice the time (self-ensemble; Timofte et al. 2016,
    "Seven ways to improve example-based single image super resolution"). Lines that appear in only one of the two
    outputs are halved. The mirror image is also shifted by one pixel: a pattern with a period of two pixels that is
    bound to the grid, as strided convolutions make it, cancels.
    Raises UserError if the file is missing or is not such a generator.
    """

    def __init__(self, path=PROJECT / "saved_models/g_AB.onnx", threads=0, mirror=True):
        from ageing.onnx_session import open_session

        self.path = path = Path(path)
        self.mirror = mirror
        if kind_of(path) != "file":
            known = ", ".join(sorted(str(p) for p in path.parent.glob("*.onnx"))) or "none"
            raise UserError(f"{path}: no such file; generators there: {known}. Export one with train.py --export")
        try:
            self.session = open_session(os.fspath(path), threads)
            self.image, *told = (one.name for one in self.session.get_inputs())
            metadata = self.session.get_modelmeta().custom_metadata_map
            self.size, self.title = int(metadata.get("size", 128)), metadata.get("makes", "")
            self.multiple = int(metadata.get("multiple", 4))
            self.ages = tuple(map(float, metadata["ages"].split("-"))) if told else None
            self.age = USUAL if told else None
            self._run(np.zeros((1, 4 * self.multiple, 5 * self.multiple, 3), np.float32))  # must take any size
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            raise UserError(f"{path}: not a generator that train.py exported ({' '.join(str(error).split())[:100]})"
                            ) from error

    def told(self, age):
        """The same generator, told `age` in years. Raises UserError if it cannot make that."""
        if not self.ages:
            raise UserError(f"age {age:g}: {self.path} makes only {self.title or 'one domain'}; leave the age out or "
                            "name other weights: train.py makes them with several domains in data.domain_B")
        youngest, oldest = self.ages
        if not youngest - 5 <= age <= oldest + 5:   # the decades reach so far around their middles
            raise UserError(f"age {age:g}: {self.path} makes {youngest:g} to {oldest:g} years only; name other weights")
        other = copy.copy(self)
        other.age = age
        return other

    def __call__(self, faces):
        """uint8 RGB (N, H, W, 3), H and W multiples of `multiple` -> the translated faces, uint8 of the same shape."""
        return to_pixels(self._run(to_floats(faces)))

    def change(self, faces):
        """Output minus input for uint8 RGB (N, H, W, 3): float32 of the same shape in grey levels, not rounded."""
        images = to_floats(faces)
        return (self._run(images) - images) * 127.5

    def _run(self, images):
        if not self.mirror:
            return self._run_network(images)
        moved = np.roll(images[:, :, ::-1], 1, axis=1)
        straight, moved = np.split(self._run_network(np.concatenate([images, moved])), 2)
        return (straight + np.roll(moved, -1, axis=1)[:, :, ::-1]) / 2

    def _run_network(self, images):
        batches = [self._run_batch(images[i:i + BATCH]) for i in range(0, len(images), BATCH)]
        out = np.concatenate(batches) if batches else np.empty_like(images)
        if out.shape != images.shape:
            raise ValueError(f"its output is {out.shape} for an input of {images.shape}")
        return out

    def _run_batch(self, images):
        told = {} if self.age is None else {"age": np.full((len(images), 1), self.age, np.float32)}
        return self.session.run(None, {self.image: images} | told)[0]
