"""Natural measures of drawn changes whose right answers are known."""

import cv2
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ageing.evaluation import formulas, natural
from ageing.faces.landmarks import Landmarks

RNG = np.random.default_rng(1)
SIZE = 128


def arc(centre, across, down, begin, end, n):
    """n places on an ellipse, clockwise, in shares of the side; angles in degrees from the right."""
    t = np.radians(np.linspace(begin, end, n))
    return np.array(centre) + np.stack([across * np.cos(t), down * np.sin(t)], 1)


POINTS = np.concatenate([
    arc((0.5, 0.35), 0.42, 0.6, 180, 0, 17),                                          # jaw
    arc((0.3, 0.22), 0.1, 0.03, 180, 360, 5), arc((0.7, 0.22), 0.1, 0.03, 180, 360, 5),  # brows
    np.stack([np.full(4, 0.5), np.linspace(0.3, 0.48, 4)], 1), arc((0.5, 0.52), 0.07, 0.03, 180, 0, 5),  # nose
    arc((0.3, 0.3), 0.06, 0.03, 180, 480, 6), arc((0.7, 0.3), 0.06, 0.03, 180, 480, 6),  # eyes
    arc((0.5, 0.72), 0.15, 0.06, 180, 510, 12), arc((0.5, 0.72), 0.1, 0.01, 180, 495, 8)])  # lips
MASKS = natural.regions(POINTS, SIZE)


def face():
    """A grey face with dark brows, red lips, soft shading and a little grain."""
    pixels = np.full((SIZE, SIZE, 3), 150, float) + 20 * np.linspace(-1, 1, SIZE)[:, None, None]
    pixels[MASKS["brows"]] = 60
    pixels[MASKS["lips"]] = (170, 90, 90)
    return pixels + RNG.normal(0, 2, (SIZE, SIZE, 1))


FACE = face()


def measured(change):
    """{title: number} of FACE with `change` (S, S) or (S, S, 3) added."""
    change = change if np.ndim(change) == 3 else np.repeat(np.asarray(change, float)[..., None], 3, 2)
    before, after = (np.clip(np.rint(pixels), 0, 255).astype(np.uint8) for pixels in (FACE, FACE + change))
    found = natural.of_edits(before[None], after[None], POINTS[None])
    return {title: values.item() for title, values in found.items()}


def blob(x, y, sigma, height=20.0):
    places = (np.arange(SIZE) + 0.5) / SIZE
    return height * np.exp(-((places - x) ** 2 + (places[:, None] - y) ** 2) / (2 * sigma**2))


def line(begin, end, height=20.0, width=3):
    drawn = np.zeros((SIZE, SIZE), np.uint8)
    cv2.line(drawn, *(tuple(round(v * SIZE) for v in place) for place in (begin, end)), 1, width, cv2.LINE_8)
    return height * cv2.GaussianBlur(drawn.astype(float), (0, 0), 1.5)


def assert_only(found, *titles, other=0.05):
    """Nothing but `titles` has changed."""
    for title in set(natural.TITLES) - set(titles):
        assert abs(found[title]) <= other, title


def test_nothing_changes_nothing():
    assert_only(measured(np.zeros((SIZE, SIZE))), other=0)


@pytest.mark.parametrize("name", ["brows", "rim of the brows", "lips", "rim of the lips"])
def test_a_lightened_part_raises_its_own_measure_only(name):
    found = measured(30 * MASKS[name])
    expected = [formulas.lab(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))[..., 0][MASKS[name]].mean()
                for pixels in (FACE, FACE + 30)]
    assert found[f"{name}, L*"] == pytest.approx(expected[1] - expected[0], abs=0.2)
    assert_only(found, f"{name}, L*", "lips, a*")


def test_lips_that_lose_their_red_are_seen():
    grey = np.float64([-53, 27, 27]) * MASKS["lips"][..., None]  # to a grey of 117
    found = measured(grey)
    assert found["lips, a*"] < -25
    assert_only(found, "lips, a*", "lips, L*")


def test_a_lighter_face_is_no_fault_of_brows_or_skin():
    found = measured(np.full((SIZE, SIZE), 10.0))
    assert found.pop(natural.OUTSIDE) == pytest.approx(10, abs=0.1)
    assert max(map(abs, found.values())) < 0.7  # L* is no linear scale of grey levels


def test_a_change_beside_the_face_is_outside():
    found = measured(8.0 * MASKS["outside"])
    assert found[natural.OUTSIDE] == pytest.approx(8)
    assert_only(found, natural.OUTSIDE)
    assert not (MASKS["outside"] & MASKS["skin"]).any()


@pytest.mark.parametrize(("cycles", "band"), [(2, 0), (8, 1), (32, 2)])
def test_colour_is_found_in_its_band(cycles, band):
    wave = 10 * np.sin(2 * np.pi * cycles * np.arange(SIZE) / SIZE)[None, :, None] * np.array([1, -0.5, 0])
    found = measured(np.broadcast_to(wave, (SIZE, SIZE, 3)))
    powers = [found[title] for title in natural.COLOUR]
    assert np.argmax(powers) == band
    assert powers[band] > 2
    assert sorted(powers)[1] < 0.5 * powers[band]
    assert measured(np.full((SIZE, SIZE, 3), [10, -5, 0]))[natural.COLOUR[0]] < 0.5  # a tint is no patch


@pytest.mark.parametrize("angle", [0, 35, 90])
def test_a_patch_is_a_stain_and_a_line_is_none(angle):
    """Of equal power in the band."""
    x, y = 0.16 * np.cos(np.radians(angle)), 0.16 * np.sin(np.radians(angle))
    power = {}
    for name, change in (("patch", blob(0.27, 0.5, 0.03)), ("line", line((0.27 - x / 2, 0.5 - y / 2),
                                                                         (0.27 + x / 2, 0.5 + y / 2)))):
        band = natural._bands(change, MASKS["skin"])[1]
        power[name] = measured(change)[natural.STAINS] / np.sqrt(np.square(band[MASKS["skin"]]).mean())
    assert power["patch"] > 1.8 * power["line"]


def test_a_broad_shade_and_fine_grain_are_no_stains():
    same = measured(blob(0.27, 0.5, 0.03))[natural.STAINS]
    assert measured(blob(0.5, 0.5, 0.5))[natural.STAINS] < 0.1 * same
    grain = np.where(np.indices((SIZE, SIZE)).sum(0) % 2, 6.0, -6.0)
    found = measured(grain)
    assert found[natural.STAINS] < 0.1
    assert found["texture on smooth skin, L*"] > 1


def test_wrinkles_are_no_texture_of_smooth_skin():
    folds = line((0.25, 0.55), (0.3, 0.75)) + line((0.75, 0.55), (0.7, 0.75)) + line((0.3, 0.12), (0.7, 0.12))
    assert abs(measured(-folds)["texture on smooth skin, L*"]) < 0.1


def test_a_part_that_is_not_in_the_picture_is_not_counted():
    beside = POINTS + [0.9, 0]  # the right half of the face, the brow too, lies beside the picture
    pixels = np.rint(np.clip(FACE, 0, 255)).astype(np.uint8)[None]
    found = natural.of_edits(pixels, pixels, beside[None])
    assert np.isnan(found["lips, L*"]).all()
    assert natural.estimates(found)["lips, L*"] is None


def test_groups_differ_by_their_levels_and_by_what_must_be_added():
    pixels = np.stack([face() for _ in range(8)])
    spotted = pixels + 10 * MASKS["brows"][..., None] + np.stack(
        [blob(x, y, 0.03) for x, y in zip(RNG.uniform(0.2, 0.8, 8), RNG.uniform(0.4, 0.6, 8), strict=True)])[..., None]
    faces, others = (np.rint(np.clip(some, 0, 255)).astype(np.uint8) for some in (pixels, spotted))
    points = np.stack([POINTS] * 8)
    there, back = (natural.between(*pair) for pair in (
        (natural.of_faces(faces, points), natural.of_faces(others, points)),
        (natural.of_faces(others, points), natural.of_faces(faces, points))))
    edits = natural.estimates(natural.of_edits(faces, others, points))
    assert there["brows, L*"][0] == pytest.approx(edits["brows, L*"][0])
    assert there[natural.STAINS][0] == pytest.approx(edits[natural.STAINS][0], rel=0.2)
    for title, (estimate, low, high) in there.items():
        assert low <= estimate <= high
        assert back[title][0] == pytest.approx(-estimate)


def test_the_noise_is_what_landmarks_do_that_are_found_elsewhere():
    before, after = (np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)[None]
                     for pixels in (FACE, FACE + 30 * MASKS["brows"][..., None]))
    edits = natural.of_edits(before, after, POINTS[None])
    same = natural.noise(edits, before, after, POINTS[None])  # the face is symmetrical
    assert max(values.item() for values in same.values()) < 1
    higher = natural.noise(edits, before, after, POINTS[None] - [0, 0.03])
    assert higher["brows, L*"].item() > 5
    assert min(values.item() for values in higher.values()) >= 0


def test_landmarks_are_found_as_in_the_product():
    portrait = np.asarray(Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((170, 60, 290, 180)))
    small = np.stack([portrait, portrait[:, ::-1]])
    straight, mirrored = natural.find_points(small, Landmarks())
    np.testing.assert_allclose(straight[[36, 45]].mean(0), (mirrored[[36, 45]] * [-1, 1] + [1, 0]).mean(0), atol=0.02)
    assert (np.abs(straight[[36, 45, 54]] - [[0.21, 0.33], [0.70, 0.36], [0.62, 0.695]]) < 0.04).all()
