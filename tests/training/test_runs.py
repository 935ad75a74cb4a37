import dataclasses

import pytest
from conftest import TINY

import recipe as recipes
import runs
from files import UserError


def plan(**stage):
    recipe = recipes.parse(TINY, "tiny")
    return runs.plan(dataclasses.replace(recipe, stages=(recipes.Stage(16, 4, 0.1, **stage),)), epoch=10)


def test_plan_lays_phases_end_to_end():
    phases = runs.plan(recipes.parse(TINY, "tiny"), 40)
    assert [(p.kind, p.stage.size, p.start, p.stop, p.batch_size) for p in phases] == [
        ("warm", 16, 0, 2, 4), ("train", 16, 2, 6, 2), ("warm", 32, 6, 7, 4), ("train", 32, 7, 10, 2)]


def test_epochs_count_pairs():
    phase, = plan(epochs=2)
    assert phase.stop == 5  # 2 x 10 pairs in batches of 4


def test_discriminator_steps_with_batches_of_their_own_are_counted():
    recipe = recipes.parse({**TINY, "adversary": TINY["adversary"] | {"steps": 2}}, "tiny")
    assert [p.d_rounds for p in runs.plan(recipe, 40)] == [0, 2, 0, 2]
    phase, = plan(steps=8)
    assert phase.d_rounds == 0  # they see the generators' batch


def test_learning_rate_falls_linearly_in_the_second_half_of_each_stage():
    phase, = plan(steps=8)
    assert [phase.learning_rate(s) for s in range(8)] == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])


def test_runs_are_numbered(tmp_path):
    recipe = recipes.parse(TINY, "tiny")
    names = [runs.Run.create(tmp_path, "tiny", recipe).name for _ in range(2)]
    assert names == ["00001-tiny", "00002-tiny"]
    assert runs.Run.open(tmp_path / "00001-tiny").recipe == recipe
    with pytest.raises(UserError, match=r"not a run folder.*00001-tiny"):
        runs.Run.open(tmp_path / "00003-tiny")
