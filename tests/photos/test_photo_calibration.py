"""Which strength makes a face how many years older or younger."""

import json

import pytest

from ageing.errors import UserError
from ageing.photos import calibration

# Drawn, not measured. The third point of ageing lies below the second, as noise does it.
CURVES = {"age": {"strength": [0, 0.5, 1, 1.5], "years": [0, 6, 5, 12], "low": [0, 5, 4, 10], "high": [0, 7, 6.5, 14]},
          "rejuvenate": {"strength": [0, 1], "years": [0, 4], "low": [0, 3], "high": [0, 5]},
          "measured": "Drawn for a test."}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, CURVES)
    return tmp_path


def write(folder, content):
    (folder / "calibration.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("years", "strength", "interval"), [
    (0, 0, (0, 0)), (3, 0.25, (2.5, 3.5)), (6, 0.5, (5, 7)), (9, 1.25, (7, 10.25)), (12, 1.5, (10, 14))])
def test_the_smallest_strength_on_the_curve_that_never_falls(folder, years, strength, interval):
    found, bounds = calibration.load(folder).strength_for("age", years)
    assert found == pytest.approx(strength)
    assert bounds == pytest.approx(interval)


def test_the_interval_holds_the_years(folder):
    noisy = {"strength": [0, 0.5, 1, 1.5], "years": [0, 8, 5, 9], "low": [0, 7, 4, 8], "high": [0, 9, 6, 10]}
    write(folder, CURVES | {"age": noisy})
    assert calibration.load(folder).strength_for("age", 8) == (0.5, (7, 9))
    assert calibration.load(folder).strength_for("age", 8.5) == (1.25, (6, 8.5))  # measured: 6 to 8


def test_out_of_reach_says_how_far_it_goes(folder):
    with pytest.raises(calibration.OutOfReach,
                       match=r"--years 13: .* at most 12 years older \(95 % interval 10 to 14\), at strength 1\.5"):
        calibration.load(folder).strength_for("age", 13)
    with pytest.raises(calibration.OutOfReach, match=r"at most 4 years younger"):
        calibration.load(folder).strength_for("rejuvenate", 4.1)


def test_strengths_and_what_to_expect(folder):
    strengths, lines = calibration.strengths(folder, ("age", "rejuvenate"), years=3)
    assert strengths == {"age": 0.25, "rejuvenate": 0.75}
    assert lines == ["about 3 years older on average (95 % interval 2.5 to 3.5), strength 0.25",
                     "about 3 years younger on average (95 % interval 2.2 to 3.8), strength 0.75"]
    assert calibration.strengths(folder, ["age"]) == ({"age": 1.0}, [])
    assert calibration.strengths(folder, ["age"], strength=0) == ({"age": 0}, [])


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match=r"calibration.json: no such file.*evaluate.py .*--weights"):
        calibration.load(tmp_path)


@pytest.mark.parametrize("damage", [
    {"age": None}, {"age": {}},
    {"age": CURVES["age"] | {"low": [0, 1]}}, {"age": CURVES["age"] | {"years": [0, 1, 2, "x"]}},
    {"age": CURVES["age"] | {"strength": [0, 1, 1, 2]}}, {"age": CURVES["age"] | {"high": [0, 1, 2, float("nan")]}}])
def test_a_damaged_file_is_named(folder, damage):
    write(folder, CURVES | damage)
    with pytest.raises(UserError, match="calibration.json: not a calibration"):
        calibration.load(folder)


def test_no_json_at_all(folder):
    (folder / "calibration.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match="calibration.json: not a calibration"):
        calibration.load(folder)
