"""The slider goes through strengths, or through ages if a generator can be told them; ends and middle are right."""

import pytest

from ageing.faces.direction import Direction, aim
from ageing.page.slider import Layer, Slider, Stop

AGES = 45.0, 85.0


def test_of_generators_of_one_domain_the_stops_are_strengths():
    slider = Slider()
    assert [stop.strength for stop in slider.stops] == [abs(i) / 20 for i in range(-30, 31)]
    assert [stop.made and stop.made.direction for stop in slider.stops[29:32]] == ["rejuvenate", None, "age"]
    assert [slider.stops[i].title for i in (0, 29, 30, 31, 45, -1)] == [
        "much younger", "a little younger", "as it is", "a little older", "older", "much older"]
    assert slider.stops[slider.start][1:3] == (Layer(Direction.AGE), 1)
    assert all(stop.shown == {slider.layers.index(stop.made): stop.strength} for stop in slider.stops if stop.made)


def test_told_ages_go_from_20_to_85_and_each_stop_differs_from_the_one_before():
    slider = Slider(AGES)
    names = [stop.name for stop in slider.stops]
    assert names == ["20", *map(str, range(26, 40)), "", *map(str, range(45, 86))]
    assert slider.stops[names.index("")] == Stop("as it is")
    assert slider.stops[slider.start].name == "55"
    pictures = [tuple(stop.shown.items()) for stop in slider.stops]
    assert len(set(pictures)) == len(pictures)


def test_what_is_downloaded_is_what_aim_says_for_the_age():
    for stop in Slider(AGES).stops:
        if stop.name:
            assert (*stop.made, stop.strength) == aim(int(stop.name))


def test_ages_between_two_layers_are_their_mean_by_distance():
    slider = Slider(AGES)
    told = {stop.name: {slider.layers[i].told: share for i, share in stop.shown.items()} for stop in slider.stops}
    assert (told["45"], told["55"], told["85"]) == ({45: 1}, {55: 1}, {85: 1})
    assert told["62"] == pytest.approx({55: 0.3, 65: 0.7})
    assert told["30"] == pytest.approx({None: 2 / 3})
    assert slider.layers[0].told == 55      # comes with the photo


@pytest.mark.parametrize(("ages", "youngest", "oldest"), [((40, 80), 40, 80), ((30, 60), 40, 60), ((50, 85), 50, 85)])
def test_the_slider_ends_where_the_generator_does(ages, youngest, oldest):
    stops = [stop for stop in Slider(ages).stops if stop.made]
    older = [int(stop.name) for stop in stops if stop.made.told]
    assert (older[0], older[-1]) == (youngest, oldest)
    assert stops[len(stops) - len(older) - 1].name == "39"
