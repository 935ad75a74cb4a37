"""The slider's stops are strengths, those of infer_faces.py --strength."""

from ageing.page.slider import START, STOPS


def test_stops_are_strengths_from_the_youngest_to_the_oldest():
    assert [stop.strength for stop in STOPS] == [abs(i) / 20 for i in range(-30, 31)]
    assert [stop.direction for stop in STOPS[29:32]] == ["rejuvenate", None, "age"]
    assert [STOPS[i].title for i in (0, 30, -1)] == ["younger, strength 1.50", "as it is", "older, strength 1.50"]
    assert STOPS[START] == ("age", 1, "older, strength 1.00")
