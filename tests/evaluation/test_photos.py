"""Ordinary photos, judged where the oracle sees faces."""

import numpy as np
import pytest
from conftest import ROOT
from evaluation.oracle import ASTRONAUT, Lighter, Oracle, Told
from PIL import Image

from ageing.errors import UserError
from ageing.evaluation import comparison, formulas, metrics, natural
from ageing.evaluation.comparison import Unchanged
from ageing.evaluation.photos import count, measure, photos_in, same_face
from ageing.faces.alignment import Placement


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(formulas, "RESAMPLES", 50)


@pytest.fixture
def paths(tmp_path):
    Image.open(ROOT / "samples/astronaut.jpg").save(tmp_path / "astronaut.png")
    Image.new("RGB", (200, 100), "green").save(tmp_path / "lawn.png")
    return photos_in(tmp_path)


def plans(**pairs):
    return {name: comparison.ways(pair, "20s", "50s") for name, pair in pairs.items()}


def test_the_faces_of_photos_are_measured(paths):
    rows = measure(plans(some=(Lighter(20), Lighter(-20)), none=(Unchanged(), Unchanged())), paths, Oracle())
    for title in ("age", "rejuvenate"):
        numbers = rows["some"][title]
        everybody = numbers["groups"]["all faces"]
        assert everybody["faces"] == 1
        gain, *_ = everybody["age gain, years"]
        assert 10 < gain < 20  # the rim of the face fades out
        assert everybody["age gain, years, second judge"][0] == pytest.approx(gain / 2)
        assert everybody["gender kept"][0] == everybody["verified as the same person"][0] == 1
        assert everybody["error against the age told, years"] is None
        assert abs(everybody["brows, L*"]["outputs"][0]) < 1  # the skin is as much lighter
        assert 0 < everybody[natural.OUTSIDE]["outputs"][0] < 0.1  # a change ends at the face's outline
        unchanged = rows["none"][title]["groups"]["all faces"]
        assert unchanged["age gain, years"] == unchanged[natural.OUTSIDE]["outputs"] == (0, 0, 0)
        totals = numbers["totals"]
        assert totals.pop("seconds") > 0
        assert totals == {"photos": 2, "found": 1, "aligned": 1, "judged": 1, "missed": 0, "not seen by dlib": 0}
        astronaut, lawn = numbers["photos"]
        assert (astronaut["photo"], astronaut["found"], astronaut["age gain, years"]) == ("astronaut.png", 1, gain)
        assert (lawn["photo"], lawn["found"], lawn["age gain, years"]) == ("lawn.png", 0, None)


def test_photos_gain_years_at_every_age_told(paths):
    row = measure(plans(some=(Told(), Lighter(-20))), paths[:1], Oracle())["some"]
    gains = [row[f"told {age}"]["groups"]["all faces"]["age gain, years"][0] for age in (45, 55, 65)]
    assert gains == sorted(gains)
    assert 0 < gains[0] < 5
    everybody = row["told 65"]["groups"]["all faces"]
    assert everybody["error against the age told, years"][0] == pytest.approx(
        abs(everybody["estimated age, outputs"][0] - 65))
    assert everybody[metrics.RISES][0] == 1
    assert metrics.RISES not in row["rejuvenate"]["groups"]["all faces"]


def test_faces_that_a_generator_learned_to_translate_are_a_group_of_their_own(paths, drawn):
    class Young(Oracle):
        def read(self, faces, title=""):
            readings = super().read(faces)
            readings.ages[:], readings.second_ages[:] = 30, 38
            return readings

    row = measure(plans(some=(Unchanged(), Unchanged())), paths, Young())["some"]
    assert row["age"]["groups"]["faces that look under 35"]["faces"] == 1
    assert row["rejuvenate"]["groups"]["faces that look 35 or older"] == {"faces": 0}


def test_what_is_missing_is_named(tmp_path, paths):
    with pytest.raises(UserError, match="none: no such folder"):
        photos_in(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: .*no photo"):
        photos_in(tmp_path / "empty")
    with pytest.raises(UserError, match="dlib finds no face of 60 pixels or more in 1 photo"):
        measure(plans(some=(Unchanged(), Unchanged())), paths[1:], Oracle())


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
