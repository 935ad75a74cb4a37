import json
import math

import pytest
from conftest import TINY
from training_pieces import GOOD_LOSSES as GOOD

from ageing.errors import UserError
from ageing.training import monitor, recipe_check
from ageing.training.plan import plan
from ageing.training.runs import Run


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(monitor, "_tensorboard", lambda folder: None)
    recipe = recipe_check.parse(TINY | {"monitor": {"log_every": 2}}, "tiny")
    return Run.create(tmp_path / "runs", "tiny", recipe)


def watch(run, losses, steps, start=0, phase=1):
    """Feed `losses` to a monitor for `steps` steps of a phase, the first training one if not told; what it said."""
    watcher = monitor.Monitor(run, run.recipe, 1000, start)
    said = []
    watcher.say = said.append
    watcher.begin(plan(run.recipe, 10)[phase])
    for step in range(start + 1, start + steps + 1):
        watcher.add(step, losses, 0.01, 0.03)
    watcher.close()
    return said


def log(run):
    return [json.loads(line) for line in run.log.read_text().splitlines()]


@pytest.mark.parametrize(("change", "words"), [
    ({"cycle_AB": 5.0}, "lower loss.lambda_cycle"), ({"identity_AB": 30.0}, "lower loss.lambda_identity"),
    ({"label_AB": 30.0}, "lower loss.lambda_label"),
    ({"adversarial_AB": 4.0}, "raise loss.lambda_cycle"), ({"d_B": 0.001}, "the loss of d_B fell to 0.0010")])
def test_what_goes_wrong_is_said_once_a_stage_and_which_way_to_turn(run, change, words):
    said = watch(run, GOOD | change, 400)
    assert len(said) == 1
    assert words in said[0]
    assert sum("warnings" in line for line in log(run)) == 1


def test_each_of_two_patchgans_is_judged_by_its_part(run):
    adversarial = GOOD | {"adversarial_AB": 2.0, "adversarial_BA": 2.0}
    assert len(watch(run, adversarial, 300)) == 1
    assert watch(run, adversarial, 300, phase=3) == []
    assert "the loss of d_A fell to 0.0075" in watch(run, GOOD | {"d_A": 0.015}, 300, phase=3)[0]


def test_nothing_is_said_when_all_is_well_or_too_early(run):
    assert watch(run, GOOD, 300) == []
    assert watch(run, GOOD | {"cycle_AB": 50.0}, monitor.SETTLED - 1) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stops_and_is_named(run, value):
    watcher = monitor.Monitor(run, run.recipe, 1000, 0)
    watcher.begin(plan(run.recipe, 10)[1])
    watcher.add(1, GOOD, 0.01, 0.03)
    with pytest.raises(UserError, match=f"step 2: cycle_AB is {value}"):
        watcher.add(2, GOOD | {"cycle_AB": value}, 0.01, 0.03)
    watcher.close()


def test_log_tells_speed_and_where_time_goes(run):
    watch(run, GOOD, 2)
    line, = log(run)
    assert line["data_s_per_step"] == pytest.approx(0.01)
    assert line["compute_s_per_step"] >= 0.03
    # two images a pair, two pairs per step
    assert line["faces_per_s"] == pytest.approx(4 / (line["data_s_per_step"] + line["compute_s_per_step"]))


def test_resuming_forgets_steps_that_come_again(run):
    watch(run, GOOD, 8)
    with open(run.log, "a") as file:
        file.write('{"step": 9, "cut')
    watch(run, GOOD, 4, start=4)
    assert [line["step"] for line in log(run)] == [2, 4, 6, 8]
