"""Drawn faces: a data set without photos of people, for which the true aged face is known.

A person is a number. It decides skin, hair, shape, expression, light and background. The same person can be drawn at
any age. Up to 55 hair greys, stubble and wrinkles appear, cheeks and brows sink. Up to 85 hair whitens and thins, lines
deepen, spots and jowls appear. File names have UTKFace's form, [age]_[gender]_[race]_person[number].png, so that
everything that reads UTKFace reads them. The race only selects one of the palette's skin tones.
"""

import contextlib
import itertools
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from ageing.errors import UserError, kind_of, reason
from ageing.face_folder import decode, list_images
from ageing.storage import replacing
from ageing.utkface import DECADES

SUPERSAMPLING = 3
SKINS = ((238, 205, 180), (120, 78, 54), (226, 184, 140), (176, 124, 88), (205, 160, 125))
HAIRS = ((40, 28, 22), (22, 18, 18), (92, 58, 32), (150, 104, 54), (62, 40, 28))
GREY, WHITE = np.array((205, 205, 208)), np.array((250, 250, 252))
OF_THE_SYSTEM = {"thumbs.db", "desktop.ini"}    # Windows leaves them in folders that it shows


def draw(person, age, size=128):
    """uint8 RGB (size, size, 3): `person` (an integer) at `age` in years. Below 25 and above 85 nothing changes."""
    look = _look(person)
    old, late = (float(np.clip((age - start) / 30, 0, 1)) for start in (25, 55))
    side = size * SUPERSAMPLING
    canvas = Image.new("RGB", (side, side), tuple(look["background"]))
    pen = _Pen(canvas, look, old, late)
    pen.hair_behind()
    pen.neck_and_head()
    pen.wrinkles()
    pen.late_wrinkles()
    pen.features()
    pen.stubble()
    pen.hair_in_front()
    pixels = np.asarray(canvas.resize((size, size), Image.Resampling.BOX), np.float32)
    return _light(pixels, look)


def _look(person):
    rng = np.random.default_rng(person)
    race, gender = int(rng.integers(5)), int(rng.integers(2))
    return {
        "race": race, "gender": gender,
        "skin": np.clip(np.array(SKINS[race]) + rng.normal(0, 7, 3), 40, 250),
        "hair": np.clip(np.array(HAIRS[rng.integers(5)]) + rng.normal(0, 6, 3), 5, 200),
        "background": rng.integers(60, 220, 3).tolist(),
        "width": rng.uniform(0.29, 0.35), "height": rng.uniform(0.38, 0.43), "jaw": rng.uniform(0.75, 0.95),
        "eye": rng.uniform(0.12, 0.15), "iris": rng.integers(30, 130, 3).tolist(), "nose": rng.uniform(0.10, 0.14),
        "smile": rng.uniform(-0.01, 0.035), "fringe": rng.uniform(0.05, 0.16), "part": rng.uniform(-0.5, 0.5),
        "x": 0.5 + rng.uniform(-0.02, 0.02), "y": 0.53 + rng.uniform(-0.02, 0.02),
        "light": rng.uniform(0, 2 * np.pi), "strength": rng.uniform(0.05, 0.22), "noise": int(rng.integers(2**31)),
    }


class _Pen:
    """Draws the parts of one face. Coordinates are shares of the picture's side.

    old: 0 (age 25) to 1 (age 55). late: 0 (age 55) to 1 (age 85).
    """

    def __init__(self, canvas, look, old, late):
        self.canvas, self.look, self.old, self.late = canvas, look, old, late
        self.draw, self.side = ImageDraw.Draw(canvas), canvas.width
        self.x, self.y, self.w, self.h = look["x"], look["y"], look["width"], look["height"]
        self.skin = look["skin"] * (1 - 0.06 * old) + np.array((6, -2, -6)) * old
        self.skin += (self.skin.mean() - self.skin) * 0.35 * late  # paler
        self.hair = look["hair"] * (1 - 0.8 * old) + GREY * 0.8 * old
        self.hair += (WHITE - self.hair) * 0.9 * late
        self.bald = late * (1 if look["gender"] == 0 else 0.35)

    def shade(self, colour, factor):
        return tuple(int(v) for v in np.clip(np.asarray(colour) * factor, 0, 255))

    def ellipse(self, x, y, w, h, colour):
        self.draw.ellipse([(x - w) * self.side, (y - h) * self.side, (x + w) * self.side, (y + h) * self.side],
                          fill=self.shade(colour, 1))

    def line(self, points, width, colour):
        points = [(x * self.side, y * self.side) for x, y in points]
        self.draw.line(points, fill=self.shade(colour, 1), width=max(1, round(width * self.side)), joint="curve")

    def hair_behind(self):
        length = 0.42 if self.look["gender"] else 0.05
        self.ellipse(self.x, self.y - 0.06, self.w + 0.07 - 0.02 * self.bald, self.h + 0.03 - 0.04 * self.bald,
                     self.hair)
        if self.look["gender"]:
            s = self.side
            self.draw.rectangle([(self.x - self.w - 0.06) * s, self.y * s, (self.x + self.w + 0.06) * s,
                                 (self.y + length) * s], fill=self.shade(self.hair, 0.93))

    def neck_and_head(self):
        self.ellipse(self.x, self.y + 0.46, 0.17, 0.2, self.shade(self.skin, 0.82))
        self.ellipse(self.x, self.y, self.w, self.h, self.skin)
        self.ellipse(self.x, self.y + 0.13, self.w * self.look["jaw"] * (1 + 0.10 * self.old + 0.08 * self.late),
                     0.25 + 0.02 * self.old + 0.02 * self.late, self.skin)

    @contextlib.contextmanager
    def fading(self, share):
        """What the block draws is blurred and shows by `share`."""
        clean = self.canvas.copy()
        yield
        soft = self.canvas.filter(ImageFilter.GaussianBlur(self.side * 0.003))
        self.canvas.paste(Image.blend(clean, soft, share))

    def wrinkles(self):
        """Forehead lines, crow's feet, eye bags and nasolabial folds: darker, blurred skin."""
        if self.old <= 0:
            return
        dark, thick = self.shade(self.skin, 0.52 - 0.12 * self.late), 1 + 0.4 * self.late
        with self.fading(self.old):
            for k in range(3):
                y, reach = self.y - 0.20 - 0.04 * k, 0.17 - 0.02 * k
                t = np.linspace(-1, 1, 9)
                self.line([(self.x + reach * v, y + 0.012 * v * v) for v in t], 0.010 * thick, dark)
            for side in (-1, 1):
                ex = self.x + side * self.look["eye"]
                for k in (-1, 0, 1):
                    self.line([(ex + side * 0.075, self.y - 0.06 + 0.012 * k),
                               (ex + side * 0.125, self.y - 0.06 + 0.035 * k)], 0.008 * thick, dark)
                t = np.linspace(0.15 * np.pi, 0.85 * np.pi, 9)
                self.line([(ex + 0.06 * np.cos(v), self.y - 0.045 + 0.05 * np.sin(v)) for v in t], 0.010 * thick, dark)
                self.line([(self.x + side * 0.065, self.y + 0.08), (self.x + side * 0.10, self.y + 0.13),
                           (self.x + side * 0.115, self.y + 0.20)], 0.013 * thick, dark)

    def late_wrinkles(self):
        """Spots, jowls and lines on cheeks and neck, at the mouth and between the brows."""
        if self.late <= 0:
            return
        dark, x, y = self.shade(self.skin, 0.5), self.x, self.y
        rng = np.random.default_rng(self.look["noise"])
        with self.fading(self.late):
            for _ in range(14):
                a, r = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.9)
                size = rng.uniform(0.008, 0.016)
                self.ellipse(x + np.cos(a) * self.w * r, y + np.sin(a) * self.h * r, size, size, self.skin * 0.72)
            for side in (-1, 1):
                for points, width in (
                        (((0.145, 0.04), (0.185, 0.11), (0.18, 0.19)), 0.011),    # cheek
                        (((0.095, 0.215), (0.115, 0.25), (0.11, 0.31)), 0.013),   # corner of the mouth
                        (((0.13, 0.33), (0.18, 0.325), (0.225, 0.28)), 0.016),    # jowl
                        (((0.018, -0.10), (0.022, -0.15)), 0.010),                # between the brows
                        (((0.05, 0.42), (0.07, 0.52)), 0.014)):                   # neck
                    self.line([(x + side * dx, y + dy) for dx, dy in points], width, dark)

    def features(self):
        look = self.look
        brow = self.shade(self.hair, 0.75)
        for side in (-1, 1):
            ex, ey = self.x + side * look["eye"], self.y - 0.06
            self.ellipse(ex, ey, 0.052, 0.026 - 0.006 * self.old - 0.005 * self.late, (245, 243, 238))
            self.ellipse(ex, ey, 0.022, 0.022 - 0.004 * self.old - 0.004 * self.late, look["iris"])
            self.ellipse(ex, ey, 0.010, 0.010, (15, 12, 12))
            self.line([(ex - 0.055, ey), (ex, ey - 0.028 + 0.010 * self.old + 0.006 * self.late), (ex + 0.055, ey)],
                      0.010, self.shade(self.skin, 0.45))
            sink = 0.012 * self.old + 0.008 * self.late
            self.line([(ex - side * 0.05, ey - 0.065 + sink), (ex + side * 0.01, ey - 0.080 + sink),
                       (ex + side * 0.065, ey - 0.060 + 2 * sink)], 0.016 if look["gender"] else 0.024, brow)
        tip = self.y + look["nose"] + 0.02 * self.late
        self.line([(self.x - 0.012, self.y - 0.03), (self.x - 0.03, tip - 0.02), (self.x, tip),
                   (self.x + 0.03, tip - 0.02)], 0.011, self.shade(self.skin, 0.72))
        t = np.linspace(-1, 1, 9)
        lips = self.shade(self.skin, 0.66) if not look["gender"] else (178, 72, 78)
        self.line([(self.x + 0.085 * v, self.y + 0.21 - (look["smile"] - 0.02 * self.late) * v * v) for v in t],
                  0.024 - 0.008 * self.old - 0.005 * self.late, lips)

    def stubble(self):
        """Grey speckles on an old man's jaw."""
        if self.look["gender"] or self.old <= 0:
            return
        rng, grey = np.random.default_rng(self.look["noise"]), 0.5 * self.old + 0.3 * self.late
        for _ in range(350):
            a, r = rng.uniform(0.1 * np.pi, 0.9 * np.pi), rng.uniform(0.72, 0.98)
            x, y = self.x + np.cos(a) * self.w * 0.86 * r, self.y + 0.10 + np.sin(a) * 0.27 * r
            if abs(x - self.x) > 0.10 or y > self.y + 0.24:
                self.ellipse(x, y, 0.004, 0.005, self.skin * (1 - grey) + GREY * grey)

    def hair_in_front(self):
        s, look = self.side, self.look
        top = self.y - self.h
        line = top + look["fringe"] * (1 - 0.35 * self.old - 0.5 * self.bald) + 0.03
        t = np.linspace(-1, 1, 21)
        rim = [(self.x + (self.w + 0.02) * np.sin(v * np.pi / 2), top - 0.05 + 0.30 * (1 - np.cos(v * np.pi / 2)))
               for v in t]
        edge = [(self.x + self.w * 0.95 * v, line + 0.10 * v * v + 0.03 * np.cos(4 * (v - look["part"])))
                for v in t[::-1]]
        self.draw.polygon([(x * s, y * s) for x, y in rim + edge], fill=self.shade(self.hair, 1))


def _light(pixels, look):
    size = len(pixels)
    y, x = np.mgrid[-1:1:size * 1j, -1:1:size * 1j]
    slope = x * np.cos(look["light"]) + y * np.sin(look["light"])
    grain = np.random.default_rng(look["noise"]).normal(0, 2, pixels.shape)
    return np.clip(pixels * (1 + look["strength"] * slope)[..., None] + grain, 0, 255).astype(np.uint8)


def fill(root, domain_A="20s", domains_B=("50s",), train=400, validation=24, size=128):
    """Fill root/{train,validation}/ with folders of drawn PNGs, domain_A and each of domains_B. Existing ones stay.

    A decade ("70s") shows its middle age (75). Another name shows 25 years as domain_A, 55 as the only old domain.
    train: people per domain, different ones in each, as unpaired training needs. validation: people who are drawn at
    all ages, so that the true aged face is known; `true_pairs` reads them. size: pixels per side. Raises UserError,
    before anything is written, if `root` holds anything but decades, or if one of several old domains is no decade.
    """
    people = _people(root, domain_A, domains_B, train, validation)
    missing = [path for path in people if kind_of(path) is None]
    for path in tqdm(missing, desc="drawing faces", unit="img", leave=False):
        with replacing(path) as temporary:
            Image.fromarray(draw(*people[path], size)).save(temporary)


def count(root, domain_A="20s", domains_B=("50s",), train=400, validation=24):
    """(images of A, of each B) in the train folder once `fill` has run. Nothing is written. Raises UserError as `fill`.
    """
    _people(root, domain_A, domains_B, train, validation)
    return (train,) * (1 + len(domains_B))


def _people(root, domain_A, domains_B, train, validation):
    """{path: (person, age)} of the pictures of `fill`. Raises UserError as `fill`.

    Drawn faces among a user's own photos would be trained on with them, and would have to be picked out by hand.
    """
    root, people, known = Path(root), {}, defaultdict(set)
    for k, domain in enumerate((domain_A, *domains_B)):
        if k and len(domains_B) > 1 and domain not in DECADES:
            raise UserError(f"data.domain_B: of {domain} nobody knows the age; drawn faces of several old ages need "
                            f"names of {', '.join(DECADES)}")
        age = DECADES.get(domain, 55 if k else 25)
        numbers = ([("train", k * train + i) for i in range(train)]
                   + [("validation", 10**6 + i) for i in range(validation)])
        for split, person in numbers:
            look = _look(person)
            path = Path(root, split, domain, f"{age}_{look['gender']}_{look['race']}_person{person:07}.png")
            people[path] = person, age
            for place in itertools.takewhile(lambda p: p != root, (path, *path.parents)):
                known[place.parent].add(place.name)
    for folder, names in known.items():
        try:
            others = sorted(name for name in os.listdir(folder)
                            if name not in names and name[0] != "." and name.lower() not in OF_THE_SYSTEM
                            and name not in DECADES)  # drawn for another recipe
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UserError(f"{folder}: cannot be read: {reason(error)}") from error
        if others:
            raise UserError(f"{folder} holds {others[0]}, which is no drawn face: data.source=drawn fills a folder of "
                            "its own. Name a new one with data.path, or train on the faces that are there with "
                            "data.source=folder")
    return people


def true_pairs(root, domain_A, domain_B, size):
    """The validation people, young and old: two uint8 (n, size, size, 3), the same person at the same index.

    domain_B: one of the old domains. Each shows the same people.
    """
    def by_person(domain):
        paths = list_images(Path(root, "validation", domain))
        return {path.stem.rsplit("person", 1)[-1]: path for path in paths}

    young, old = by_person(domain_A), by_person(domain_B)
    both = sorted(young.keys() & old.keys())
    return tuple(np.stack([decode(paths[p], size)[0] for p in both]) for paths in (young, old))
