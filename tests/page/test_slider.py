"""The slider's stops are strengths, those of infer_faces.py --strength."""

from ageing.page import slider


def test_stops_are_strengths_from_the_youngest_to_the_oldest():
    stops = slider.stops(("age", "rejuvenate"))
    assert [stop.strength for stop in stops] == [abs(i) / 20 for i in range(-30, 31)]
    assert [stop.direction for stop in stops[29:32]] == ["rejuvenate", None, "age"]
    assert (stops[0].title, stops[30].title, stops[-1].title) == (
        "younger, strength 1.50", "as it is", "older, strength 1.50")
    assert stops[slider.start(stops)] == ("age", 1, "older, strength 1.00")


def test_a_direction_without_a_generator_has_no_stops():
    assert {stop.direction for stop in slider.stops(("age",))} == {None, "age"}
