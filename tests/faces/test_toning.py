"""A toned black-and-white photo stays one: its aged face has colours of its own tone only."""

import dataclasses
import io

import cv2
import numpy as np
import pytest
from conftest import ROOT, Stub
from PIL import Image

from ageing.faces.alignment import Placement, cut, placement_of
from ageing.faces.blending import changes_of, edit

FACE = dataclasses.replace(placement_of((160, 50, 290, 220)), aligned=True)
ALIGNED = Placement(np.array([[106.3, -3.9, 173.9], [3.9, 106.3, 69.2]]))    # as the Aligner frames it
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
    return compressed(np.asarray(image), quality) if quality else np.asarray(image)


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


def keeps_tone(photo, face=ALIGNED):
    """Whether the three colours of the face change together."""
    change, = changes_of(photo, [face], Wrinkles(20))
    return np.corrcoef(change.delta.reshape(-1, 3).T).min() > 0.9


def bordered(photo):
    photo[:20], photo[-20:], photo[:, :20], photo[:, -20:] = (235, 222, 190), (60, 110, 60), (60, 110, 60), 255
    return photo


def stamped(photo):
    return cv2.putText(photo, "12 '84", (330, 490), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (255, 120, 20), 3)


def faded(photo):
    y, x = np.mgrid[:512, :512] / 512
    share = 0.6 * (0.6 * x + 0.4 * y)[..., None]
    return np.uint8(photo * (1 - share) + share * photo.reshape(-1, 3).max(0))


def noisy(photo):
    return np.uint8(np.clip(photo + np.random.default_rng(0).normal(0, 8, photo.shape), 0, 255))


def compressed(photo, quality=75):
    Image.fromarray(photo).save(file := io.BytesIO(), "JPEG", quality=quality)
    return np.array(Image.open(file))


@pytest.mark.parametrize("spoil", [bordered, stamped, faded, noisy, compressed, lambda photo: compressed(photo, 50),
                                   lambda photo: compressed(stamped(bordered(noisy(faded(photo)))))])
@pytest.mark.parametrize("tone", TONES)
def test_prints_in_an_album_keep_their_tone(tone, spoil):
    assert keeps_tone(spoil(portrait(tone).copy()))


@pytest.mark.parametrize(("saturation", "light"), [
    (1, (1, 1, 1)), (0.4, (1, 1, 1)), (0.25, (1, 1, 1)), (1, (1, 0.75, 0.45)), (1, (1, 0.35, 0.3)),
    (1, (0.35, 0.5, 1)), (1, (1, 0.3, 0.9)), (1, (0.4, 1, 0.4))])
def test_few_colours_and_coloured_light_are_no_tone(saturation, light):
    photo = portrait().astype(np.float32)
    grey = photo.mean(2, keepdims=True)
    assert not keeps_tone(np.uint8((grey + saturation * (photo - grey)) * np.float32(light)))


def test_a_faint_tone_is_one_under_the_noise_of_jpeg():
    grey = portrait("sepia").mean(2, keepdims=True)
    assert keeps_tone(compressed(np.uint8(grey + 0.1 * (portrait("sepia") - grey)), 75))


def test_each_face_on_an_album_page_counts_on_its_own():
    page = np.concatenate([portrait("warm"), portrait("blue"), portrait()], axis=1)
    assert [keeps_tone(page, ALIGNED.moved(-left, 0)) for left in (0, 512, 1024)] == [True, True, False]
