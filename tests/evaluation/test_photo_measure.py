"""Ordinary photos, judged where the oracle sees faces."""

import numpy as np
import pytest
from conftest import ROOT
from evaluation.oracle import ASTRONAUT, Lighter, Oracle
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation import metrics, validation_set
from ageing.evaluation.photo_measure import count, measure_photos, photos_in, same_face
from ageing.evaluation.translation import Unchanged
from ageing.photos.alignment import Frame


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 50)


@pytest.fixture
def paths(tmp_path):
    Image.open(ROOT / "samples/astronaut.jpg").save(tmp_path / "astronaut.png")
    Image.new("RGB", (200, 100), "green").save(tmp_path / "lawn.png")
    return photos_in(tmp_path)


def test_photos_are_compared_with_crops(paths, drawn):
    crops = validation_set.load(drawn / "train", ("20s", "50s"), 32, 12, Oracle())
    rows = measure_photos({"some": (Lighter(20), Lighter(-20)), "none": (Unchanged(), Unchanged())}, paths,
                          {"some": crops, "none": crops}, Oracle())
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
            readings.ages[:], readings.second.ages[:] = 30, 38
            return readings

    rows = measure_photos({"some": (Unchanged(), Unchanged())}, paths, {}, Young())["some"]
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
        measure_photos({"some": (Unchanged(), Unchanged())}, paths[1:], {}, Oracle())


def moved(factor=1.0, right=0.0):
    """The astronaut's frame, enlarged about its centre and moved by a share of its side."""
    side = np.hypot(*ASTRONAUT[:, 0])
    linear, centre = ASTRONAUT[:, :2], ASTRONAUT[:, :2].sum(1) / 2 + ASTRONAUT[:, 2]
    return np.hstack([factor * linear, (centre - factor * linear.sum(1) / 2 + [right * side, 0])[:, None]])


def test_frames_of_one_face_are_recognised():
    assert same_face(ASTRONAUT, moved(1.3, 0.2))
    assert not same_face(ASTRONAUT, moved(2.1))
    assert not same_face(ASTRONAUT, moved(0.45))
    assert not same_face(ASTRONAUT, moved(1, 0.4))


def test_missed_and_unseen_faces_are_counted():
    there, elsewhere, tiny = Frame(ASTRONAUT, True), Frame(moved(1, 2), False), Frame(moved(0.3, 4), True)
    expected = {"found": 3, "aligned": 2, "judged": 2, "missed": 1, "not seen by dlib": 1}
    assert count([there, elsewhere, tiny], [ASTRONAUT, moved(1, -2)]) == expected
    assert count([], []) == dict.fromkeys(expected, 0)
    assert count([], [ASTRONAUT])["missed"] == 1
