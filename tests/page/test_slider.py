"""The slider's stops are what infer_faces.py --years does."""

import json

import pytest
from conftest import ROOT

from ageing.errors import UserError
from ageing.page import slider
from ageing.photos import calibration

BOTH = ("age", "rejuvenate")


def test_stops_are_whole_years_with_the_strengths_of_the_calibration():
    stops, measured = slider.stops(ROOT / "saved_models", BOTH)
    curves = calibration.load(ROOT / "saved_models").curves
    low, high = -int(curves["rejuvenate"].years[-1]), int(curves["age"].years[-1])
    assert [stop.value for stop in stops] == list(range(low, high + 1))
    for stop in stops:
        if stop.direction:
            strengths, _ = calibration.strengths(ROOT / "saved_models", [stop.direction], float(abs(stop.value)))
            assert stop.strength == strengths[stop.direction]
        else:
            assert (stop.value, stop.strength, stop.title) == (0, 0, "as it is")
    assert "evaluate.py" in measured
    first, last = stops[low - low], stops[-1]
    assert (first.direction, first.title) == ("rejuvenate", f"{-low} years younger")
    assert (last.direction, last.title) == ("age", f"{high} years older")
    assert last.expected.startswith("on average (95 % interval ")
    assert stops[low - low + -low + 1].title == "1 year older"
    assert 0.9 < stops[slider.start(stops)].strength < 1.1


def test_without_a_calibration_the_stops_are_strengths(tmp_path):
    stops, measured = slider.stops(tmp_path, BOTH)
    assert (len(stops), measured) == (61, "")
    assert [stop.strength for stop in stops[-3:]] == pytest.approx([1.4, 1.45, 1.5])
    assert [stop.direction for stop in stops[29:32]] == ["rejuvenate", None, "age"]
    assert stops[0].title == "younger, strength 1.50"
    assert stops[slider.start(stops)].strength == 1


def test_a_damaged_calibration_is_an_error(tmp_path):
    (tmp_path / "calibration.json").write_text(json.dumps({"age": {}}))
    with pytest.raises(UserError, match="calibration.json: not a calibration"):
        slider.stops(tmp_path, BOTH)
