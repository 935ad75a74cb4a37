import dataclasses
import shutil

import numpy as np
import pytest
from keras import ops
from PIL import Image

import data_loader
from ageing import utkface
from ageing.training.engine import engine
from ageing.training.recipe import Data

PLAIN = Data(sampling="independent", flip=False, shift=0, scale=0, rotation=0)
MATCHED = dataclasses.replace(PLAIN, sampling="matched")


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """Folders whose images are single grey levels, 20s: 0..29, 50s: 100..110, so that a batch tells what it holds.

    Cells: 20s half White male, half Black female; 50s one Black female face, the rest White male.
    """
    root = tmp_path_factory.mktemp("numbered")
    for domain, age, levels, females in (("20s", 25, range(30), 15), ("50s", 55, range(100, 111), 1)):
        (root / domain).mkdir()
        for i, level in enumerate(levels):
            cell = "1_1" if i < females else "0_0"
            Image.new("RGB", (32, 32), (level,) * 3).save(root / domain / f"{age}_{cell}_2017{i:04}.png")
    return root


def unpaired(folder, settings, size=16, seed=1):
    return data_loader.UnpairedFaces(folder, size, settings, seed, progress=False)


def shown(faces, n, steps, stream=0):
    """The grey levels that steps 0 to `steps` show, of each domain in order."""
    batches = [faces.batch(n, stream, step) for step in range(steps)]
    return [np.concatenate([b.images[..., 0, 0, 0].ravel() for b in domain]) for domain in zip(*batches, strict=True)]


def test_independent_sampling_shows_every_face_once_an_epoch(numbered):
    a, b = shown(unpaired(numbered, PLAIN), 5, 12)
    first, second = a[:30], a[30:]
    assert sorted(first) == sorted(second) == list(range(30))
    assert list(first) != list(second)
    assert sorted(b[:11]) == sorted(b[11:22]) == list(range(100, 111))


def test_files_that_matched_sampling_never_draws_are_said(numbered, tmp_path):
    root = shutil.copytree(numbered, tmp_path / "faces")
    Image.new("RGB", (32, 32), "white").save(root / "50s/holiday.png")
    faces = unpaired(root, MATCHED)
    assert 255 not in shown(faces, 20, 20)[1]
    line = "matched sampling, no gender and race in the file name, never drawn: 0 of 20s, 1 of 50s"
    assert line in faces.report()
    assert line not in unpaired(numbered, MATCHED).report() + unpaired(root, PLAIN).report()


@pytest.mark.parametrize("settings", [PLAIN, Data()], ids=["plain", "matched, augmented"])
def test_a_step_shows_the_same_whatever_came_before(numbered, settings):
    """Batches hold pixels and labels and, only if there are any, transforms."""
    faces = unpaired(numbered, settings)
    whole = [faces.batch(8, 1, step) for step in range(9)]
    again = unpaired(numbered, settings)
    for step in (8, 6):
        for mine, theirs in zip(whole[step], again.batch(8, 1, step), strict=True):
            assert mine.images.dtype == np.uint8
            assert (mine.images.shape, mine.labels.shape) == ((8, 16, 16, 3), (8, utkface.LABELS))
            assert (mine.transforms is None) == (settings is PLAIN)
            for x, y in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(x, y)


def test_streams_seeds_and_steps_differ(numbered):
    first = shown(unpaired(numbered, PLAIN), 20, 1)
    for again in (shown(unpaired(numbered, PLAIN, seed=2), 20, 1),
                  shown(unpaired(numbered, PLAIN), 20, 1, stream=1)):
        assert not np.array_equal(first[0], again[0])
    faces = unpaired(numbered, Data())
    transforms = [x.transforms for step in (0, 1) for x in faces.batch(20, 0, step)]
    assert len({t.tobytes() for t in transforms}) == 4


def test_matched_sampling_draws_both_domains_from_one_distribution(numbered, monkeypatch):
    monkeypatch.setattr(utkface.matched_distribution, "__defaults__", (1e6,))
    a, b = shown(unpaired(numbered, MATCHED), 50, 40)
    female_a, female_b = a < 15, b == 100
    assert np.array_equal(female_a, female_b)  # place by place
    assert female_a.mean() == pytest.approx((1 / 2 + 1 / 11) / 2, abs=0.03)
    assert set(a) == set(range(30))


@pytest.mark.parametrize("settings", [PLAIN, MATCHED], ids=["independent", "matched"])
def test_every_face_comes_with_its_label(numbered, settings, monkeypatch):
    monkeypatch.setattr(utkface.matched_distribution, "__defaults__", (1e6,))
    a, b = unpaired(numbered, settings).batch(40, 0, 0)
    female = np.stack([a.images[..., 0, 0, 0] < 15, b.images[..., 0, 0, 0] == 100])
    labels = np.stack([a.labels, b.labels])
    #                             male female | White Black Asian Indian other
    np.testing.assert_array_equal(labels[female], np.tile([0, 1, 0, 1, 0, 0, 0], (female.sum(), 1)))
    np.testing.assert_array_equal(labels[~female], np.tile([1, 0, 1, 0, 0, 0, 0], ((~female).sum(), 1)))


@pytest.fixture
def decades(tmp_path):
    """As numbered. 50s: 30 White men and 2 Black women; 60s: 2 White men of 60 and a file that tells no age."""
    for age, levels in ((25, range(20)), (52, range(50, 82)), (60, range(90, 92))):
        folder = tmp_path / f"{age // 10}0s"
        folder.mkdir()
        for i, level in enumerate(levels):
            cell = "1_1" if (age == 25 and i % 2) or i >= 30 else "0_0"
            Image.new("RGB", (32, 32), (level,) * 3).save(folder / f"{age}_{cell}_2017{i:04}.png")
    Image.new("RGB", (32, 32), (99,) * 3).save(tmp_path / "60s/own.png")
    return tmp_path


@pytest.mark.parametrize("sampling", ["matched", "independent"])
def test_the_old_faces_of_several_decades_come_with_their_ages(decades, sampling):
    faces = unpaired(decades, dataclasses.replace(PLAIN, sampling=sampling, domain_B=("50s", "60s")))
    ages = {}
    for step in range(60):
        young, old = faces.batch(4, 0, step)
        assert young.ages is None
        assert old.ages.shape == (4, 1)
        ages |= dict(zip(old.images[:, 0, 0, 0].tolist(), old.ages[:, 0].tolist(), strict=True))
    assert all(age == (52 if level < 90 else 60 if level < 99 else 65) for level, age in ages.items())
    assert {int(age) for age in ages.values()} == ({52, 60} if sampling == "matched" else {52, 60, 65})
    assert [line.split(",")[0] for line in faces.report()][:3] == ["20s: 20 faces", "50s: 32 faces", "60s: 3 faces"]


def test_faces_of_a_rare_decade_are_drawn_more_often(decades):
    faces = unpaired(decades, dataclasses.replace(MATCHED, domain_B=("50s", "60s")))
    levels = shown(faces, 50, 80)[1]
    rare, common = (np.isin(levels, range(*ends)).sum() / n for ends, n in (((90, 92), 2), ((50, 80), 30)))
    assert rare / common == pytest.approx(15 ** 0.6, rel=0.15)  # 30 and 2 White men


def test_cap_limits_how_often_a_rare_face_is_shown(numbered, monkeypatch):
    monkeypatch.setattr(utkface.matched_distribution, "__defaults__", (2.0,))
    faces = unpaired(numbered, MATCHED)
    _, b = shown(faces, 50, 40)
    assert (b == 100).mean() == pytest.approx(2 / 11, abs=0.03)
    assert any("Black female 18.2%" in line for line in faces.report())


@pytest.fixture
def one_face(tmp_path):
    """A function: pixels -> folder whose domains both hold nothing else."""
    def make(pixels):
        for domain in ("20s", "50s"):
            (tmp_path / domain).mkdir()
            Image.fromarray(pixels).save(tmp_path / domain / "25_0_0_x.png")
        return tmp_path
    return make


def warped(loaded):
    """float32 (N, H, W, 3) in [0, 255]: LoadedFaces, transformed."""
    return ops.convert_to_numpy(engine().warp(loaded.images, loaded.transforms))


def test_augmentation_is_drawn_apart_for_A_and_B_and_stays_in_range(one_face):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    folder = one_face(pixels)
    both = np.concatenate([warped(domain) for domain in unpaired(folder, Data(), 32).batch(8, 0, 0)])
    assert both.min() >= 0
    assert both.max() <= 255
    assert len({image.tobytes() for image in both}) == 16
    a, _ = unpaired(folder, PLAIN, 32).batch(1, 0, 0)
    assert a.transforms is None
    np.testing.assert_array_equal(a.images[0], pixels)


def test_flip_alone_gives_the_photo_or_its_mirror(one_face):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    a, _ = unpaired(one_face(pixels), dataclasses.replace(PLAIN, flip=True), 32).batch(32, 0, 0)
    out = warped(a)
    straight = [np.array_equal(o, pixels) for o in out]
    mirrored = [np.array_equal(o, pixels[:, ::-1]) for o in out]
    assert all(s or m for s, m in zip(straight, mirrored, strict=True))
    assert 6 < sum(straight) < 26


@pytest.mark.parametrize(("name", "value"), [("shift", 0.25), ("scale", 0.2), ("rotation", 30.0)])
def test_jitter_reaches_as_far_as_the_recipe_says(one_face, name, value):
    """Where the centre comes from, how large and how turned the face is: uniform in its range."""
    folder = one_face(np.zeros((32, 32, 3), np.uint8))
    loaded, _ = unpaired(folder, dataclasses.replace(PLAIN, **{name: value}), 32).batch(2000, 0, 0)
    a, b, x, d, e, y = loaded.transforms.T.astype(float)
    centre = (32 - 1) / 2
    found = {"shift": [(a * centre + b * centre + x - centre) / 32, (d * centre + e * centre + y - centre) / 32],
             "scale": [np.hypot(a, d) - 1], "rotation": [np.degrees(np.arctan2(d, a))]}
    for kind, many in found.items():
        for numbers in many:
            reach = value if kind == name else 0
            np.testing.assert_allclose([numbers.min(), numbers.max()], [-reach, reach], atol=0.01 * reach + 1e-5)
            assert numbers.mean() == pytest.approx(0, abs=0.06 * reach + 1e-5)


def test_affine_jitter_keeps_the_brightness(one_face):
    """A warp on uint8 truncates: every face was half a grey level too dark."""
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((8, 8)).resize((64, 64), Image.Resampling.BICUBIC))
    jitter = dataclasses.replace(PLAIN, shift=0.01, scale=0.01, rotation=1.0)
    a, _ = unpaired(one_face(smooth), jitter, 64).batch(64, 0, 0)
    assert warped(a)[:, 4:-4, 4:-4].mean() == pytest.approx(smooth[4:-4, 4:-4].mean(), abs=0.15)
