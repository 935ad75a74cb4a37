import numpy as np

from ageing.training.engine import Engine


def test_random_numbers_depend_on_seed_step_and_purpose():
    engine = Engine(seed=1)
    first = engine.uniform([4], 0).numpy()
    np.testing.assert_array_equal(first, engine.uniform([4], 0))
    assert not np.array_equal(first, engine.uniform([4], 1))
    assert not np.array_equal(first, Engine(seed=2).uniform([4], 0))
    engine.step.assign_add(1)
    assert not np.array_equal(first, engine.uniform([4], 0))
