import dataclasses
import json
import math

import pytest
from conftest import TINY

import monitor
import recipe as recipes
import runs
from files import UserError

GOOD = {"adversarial_AB": 0.3, "adversarial_BA": 0.3, "cycle_A": 0.1, "cycle_B": 0.1, "identity_A": 0.1,
        "identity_B": 0.1, "consistency_A": 0.1, "consistency_B": 0.1, "colour_A": 0.1,
        "colour_B": 0.1, "label_A": 0.1, "label_B": 0.1, "d_A": 0.2, "d_B": 0.2, "classifier": 1.0,
        "g_gradient": 1.0, "d_gradient": 1.0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(monitor, "_tensorboard", lambda folder: None)
    return runs.Run.create(tmp_path / "runs", "tiny", recipes.parse(TINY, "tiny"))


def watch(run, losses, steps, start=0, phase=1):
    """Feed `losses` to a monitor for `steps` steps of a phase, the first training one if not told; what it said."""
    watcher = monitor.Monitor(run, run.recipe, 1000, start)
    said = []
    watcher.say = said.append
    watcher.begin(runs.plan(run.recipe, 10)[phase])
    for step in range(start + 1, start + steps + 1):
        watcher.add(step, losses, 0.01, 0.03)
    watcher.close()
    return said


def log(run):
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


def test_shares_are_weighted():
    weights = recipes.Loss(lambda_cycle=2.0, lambda_identity=0.5, lambda_consistency=1.5, lambda_colour=1.0,
                           lambda_label=2.0)
    share = monitor.shares(GOOD, weights)
    assert share == pytest.approx({"adversarial": 0.6 / 2, "cycle": 0.4 / 2, "identity": 0.1 / 2,
                                   "consistency": 0.3 / 2, "colour": 0.2 / 2, "label": 0.4 / 2})


@pytest.mark.parametrize(("change", "words"), [
    ({"cycle_A": 5.0}, "lower loss.lambda_cycle"), ({"identity_B": 30.0}, "lower loss.lambda_identity"),
    ({"label_A": 30.0}, "lower loss.lambda_label"),
    ({"adversarial_AB": 4.0}, "raise loss.lambda_cycle"), ({"d_B": 0.001}, "the loss of d_B fell to 0.0010")])
def test_what_goes_wrong_is_said_once_a_stage_and_which_way_to_turn(run, change, words):
    said = watch(run, GOOD | change, 400)
    assert len(said) == 1
    assert words in said[0]
    assert sum("warnings" in line for line in log(run)) == 1


def test_a_stage_with_its_own_weight_is_judged_by_it_and_told_its_key(run):
    first, second = run.recipe.stages
    own = dataclasses.replace(run.recipe, stages=(first, dataclasses.replace(second, lambda_cycle=0.0)))
    share = monitor.shares(GOOD | {"cycle_A": 5.0}, own.loss_of(own.stages[1]))
    assert share["cycle"] == 0
    share = monitor.shares(GOOD | {"cycle_A": 5.0}, own.loss_of(first))
    assert share["cycle"] > monitor.DOMINATES
    (_, said), = monitor.advice(share, GOOD, keys={"cycle": "stages.1.lambda_cycle"})
    assert said.endswith("lower stages.1.lambda_cycle")


def test_each_of_two_patchgans_is_judged_by_its_part(run):
    adversarial = GOOD | {"adversarial_AB": 2.0, "adversarial_BA": 2.0}
    assert len(watch(run, adversarial, 300)) == 1
    assert watch(run, adversarial, 300, phase=3) == []
    assert "the loss of d_A fell to 0.0075" in watch(run, GOOD | {"d_A": 0.015}, 300, phase=3)[0]


def test_nothing_is_said_when_all_is_well_or_too_early(run):
    assert watch(run, GOOD, 300) == []
    assert watch(run, GOOD | {"cycle_A": 50.0}, monitor.SETTLED - 1) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stops_and_is_named(run, value):
    watcher = monitor.Monitor(run, run.recipe, 1000, 0)
    watcher.begin(runs.plan(run.recipe, 10)[1])
    watcher.add(1, GOOD, 0.01, 0.03)
    with pytest.raises(UserError, match=f"step 2: cycle_A is {value}"):
        watcher.add(2, GOOD | {"cycle_A": value}, 0.01, 0.03)
    watcher.close()


def test_log_tells_speed_and_where_time_goes(run):
    watch(run, GOOD, 2)
    line, = log(run)
    assert line["data_s_per_step"] == pytest.approx(0.01)
    assert line["compute_s_per_step"] >= 0.03
    # two images a pair, two pairs a step
    assert line["faces_per_s"] == pytest.approx(4 / (line["data_s_per_step"] + line["compute_s_per_step"]))


def test_resuming_forgets_steps_that_come_again(run):
    watch(run, GOOD, 8)
    with open(run.folder / "log.jsonl", "a") as file:
        file.write('{"step": 9, "cut')
    watch(run, GOOD, 4, start=4)
    assert [line["step"] for line in log(run)] == [2, 4, 6, 8]
