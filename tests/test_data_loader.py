import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

import data_loader
import recipe as recipes
from files import UserError

PLAIN = recipes.Data(sampling="independent", flip=False, shift=0, scale=0, rotation=0)


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


@pytest.mark.parametrize(("name", "parsed"), [
    ("25_0_3_20170116174525125.jpg.chip.jpg", (25, 0, 3)), ("101_1_4_x.jpg", (101, 1, 4)),
    ("39_1_20170116174525125.jpg.chip.jpg", None), ("25_2_0_x.jpg", None), ("25_0_7_x.jpg", None),
    ("_0_0_x.jpg", None), ("face.jpg", None), ("25_0_0_", None), ("1234_0_0_x.jpg", None)])
def test_names(name, parsed):
    assert data_loader.parse_name(name) == parsed


def test_independent_sampling_shows_every_face_once_an_epoch(numbered):
    faces = data_loader.UnpairedFaces(numbered, 16, PLAIN, seed=1, progress=False)
    a, b = shown(faces, (1, 5), 0, 12)
    a = np.concatenate(a, axis=1)[0]
    first, second = a[:30], a[30:]
    assert sorted(first) == sorted(second) == list(range(30))
    assert list(first) != list(second)
    b = np.concatenate(b, axis=1)[0]
    assert sorted(b[:11]) == sorted(b[11:22]) == list(range(100, 111))


@pytest.mark.parametrize("settings", [PLAIN, recipes.Data()], ids=["plain", "matched, augmented"])
def test_batches_from_step_k_are_the_tail_of_all(numbered, settings):
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    whole = list(faces.dataset((2, 4), 1, 0, 9))
    for (a, b), (a_again, b_again) in zip(whole[6:], faces.dataset((2, 4), 1, 6, 9), strict=True):
        for mine, again in zip((*a, *b), (*a_again, *b_again), strict=True):
            np.testing.assert_array_equal(mine, again)


def test_parts_of_replicas_add_up_to_the_global_batch(numbered):
    faces = data_loader.UnpairedFaces(numbered, 16, recipes.Data(), seed=1, progress=False)
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


def test_matched_sampling_draws_both_domains_from_one_distribution(numbered):
    settings = dataclasses.replace(PLAIN, sampling="matched", cell_cap=1e6)
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    a, b = (np.concatenate(x, axis=1)[0] for x in shown(faces, (1, 50), 0, 40))
    female_a, female_b = a < 15, b == 100
    assert np.array_equal(female_a, female_b)  # place by place
    assert female_a.mean() == pytest.approx((1 / 2 + 1 / 11) / 2, abs=0.03)


@pytest.mark.parametrize("sampling", ["independent", "matched"])
def test_every_face_comes_with_its_label(numbered, sampling):
    settings = dataclasses.replace(PLAIN, sampling=sampling, cell_cap=1e6)
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    (a, b), = faces.dataset((2, 20), 0, 0, 1)
    female = np.stack([levels([a])[0] < 15, levels([b])[0] == 100])
    labels = np.stack([a.labels, b.labels])
    #                             male female | White Black Asian Indian other
    np.testing.assert_array_equal(labels[female], np.tile([0, 1, 0, 1, 0, 0, 0], (female.sum(), 1)))
    np.testing.assert_array_equal(labels[~female], np.tile([1, 0, 1, 0, 0, 0, 0], ((~female).sum(), 1)))


def test_a_face_of_unknown_cell_has_a_label_of_zeros():
    np.testing.assert_array_equal(data_loader.labels_of(np.array([-1, 9])), [[0] * 7, [0, 1, 0, 0, 0, 0, 1]])


def test_cap_limits_how_often_a_rare_face_is_shown(numbered):
    settings = dataclasses.replace(PLAIN, sampling="matched", cell_cap=2.0)
    faces = data_loader.UnpairedFaces(numbered, 16, settings, seed=1, progress=False)
    _, b = (np.concatenate(x, axis=1)[0] for x in shown(faces, (1, 50), 0, 40))
    assert (b == 100).mean() == pytest.approx(2 / 11, abs=0.03)
    assert any("Black female 18.2%" in line for line in faces.report())


def test_matched_distribution_keeps_what_it_promises():
    rng = np.random.default_rng(1)
    for _ in range(200):
        a, b = (rng.choice(10, rng.integers(1, 60), p=rng.dirichlet(np.full(10, 0.4))) for _ in range(2))
        if not set(a) & set(b):
            continue
        cap = float(rng.uniform(1, 6))
        p, capped, dropped = data_loader.matched_distribution(a, b, cap)
        assert p.sum() == pytest.approx(1)
        shares = np.minimum(*(np.bincount(c, minlength=10) / len(c) for c in (a, b)))
        if (cap * shares).sum() >= 1:  # else no distribution can stay under the cap
            assert (p <= cap * shares + 1e-6).all()
        assert not p[dropped].any()
        assert not set(capped) & set(dropped)


def test_domains_without_a_common_cell_cannot_be_matched():
    with pytest.raises(UserError, match="sampling=independent"):
        data_loader.matched_distribution(np.array([0, 0]), np.array([1, -1]), 4)


def test_augmentation_is_drawn_apart_for_A_and_B_and_stays_in_range(tmp_path):
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
    for domain in ("20s", "50s"):
        (tmp_path / domain).mkdir()
        picture.save(tmp_path / domain / "25_0_0_x.png")
    faces = data_loader.UnpairedFaces(tmp_path, 32, recipes.Data(), seed=1, progress=False)
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


def test_broken_and_tiny_images_are_skipped_and_counted(tmp_path):
    folder = tmp_path / "20s"
    folder.mkdir()
    Image.new("RGB", (40, 40)).save(folder / "25_0_0_good.jpg")
    Image.new("CMYK", (40, 50)).save(folder / "25_0_0_cmyk.jpg")
    Image.new("L", (40, 40)).save(folder / "25_0_0_grey.png")
    Image.new("RGB", (8, 8)).save(folder / "25_0_0_tiny.png")
    good = (folder / "25_0_0_good.jpg").read_bytes()
    (folder / "25_0_0_cut.jpg").write_bytes(good[:len(good) // 2])
    (folder / "25_0_0_empty.jpg").write_bytes(b"")
    (folder / "25_0_0_text.jpg").write_text("no picture")
    domain = data_loader.load_domain(folder, 16, progress=False)
    assert len(domain) == 3
    assert domain.skipped == {"tiny": 1, "unreadable": 3}


SKINS = {"light": (238, 205, 180), "dark": (92, 60, 42)}
RED, BLACK = (160, 10, 30), (20, 10, 10)


def forehead(skin, size=128, dot=None, line=None, at=(0.5, 0.22)):
    """Skin all over, with a dot on the forehead or a line across it, each of the colour given."""
    face = Image.new("RGB", (size, size), skin)
    x, y = at[0] * size, at[1] * size
    pen, reach = ImageDraw.Draw(face), 0.03 * size
    if dot:
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=dot)
    if line:
        pen.rectangle((x - reach / 2, y - 4 * reach, x + reach / 2, y + 4 * reach), fill=line)
    return np.asarray(face)


@pytest.mark.parametrize(("skin", "colours"), [(SKINS["light"], (RED, BLACK)), (SKINS["dark"], (RED,))], ids=SKINS)
@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_bindi_is_a_spot_a_frown_and_skin_are_none(skin, colours, size):
    darker = tuple(int(0.75 * c) for c in skin)
    assert data_loader.forehead_spot(forehead(skin, size)) == pytest.approx(0, abs=0.1)
    assert data_loader.forehead_spot(forehead(skin, size, line=darker)) < 1
    for colour in colours:
        assert data_loader.forehead_spot(forehead(skin, size, dot=colour)) > data_loader.MARK
        assert data_loader.forehead_spot(forehead(skin, size, dot=colour, at=(0.5, 0.7))) < 1  # on the mouth


def test_faces_with_a_mark_on_the_forehead_are_skipped_on_demand(tmp_path):
    for domain in ("20s", "50s"):
        (tmp_path / domain).mkdir()
        for i, dot in enumerate((None, RED, None)):
            Image.fromarray(forehead(SKINS["light"], dot=dot)).save(tmp_path / domain / f"25_1_3_{i}.png")
    for marks, left in (("keep", 3), ("skip", 2)):
        settings = dataclasses.replace(PLAIN, forehead_marks=marks)
        faces = data_loader.UnpairedFaces(tmp_path, 64, settings, seed=1, progress=False)
        assert len(faces.A) == len(faces.B) == left
        assert ("20s: 2 faces, skipped 1 with a mark on the forehead" in faces.report()) == (marks == "skip")


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_folder_without_faces_is_named(tmp_path, state):
    folder = tmp_path / "20s"
    if state != "missing":
        folder.mkdir()
    if state == "broken":
        (folder / "a.jpg").write_text("no picture")
    with pytest.raises(UserError, match="20s: .*prepare_utkface"):
        data_loader.load_domain(folder, 16, progress=False)


def test_fixed_faces_stay_when_others_are_added(tmp_path):
    for i in range(20):
        Image.new("RGB", (32, 32), (i,) * 3).save(tmp_path / f"25_0_0_{i}.png")
    before = data_loader.fixed_faces(tmp_path, 16, 5)
    np.testing.assert_array_equal(before, data_loader.fixed_faces(tmp_path, 16, 5))
    (tmp_path / "25_0_0_broken.png").write_text("")
    np.testing.assert_array_equal(before, data_loader.fixed_faces(tmp_path, 16, 5))


def test_sheet_of_a_batch(drawn, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["data_loader.py", str(drawn / "train"), "-o", str(tmp_path / "batch.png")])
    data_loader.main()
    assert "20s: 40 faces" in capsys.readouterr().out
    with Image.open(tmp_path / "batch.png") as sheet:
        assert min(sheet.size) > 400
