"""Power by band of spatial frequency: whether ageing draws wrinkles or only shades.

Below 8 cycles a face lie light and folds, above 32 lies the texture that people take for age.
"""

import cv2
import numpy as np

from ageing.evaluation.metrics import RESAMPLES
from ageing.evaluation.sharpness import sharpness

BANDS = ((2, 4), (4, 8), (8, 16), (16, 32), (32, 64))  # cycles a face, which is a crop in UTKFace's framing
MIDDLE = 0.6875   # side of the window of skin, as a share of the face's: 88 of 128 pixels
SHARPNESS_AT = 128  # pixels: the size at which sharpness is measured


def power(faces):
    """(n, len(BANDS)) power of the faces' grey skin in each band. faces: uint8 (n, S, S, 3). NaN above S / 2 cycles."""
    side = faces.shape[1]
    middle = round(MIDDLE * side)
    rim = (side - middle) // 2
    grey = faces[:, rim:rim + middle, rim:rim + middle].astype(np.float32).mean(axis=3)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * np.outer(np.hanning(middle), np.hanning(middle))
    spectrum = np.square(np.abs(np.fft.fft2(grey)))
    frequencies = np.fft.fftfreq(middle) * side  # cycles a face
    distance = np.hypot(*np.meshgrid(frequencies, frequencies))
    found = [spectrum[:, (distance >= low) & (distance < high)].sum(axis=1) if high <= side / 2 else
             np.full(len(faces), np.nan) for low, high in BANDS]
    return np.stack(found, axis=1)


def bands(translation):
    """{"power, 8 to 16 cycles a face": {"outputs" | "unchanged" | "real": (estimate, low, high)}}, of the sharp half.

    Geometric means, divided by that of real faces of the younger domain; 95 % bootstrap intervals. The sharp half:
    faces sharper at the eyes than the median of both domains; an output counts where its input does. An estimate is
    None where the faces have too few pixels for the band.
    """
    inputs, targets = translation.inputs.pixels, translation.targets.pixels
    sharp = {"inputs": _sharpness(inputs), "targets": _sharpness(targets)}
    threshold = np.median(np.concatenate(list(sharp.values())))
    chosen, wanted = sharp["inputs"] > threshold, sharp["targets"] > threshold
    logs = {"outputs": np.log(power(translation.outputs[chosen])), "unchanged": np.log(power(inputs[chosen])),
            "real": np.log(power(targets[wanted]))}
    young = logs["unchanged" if translation.direction.sign > 0 else "real"]
    return {f"power, {low} to {high} cycles a face": {who: _ratio(values[:, band], young[:, band])
                                                     for who, values in logs.items()}
            for band, (low, high) in enumerate(BANDS)}


def _sharpness(faces):
    at = (SHARPNESS_AT, SHARPNESS_AT)
    return np.array([sharpness(cv2.resize(face, at, interpolation=cv2.INTER_AREA)) for face in faces])


def _ratio(values, reference):
    """(estimate, low, high) of exp(mean of `values` - mean of `reference`). None without values."""
    if not len(values) or not len(reference) or np.isnan(values).any():
        return None
    rng = np.random.default_rng(1)
    drawn = [np.exp(np.subtract(*(v[rng.integers(len(v), size=len(v))].mean() for v in (values, reference))))
             for _ in range(RESAMPLES)]
    return float(np.exp(values.mean() - reference.mean())), *map(float, np.percentile(drawn, [2.5, 97.5]))
