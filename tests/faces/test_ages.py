"""What is asked of a face, and the ages between those that were translated."""

import numpy as np
import pytest
from conftest import Stub

from ageing.faces import ages
from ageing.faces.alignment import placement_of
from ageing.faces.blending import Change
from ageing.faces.direction import Direction


class Told(Stub):
    ages = 45, 85

    def told(self, age):
        return Told(age)


def test_targets_of_ages():
    young, old = ages.of_ages([28, 70], {Direction.REJUVENATE: Stub(-1), Direction.AGE: Told(0)}, 0.5)
    assert (young.name, young.direction, young.age, young.amount) == ("28", "rejuvenate", 28, pytest.approx(0.4))
    assert (old.name, old.direction, old.translator.grey, old.amount) == ("70", "age", 70, 0.5)


def known(**deltas):
    return {int(age[1:]): [Change(placement_of((0, 0, 9, 9)), np.full((2, 2, 3), delta, np.float32))]
            for age, delta in deltas.items()}


@pytest.mark.parametrize(("age", "delta"), [(20, -6), (25, -6), (30, -4), (40, 0), (42.5, 5), (45, 10), (50, 15),
                                            (55, 20), (85, 20)])
def test_an_age_between_is_a_blend_of_its_neighbours(age, delta):
    change, = ages.in_between(known(a25=-6, a45=10, a55=20), age)
    np.testing.assert_allclose(change.delta, delta, rtol=1e-6)


def test_a_tour_passes_the_photo_and_comes_back():
    told = ages.Tour(ages.stops({Direction.REJUVENATE: Stub(-1), Direction.AGE: Told(0)}))
    assert list(told.stops) == [25, 45, 55, 65, 75, 85]
    titles, at, _ = zip(*told.loop, strict=True)
    middle = len(at) // 2
    assert (titles[0], titles[10], titles[11], titles[middle], titles[-1]) == ("20", "photo", "40", "85", "22")
    assert (at[0], at[10], at[11], at[middle], at[-1]) == (20, 40, 40.5, 85, 22)
    assert at[1:middle] == at[:middle:-1]
    one = ages.Tour(ages.stops({Direction.REJUVENATE: Stub(-1, "20s"), Direction.AGE: Stub(1)}))
    titles, at, _ = zip(*one.loop, strict=True)
    assert list(dict.fromkeys(titles)) == ["20s", "photo", "50s"]
    assert (min(at), max(at)) == (25, 55)


def test_a_tour_ends_with_the_oldest_that_can_be_told(monkeypatch):
    monkeypatch.setattr(Told, "ages", (35, 75))     # below 40 the other generator leads
    tour = ages.Tour(ages.stops({Direction.REJUVENATE: Stub(-1), Direction.AGE: Told(0)}))
    assert list(tour.stops) == [25, 45, 55, 65, 75]
    assert max((age, title) for title, age, _ in tour.loop) == (75, "75")
