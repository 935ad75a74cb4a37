"""Ordinary photos, judged where the oracle sees faces."""

import numpy as np
import pytest
from conftest import ROOT
from evaluation.oracle import ASTRONAUT, Lighter, Oracle
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation import crops, formulas
from ageing.evaluation.comparison import Unchanged
from ageing.evaluation.photos import change_outside, count, largest_rim_step, measure, photos_in, same_face
from ageing.faces.alignment import Placement


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(formulas, "RESAMPLES", 50)


@pytest.fixture
def paths(tmp_path):
    Image.open(ROOT / "samples/astronaut.jpg").save(tmp_path / "astronaut.png")
    Image.new("RGB", (200, 100), "green").save(tmp_path / "lawn.png")
    return photos_in(tmp_path)


def test_photos_are_compared_with_crops(paths, drawn):
    faces = crops.load(drawn / "train", ("20s", "50s"), 32, 12, Oracle())
    rows = measure({"some": (Lighter(20), Lighter(-20)), "none": (Unchanged(), Unchanged())}, paths,
                          {32: faces, 128: faces}, Oracle())
    for direction in ("age", "rejuvenate"):
        numbers = rows["some"][direction]
        everybody = numbers["groups"]["all faces"]
        assert (everybody["photos"]["faces"], everybody["crops"]["faces"]) == (1, 12)
        gain, *_ = everybody["photos"]["age gain, years"]
        assert 10 < gain < 20  # the rim of the face fades out
        of_crops, *_ = everybody["crops"]["age gain, years"]
        assert of_crops == pytest.approx(20, abs=1)
        assert everybody["photos"]["age gain, years, second judge"][0] == pytest.approx(gain / 2)
        for judge in ("age gain, years", "age gain, years, second judge"):
            assert everybody["photos / crops"][judge][0] == pytest.approx(gain / of_crops)
        assert everybody["photos"]["gender kept"][0] == everybody["photos"]["verified as the same person"][0] == 1
        assert rows["none"][direction]["groups"]["all faces"]["photos"]["age gain, years"] == (0, 0, 0)
        assert rows["none"][direction]["groups"]["all faces"]["photos / crops"]["age gain, years"] is None
        totals = numbers["totals"]
        assert totals.pop("seconds") > 0
        assert totals == {"photos": 2, "found": 1, "aligned": 1, "judged": 1, "missed": 0, "not seen by dlib": 0,
                          "change outside": 0, "rim step": 0}
        astronaut, lawn = numbers["photos"]
        assert (astronaut["photo"], astronaut["found"], astronaut["age gain, years"]) == ("astronaut.png", 1, gain)
        assert (lawn["photo"], lawn["found"], lawn["age gain, years"]) == ("lawn.png", 0, None)


def test_faces_that_a_generator_learned_to_translate_are_a_group_of_their_own(paths, drawn):
    class Young(Oracle):
        def read(self, faces, title=""):
            readings = super().read(faces)
            readings.ages[:], readings.second_ages[:] = 30, 38
            return readings

    rows = measure({"some": (Unchanged(), Unchanged())}, paths, {}, Young())["some"]
    assert [rows[direction]["groups"][title]["photos"]["faces"] for direction, title in (
        ("age", "faces that look under 35"), ("rejuvenate", "faces that look 35 or older"))] == [1, 0]
    assert all(group["crops"] is group["photos / crops"] is None for group in rows["age"]["groups"].values())


def test_what_is_missing_is_named(tmp_path, paths):
    with pytest.raises(UserError, match="none: no such folder"):
        photos_in(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: .*no photo"):
        photos_in(tmp_path / "empty")
    with pytest.raises(UserError, match="dlib finds no face of 60 pixels or more in 1 photo"):
        measure({"some": (Unchanged(), Unchanged())}, paths[1:], {}, Oracle())


def moved(factor=1.0, right=0.0):
    """The astronaut's placement, enlarged about its centre and moved by a share of its side."""
    side = np.hypot(*ASTRONAUT[:, 0])
    linear, centre = ASTRONAUT[:, :2], ASTRONAUT[:, :2].sum(1) / 2 + ASTRONAUT[:, 2]
    return np.hstack([factor * linear, (centre - factor * linear.sum(1) / 2 + [right * side, 0])[:, None]])


def test_placements_of_one_face_are_recognised():
    assert same_face(ASTRONAUT, moved(1.3, 0.2))
    assert not same_face(ASTRONAUT, moved(2.1))
    assert not same_face(ASTRONAUT, moved(0.45))
    assert not same_face(ASTRONAUT, moved(1, 0.4))


def test_missed_and_unseen_faces_are_counted():
    there, elsewhere, tiny = Placement(ASTRONAUT), Placement(moved(1, 2), False), Placement(moved(0.3, 4))
    expected = {"found": 3, "aligned": 2, "judged": 2, "missed": 1, "not seen by dlib": 1}
    assert count([there, elsewhere, tiny], [ASTRONAUT, moved(1, -2)]) == expected
    assert count([], []) == dict.fromkeys(expected, 0)
    assert count([], [ASTRONAUT])["missed"] == 1


def placement(left, top, side, degrees=0):
    """A placement whose upper left corner lies at (left, top), turned clockwise about it."""
    c, s = side * np.cos(np.radians(degrees)), side * np.sin(np.radians(degrees))
    return Placement(np.array([[c, -s, left], [s, c, top]], float))


def test_a_change_outside_of_the_placements_or_in_the_corners_beside_a_turned_one_is_seen():
    photo = np.full((60, 80, 3), 100, np.uint8)
    placements = [placement(-5, 10, 30), placement(60, 40, 30), placement(-90, 0, 30)]
    edited = photo.copy()
    edited[10:40, :25] = edited[40:, 60:] = 200
    assert change_outside(photo, edited, placements) == 0
    edited[39, 26] = 93
    assert change_outside(photo, edited, placements) == 7
    assert change_outside(photo, edited, []) == 100
    turned = placement(30, 10, 28, degrees=45)  # corners (30, 10), (50, 30), (30, 50), (10, 30)
    edited = photo.copy()
    edited[30, 12:48] = edited[12:48, 30] = 150
    assert change_outside(photo, edited, [turned]) == 0
    edited[14, 16] = 103
    assert change_outside(photo, edited, [turned]) == 3


@pytest.mark.parametrize("degrees", [0, 90])
def test_a_visible_rim_is_measured(degrees):
    photo = np.tile(np.arange(80, dtype=np.uint8)[None, :, None], (60, 1, 3))  # steps of 1
    edited = photo.copy()
    edited[10:40, 5:35] += 30
    seen = placement(5, 10, 30) if degrees == 0 else placement(35, 10, 30, 90)
    assert largest_rim_step(photo, edited, [seen]) == pytest.approx(30, abs=1)
    assert largest_rim_step(photo, photo, [seen]) == 0
    assert largest_rim_step(photo, edited, [placement(-100, -100, 30)]) == 0  # no rim in the photo


def test_a_visible_rim_of_a_turned_placement_is_measured():
    photo = np.full((60, 60, 3), 100, np.uint8)
    y, x = np.mgrid[:60, :60] + 0.5
    edited = np.where((abs(x - 30) + abs(y - 30) < 20)[..., None], np.uint8(120), photo)
    assert largest_rim_step(photo, edited, [placement(30, 10, 800 ** 0.5, 45)]) == 20
    assert largest_rim_step(photo, edited, [placement(30, 20, 200 ** 0.5, 45)]) == 0  # within the change


def test_a_rim_within_another_placement_is_none():
    photo = np.full((60, 80, 3), 100, np.uint8)
    edited = photo.copy()
    edited[10:40, 5:35] = 130
    alone, other = placement(15, 15, 10), placement(5, 10, 30)
    edited[15:25, 15:25] = 170
    assert largest_rim_step(photo, edited, [alone]) == 40
    assert largest_rim_step(photo, edited, [alone, other]) == 30  # the other's
    assert largest_rim_step(photo, edited, []) == 0
