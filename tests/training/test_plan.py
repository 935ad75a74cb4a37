import dataclasses

import pytest
from conftest import TINY

from ageing.training import recipe_check
from ageing.training.plan import plan
from ageing.training.recipe import Finish, Stage


def one_phase(**stage):
    recipe = recipe_check.parse(TINY, "tiny")
    return plan(dataclasses.replace(recipe, stages=(Stage(16, 4, 0.1, **stage),),
                                    finish=Finish()), epoch=10)


def test_plan_lays_phases_end_to_end():
    phases = plan(recipe_check.parse(TINY, "tiny"), 40)
    assert [(p.kind, p.stage.size, p.start, p.stop, p.batch_size) for p in phases] == [
        ("warm", 16, 0, 1, 4), ("train", 16, 1, 4, 2), ("warm", 32, 4, 5, 4), ("train", 32, 5, 7, 2),
        ("finish", 32, 7, 9, 2)]


def test_epochs_count_pairs():
    phase, = one_phase(epochs=2)
    assert phase.stop == 5  # 2 x 10 pairs in batches of 4


def test_discriminator_steps_with_batches_of_their_own_are_counted():
    recipe = recipe_check.parse({**TINY, "adversary": TINY["adversary"] | {"steps": 2}}, "tiny")
    assert [p.d_rounds for p in plan(recipe, 40)] == [0, 2, 0, 2, 0]
    phase, = one_phase(steps=8)
    assert phase.d_rounds == 0  # they see the generators' batch


def test_learning_rate_falls_linearly_in_the_second_half_of_each_stage():
    phase, = one_phase(steps=8)
    assert [phase.learning_rate(s) for s in range(8)] == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])
