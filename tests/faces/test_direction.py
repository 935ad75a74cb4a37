import pytest

from ageing.faces.direction import AS_IT_IS, OLDEST, YOUNGEST, Direction, aim


@pytest.mark.parametrize(("age", "direction", "told", "share"), [
    (YOUNGEST, "rejuvenate", None, 1.0), (25, "rejuvenate", None, 1.0), (32.5, "rejuvenate", None, 0.5),
    (39, "rejuvenate", None, 1 / 15), (AS_IT_IS, "age", 40, 1.0), (OLDEST, "age", 85, 1.0)])
def test_which_generator_leads_to_an_age(age, direction, told, share):
    assert aim(age) == (Direction(direction), told, pytest.approx(share))
