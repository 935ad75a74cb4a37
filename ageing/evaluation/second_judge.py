"""A second judge of age and gender: the AgeGenderNet of face-api, whose weights stand in saved_models/second_judge/.

Recipes were chosen by the judges in judges.py, and what was chosen by a judge may please that judge only: this one was
first looked at when the shipped weights were made. saved_models/second_judge/README.md tells what it learned from.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from files import UserError, reason

FOLDER = Path(__file__).parent / "saved_models/second_judge"
SIDE = 112                              # what it looks at
MEAN = (122.782, 117.001, 104.298)      # of its training images, RGB
AT_ONCE = 4                             # faces; more leave the processor's cache


class Opinion(NamedTuple):
    """ages (n,) in years; male (n,) booleans."""

    ages: np.ndarray
    male: np.ndarray


class SecondJudge:
    """Raises UserError if the weights are missing or damaged."""

    def __init__(self):
        self.weights = load()

    def read(self, faces, title="judging"):
        """Opinion of uint8 RGB (n, H, W, 3), framed as UTKFace; n at least 1."""
        ages, males = [], []
        for i in tqdm(range(0, len(faces), AT_ONCE), desc=title, leave=False, disable=None):
            few = [Image.fromarray(f).resize((SIDE, SIDE), Image.Resampling.LANCZOS) for f in faces[i:i + AT_ONCE]]
            age, scores = forward(self.weights, np.stack(few).astype(np.float32))
            ages.append(age)
            males.append(scores[:, 0] > scores[:, 1])
        return Opinion(np.concatenate(ages), np.concatenate(males))


def load(folder=FOLDER):
    """{name: float32 array} of the weights that a TensorFlow.js manifest in `folder` describes.

    Raises UserError if they are missing or damaged.
    """
    try:
        manifest = json.loads((folder / "age_gender_model-weights_manifest.json").read_text(encoding="utf-8"))
        return _decode(manifest[0]["weights"], (folder / "age_gender_model.bin").read_bytes())
    except (OSError, ValueError, LookupError, TypeError) as error:
        told = reason(error) if isinstance(error, OSError) else "damaged"
        raise UserError(f"{folder}: the second judge's weights cannot be read ({told}); get them back with "
                        "git checkout saved_models/second_judge") from error


def _decode(entries, data):
    weights, at = {}, 0
    for entry in entries:
        # One byte a weight between the smallest and the largest, but for those that are stored as they are.
        coding = entry.get("quantization", {"dtype": "float32", "scale": 1, "min": 0})
        values = np.frombuffer(data, coding["dtype"], int(np.prod(entry["shape"])), at)
        at += values.nbytes
        weights[entry["name"]] = (values.astype(np.float32) * coding["scale"] + coding["min"]).reshape(entry["shape"])
    if at != len(data):
        raise ValueError(f"{len(data)} bytes instead of {at}")
    return weights


def forward(weights, images):
    """Float32 RGB (n, 112, 112, 3) of 0 to 255 -> ages (n,), scores (n, 2) of male and female."""
    x = (images - np.float32(MEAN)) / 255
    x = _relu(_conv(weights, "entry_flow/conv_in", x))
    x = _reduction(weights, "entry_flow/reduction_block_0", x, x)
    x = _reduction(weights, "entry_flow/reduction_block_1", x, _relu(x))
    for block in (0, 1):
        y = x
        for k in (0, 1, 2):
            y = _separable(weights, f"middle_flow/main_block_{block}/separable_conv{k}", _relu(y))
        x = x + y
    x = _reduction(weights, "exit_flow/reduction_block", x, _relu(x))
    x = _relu(_separable(weights, "exit_flow/separable_conv", x)).mean((1, 2))
    age, gender = (x @ weights[f"fc/{name}/weights"] + weights[f"fc/{name}/bias"] for name in ("age", "gender"))
    return age[:, 0], gender


def _relu(x):
    return np.maximum(x, 0)


def _windows(x, pad):
    """The nine pixels of the 3x3 window around every pixel, each as (n, H, W, channels).

    For stride 2 take every second one from 1 on: of an even side TensorFlow's "same" puts the first window's corner,
    not its middle, on the first pixel.
    """
    height, width = x.shape[1:3]
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=pad)
    return [x[:, i:i + height, j:j + width] for i in range(3) for j in range(3)]


def _conv(weights, name, x):
    """A convolution of stride 2, 3x3 or 1x1."""
    filters = weights[f"{name}/filters"]
    parts = [part[:, 1::2, 1::2] for part in _windows(x, 0)] if len(filters) == 3 else [x[:, ::2, ::2]]
    return np.concatenate(parts, -1) @ filters.reshape(-1, filters.shape[-1]) + weights[f"{name}/bias"]


def _separable(weights, name, x):
    depthwise = weights[f"{name}/depthwise_filter"].reshape(9, -1)
    x = sum(part * taps for part, taps in zip(_windows(x, 0), depthwise, strict=True))
    return x @ weights[f"{name}/pointwise_filter"][0, 0] + weights[f"{name}/bias"]


def _reduction(weights, name, x, activated):
    """Two separable convolutions of `activated` and a maximum over 3x3, beside a 1x1 convolution of `x`."""
    y = _separable(weights, f"{name}/separable_conv1", _relu(_separable(weights, f"{name}/separable_conv0", activated)))
    y = np.maximum.reduce([part[:, 1::2, 1::2] for part in _windows(y, -np.inf)])
    return y + _conv(weights, f"{name}/expansion_conv", x)
