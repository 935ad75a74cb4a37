"""Run an exported generator on crops of faces, with ONNX Runtime: no TensorFlow is imported.

    older = Translator("saved_models/g_AB.onnx")(crops)        crops, older: uint8 RGB (N, size, size, 3)
"""

import os
from pathlib import Path

import numpy as np

from files import UserError
from pictures import to_floats, to_pixels

BATCH = 8  # faces at once: more is no faster and takes more memory


class Translator:
    """A generator as `train.py --export` writes it: float32 (N, H, W, 3) in [-1, 1] to the same.

    size: side in pixels of the faces it was trained on; multiple: of which height and width must be; title: the domain
    it makes, for example "50s".
    threads: 0 takes all processors. mirror: translate a face and its mirror image and take the mean of both, in twice
    the time (self-ensemble; Timofte et al. 2016, "Seven ways to improve example-based single image super resolution"):
    a line that the generator draws into one of them only is halved, what it sees in both stays. The mirror image is
    moved by a pixel too, so that waves of two pixels which are bound to the grid (strided convolutions) cancel.
    Raises UserError if the file is missing or no such generator.
    """

    def __init__(self, path, threads=0, mirror=True):
        import onnxruntime

        path, self.mirror = Path(path), mirror
        if not path.is_file():
            known = ", ".join(sorted(str(p) for p in path.parent.glob("*.onnx"))) or "none"
            raise UserError(f"{path}: no such file; generators there: {known}. Export one with train.py --export")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self.session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
            self.input, = self.session.get_inputs()
            told = self.session.get_modelmeta().custom_metadata_map
            self.size, self.title = int(told.get("size", 128)), told.get("makes", "")
            self.multiple = int(told.get("multiple", 4))
            self._run(np.zeros((1, 4 * self.multiple, 5 * self.multiple, 3), np.float32))  # of any size
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            raise UserError(f"{path}: not a generator that train.py exported ({' '.join(str(error).split())[:100]})"
                            ) from error

    def __call__(self, faces):
        """uint8 RGB (N, H, W, 3), H and W multiples of `multiple` -> the translated faces, uint8 of the same shape."""
        return to_pixels(self._run(to_floats(faces)))

    def change(self, faces):
        """What translation does to uint8 RGB (N, H, W, 3): output - input, float32 in grey levels, not rounded."""
        images = to_floats(faces)
        return (self._run(images) - images) * 127.5

    def _run(self, images):
        if not self.mirror:
            return self._run_network(images)
        moved = np.roll(images[:, :, ::-1], 1, axis=1)
        straight, moved = np.split(self._run_network(np.concatenate([images, moved])), 2)
        return (straight + np.roll(moved, -1, axis=1)[:, :, ::-1]) / 2

    def _run_network(self, images):
        parts = [self.session.run(None, {self.input.name: images[i:i + BATCH]})[0]
                 for i in range(0, len(images), BATCH)]
        out = np.concatenate(parts) if parts else np.empty_like(images)
        if out.shape != images.shape:
            raise ValueError(f"it makes {out.shape} of {images.shape}")
        return out
