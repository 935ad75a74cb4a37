"""A toned black-and-white photo stays one: its aged face has colours of its own tone only."""

import io

import numpy as np
import pytest
from conftest import ROOT, Stub
from PIL import Image

from ageing.faces.alignment import cut, placement_of
from ageing.faces.blending import changes_of, edit

FACE = placement_of((160, 50, 290, 220))
TONES = {  # colour over grey, both 0 to 1
    "sepia": lambda t: np.stack([t ** 0.8, 0.92 * t, 0.75 * t ** 1.2], -1),
    "warm": lambda t: np.stack([t ** 0.8, t, t ** 1.3], -1),
    "blue": lambda t: np.stack([t ** 1.3, t ** 1.05, t ** 0.75], -1)}


class Wrinkles(Stub):
    """Changes each colour on its own, as a generator does to a face in colour."""

    def change(self, crops):
        y, x = np.mgrid[:self.size, :self.size]
        one = np.stack([np.sin(x / 3), np.sin(y / 4 + x / 5), np.cos(y / 3)], -1)
        return np.float32(self.grey) * one.astype(np.float32) + np.zeros(crops.shape, np.float32)


Wrinkles.size = 128


def portrait(tone=None, quality=None):
    image = Image.open(ROOT / "samples" / "astronaut.jpg").convert("RGB")
    if tone:
        grey = np.asarray(image.convert("L"))
        image = Image.fromarray(np.rint(255 * TONES[tone](grey / 255)).astype(np.uint8))
    if quality:
        image.save(file := io.BytesIO(), "JPEG", quality=quality)
        image = Image.open(file)
    return np.asarray(image)


def off(tone, pixels):
    """How far the pixels of the face are off the tone: grey levels that 99 % of them do not exceed."""
    known = 255 * TONES[tone](np.linspace(0, 1, 256)).astype(np.float32)
    left, top, right, bottom = FACE.bounds
    pixels = pixels[int(top):int(bottom):3, int(left):int(right):3].reshape(-1, 1, 3).astype(np.float32)
    return np.percentile(np.abs(pixels - known).max(2).min(1), 99)


@pytest.mark.parametrize("quality", [None, 75])
@pytest.mark.parametrize("tone", TONES)
def test_colour_stays_a_function_of_grey(tone, quality):
    photo = portrait(tone, quality)
    edited = edit(photo, [FACE], Wrinkles(20), strength=1.5)
    assert np.abs(edited.astype(int) - photo).max() > 25
    assert off(tone, edited) < off(tone, photo) + 2.5
    gain = edited.astype(int) - photo
    assert np.abs(gain.mean((0, 1))).max() < 1


def test_a_face_in_colour_changes_as_the_generator_says():
    change, = changes_of(portrait(), [FACE], Wrinkles(20))
    crop = cut(portrait(), FACE.matrix, 128)
    np.testing.assert_array_equal(change.delta, Wrinkles(20).change(crop[None])[0])


def test_a_toned_picture_within_a_photo_in_colour_does_not_count():
    photo = np.concatenate([portrait("warm"), portrait()], axis=1)
    change, = changes_of(photo, [FACE], Wrinkles(20))
    assert np.abs(change.delta - change.delta.mean(2, keepdims=True)).max() > 10
