import dataclasses

import pytest
from conftest import TINY
from training_pieces import GOOD_LOSSES as GOOD

from ageing.training import advice, recipe_check


def test_shares_are_weighted():
    weights = {"adversarial": 1.0, "cycle": 2.0, "identity": 0.5, "consistency": 1.5, "colour": 1.0, "label": 2.0}
    share = advice.shares(GOOD, weights)
    assert share == pytest.approx({"adversarial": 0.6 / 2, "cycle": 0.4 / 2, "identity": 0.1 / 2,
                                   "consistency": 0.3 / 2, "colour": 0.2 / 2, "label": 0.4 / 2})


def test_a_stage_with_its_own_weight_is_judged_by_it_and_told_its_key():
    recipe = recipe_check.parse(TINY, "tiny")
    first, second = recipe.stages
    own = dataclasses.replace(recipe, stages=(first, dataclasses.replace(second, lambda_cycle=0.0)))
    share = advice.shares(GOOD | {"cycle_AB": 5.0}, own.weights(own.stages[1]))
    assert share["cycle"] == 0
    share = advice.shares(GOOD | {"cycle_AB": 5.0}, own.weights(first))
    assert share["cycle"] > advice.DOMINATES
    (_, said), = advice.advice(share, GOOD, own.weight_keys(own.stages[1]))
    assert said.endswith("lower stages.1.lambda_cycle")
