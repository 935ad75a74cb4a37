import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data_loader
from ageing import utkface
from ageing.training.recipe import Data

PLAIN = Data(sampling="independent", flip=False, shift=0, scale=0, rotation=0)


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


def levels(batches):
    """What the batches of one domain show: grey levels, one array a batch."""
    return [np.rint((b.images.numpy()[..., 0, 0, 0] + 1) * 127.5).astype(int) for b in batches]


def shown(faces, shape, start, stop, **more):
    a, b = zip(*faces.dataset(shape, 0, start, stop, **more), strict=True)
    return levels(a), levels(b)


def test_independent_sampling_shows_every_face_once_an_epoch(numbered):
    faces = data_loader.UnpairedFaces(numbered, 16, PLAIN, seed=1, progress=False)
    a, b = shown(faces, (1, 5), 0, 12)
    a = np.concatenate(a, axis=1)[0]
    first, second = a[:30], a[30:]
    assert sorted(first) == sorted(second) == list(range(30))
    assert list(first) != list(second)
    b = np.concatenate(b, axis=1)[0]
    assert sorted(b[:11]) == sorted(b[11:22]) == list(range(100, 111))


@pytest.mark.parametrize("settings", [PLAIN, Data()], ids=["plain", "matched, augmented"])
def test_batches_from_step_k_are_the_tail_of_all(numbered, settings):
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    whole = list(faces.dataset((2, 4), 1, 0, 9))
    for (a, b), (a_again, b_again) in zip(whole[6:], faces.dataset((2, 4), 1, 6, 9), strict=True):
        for mine, again in zip((*a, *b), (*a_again, *b_again), strict=True):
            np.testing.assert_array_equal(mine, again)


def test_parts_of_replicas_add_up_to_the_global_batch(numbered):
    faces = data_loader.UnpairedFaces(numbered, 16, Data(), seed=1, progress=False)
    whole = list(faces.dataset((2, 8), 0, 3, 5))
    for pipelines in (1, 2, 4):  # 4 replicas in one process, two of two, four of one
        parts = [list(faces.dataset((2, 8), 0, 3, 5, tf.distribute.InputContext(pipelines, i, 4)))
                 for i in range(pipelines)]
        here = 4 // pipelines
        for step, (a, _) in enumerate(whole):
            mine = [parts[i][step * here + k][0] for i in range(pipelines) for k in range(here)]
            for k in (0, 1):
                np.testing.assert_array_equal(np.concatenate([m[k] for m in mine], axis=1), a[k])


def test_streams_and_seeds_differ(numbered):
    faces = data_loader.UnpairedFaces(numbered, 16, PLAIN, seed=1, progress=False)
    other = data_loader.UnpairedFaces(numbered, 16, PLAIN, seed=2, progress=False)
    first = shown(faces, (1, 20), 0, 1)
    for again in (shown(other, (1, 20), 0, 1), tuple(map(levels, zip(*faces.dataset((1, 20), 1, 0, 1), strict=True)))):
        assert not np.array_equal(first[0], again[0])


def test_matched_sampling_draws_both_domains_from_one_distribution(numbered, monkeypatch):
    monkeypatch.setattr(utkface.matched_distribution, "__defaults__", (1e6,))
    settings = dataclasses.replace(PLAIN, sampling="matched")
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    a, b = (np.concatenate(x, axis=1)[0] for x in shown(faces, (1, 50), 0, 40))
    female_a, female_b = a < 15, b == 100
    assert np.array_equal(female_a, female_b)  # place by place
    assert female_a.mean() == pytest.approx((1 / 2 + 1 / 11) / 2, abs=0.03)


@pytest.mark.parametrize("sampling", ["independent", "matched"])
def test_every_face_comes_with_its_label(numbered, sampling, monkeypatch):
    monkeypatch.setattr(utkface.matched_distribution, "__defaults__", (1e6,))
    settings = dataclasses.replace(PLAIN, sampling=sampling)
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    (a, b), = faces.dataset((2, 20), 0, 0, 1)
    female = np.stack([levels([a])[0] < 15, levels([b])[0] == 100])
    labels = np.stack([a.labels, b.labels])
    #                             male female | White Black Asian Indian other
    np.testing.assert_array_equal(labels[female], np.tile([0, 1, 0, 1, 0, 0, 0], (female.sum(), 1)))
    np.testing.assert_array_equal(labels[~female], np.tile([1, 0, 1, 0, 0, 0, 0], ((~female).sum(), 1)))


def test_cap_limits_how_often_a_rare_face_is_shown(numbered, monkeypatch):
    monkeypatch.setattr(utkface.matched_distribution, "__defaults__", (2.0,))
    settings = dataclasses.replace(PLAIN, sampling="matched")
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    _, b = (np.concatenate(x, axis=1)[0] for x in shown(faces, (1, 50), 0, 40))
    assert (b == 100).mean() == pytest.approx(2 / 11, abs=0.03)
    assert any("Black female 18.2%" in line for line in faces.report())


def test_augmentation_is_drawn_apart_for_A_and_B_and_stays_in_range(tmp_path):
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
    for domain in ("20s", "50s"):
        (tmp_path / domain).mkdir()
        picture.save(tmp_path / domain / "25_0_0_x.png")
    faces = data_loader.UnpairedFaces(tmp_path, 32, Data(), seed=1, progress=False)
    ((a, _), (b, _)), = faces.dataset((1, 8), 0, 0, 1)
    assert float(tf.reduce_max(tf.abs(a))) <= 1
    assert len({image.numpy().tobytes() for image in (*a[0], *b[0])}) == 16
    plain = data_loader.UnpairedFaces(tmp_path, 32, PLAIN, seed=1, progress=False)
    ((a, _), _), = plain.dataset((1, 1), 0, 0, 1)
    np.testing.assert_array_equal(np.rint((a[0, 0] + 1) * 127.5), np.asarray(picture))


def test_flip_alone_gives_the_photo_or_its_mirror(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    for domain in ("20s", "50s"):
        (tmp_path / domain).mkdir()
        Image.fromarray(pixels).save(tmp_path / domain / "25_0_0_x.png")
    faces = data_loader.UnpairedFaces(tmp_path, 32, dataclasses.replace(PLAIN, flip=True), seed=1, progress=False)
    ((a, _), _), = faces.dataset((1, 32), 0, 0, 1)
    out = np.rint((a[0].numpy() + 1) * 127.5)
    straight = [np.array_equal(o, pixels) for o in out]
    mirrored = [np.array_equal(o, pixels[:, ::-1]) for o in out]
    assert all(s or m for s, m in zip(straight, mirrored, strict=True))
    assert 6 < sum(straight) < 26


def test_affine_jitter_keeps_the_brightness(tmp_path):
    """A warp on uint8 truncates: every face was half a grey level too dark."""
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((8, 8)).resize((64, 64), Image.Resampling.BICUBIC))
    for domain in ("20s", "50s"):
        (tmp_path / domain).mkdir()
        Image.fromarray(smooth).save(tmp_path / domain / "25_0_0_x.png")
    jitter = dataclasses.replace(PLAIN, shift=0.01, scale=0.01, rotation=1.0)
    faces = data_loader.UnpairedFaces(tmp_path, 64, jitter, seed=1, progress=False)
    ((a, _), _), = faces.dataset((1, 64), 0, 0, 1)
    shown = (a[0].numpy()[:, 4:-4, 4:-4] + 1) * 127.5
    assert shown.mean() == pytest.approx(smooth[4:-4, 4:-4].mean(), abs=0.15)
