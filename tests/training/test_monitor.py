import dataclasses
import json
import math
import subprocess

import numpy as np
import pytest
from conftest import TINY, python
from PIL import Image
from training_pieces import GOOD_LOSSES as GOOD

from ageing.errors import UserError
from ageing.training import monitor, recipe_file
from ageing.training.plan import plan
from ageing.training.runs import Run


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = recipe_file.parse(TINY | {"monitor": {"log_every": 2}}, "tiny")
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


def test_shares_are_weighted():
    weights = {"adversarial": 1.0, "cycle": 2.0, "identity": 0.5, "consistency": 1.5, "colour": 1.0, "label": 2.0}
    share = monitor.shares(GOOD, weights)
    assert share == pytest.approx({"adversarial": 0.6 / 2, "cycle": 0.4 / 2, "identity": 0.1 / 2,
                                   "consistency": 0.3 / 2, "colour": 0.2 / 2, "label": 0.4 / 2})


def test_a_stage_with_its_own_weight_is_judged_by_it_and_told_its_key():
    recipe = recipe_file.parse(TINY, "tiny")
    first, second = recipe.stages
    own = dataclasses.replace(recipe, stages=(first, dataclasses.replace(second, lambda_cycle=0.0)))
    share = monitor.shares(GOOD | {"cycle_AB": 5.0}, own.weights(own.stages[1]))
    assert share["cycle"] == 0
    share = monitor.shares(GOOD | {"cycle_AB": 5.0}, own.weights(first))
    assert share["cycle"] > monitor.DOMINATES
    (_, said), = monitor.advice(share, GOOD, own.weight_keys(own.stages[1]))
    assert said.endswith("lower stages.1.lambda_cycle")


def test_curves_are_drawn_from_a_log_that_is_being_written(tmp_path):
    lines = [{"step": s, "phase": "train", "size": 64 if s < 5 else 128, "d_A": 0.2, "cycle_AB": 0.1, "label_AB": 0.0}
             for s in range(9)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 9, "pha')
    monitor.save_curves(tmp_path / "log.jsonl", tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert np.asarray(picture).std() > 1


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "widget"])
def test_curves_are_drawn_whatever_a_notebook_has_set(tmp_path, backend):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "phase": "train", "size": 64, "d_A": 0.2}\n')
    command, settings = python("-c", "from ageing.training.monitor import save_curves\n"
                               "save_curves('log.jsonl', 'losses.png')", cwd=tmp_path, env={"MPLBACKEND": backend})
    done = subprocess.run(command, check=False, capture_output=True, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "losses.png").is_file()


def test_a_small_term_is_seen_beside_a_large_one(tmp_path, monkeypatch):
    """Ten terms on one linear axis: all but the adversarial ones lay on zero."""
    import matplotlib.figure

    drawn = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *a, **k: drawn.append(figure))
    lines = [{"step": s, "phase": "train", "size": 64, "adversarial_AB": 0.9, "cycle_AB": 0.01, "cycle_BA": 0.01,
              "share_adversarial": 0.98, "share_cycle": 0.02} for s in range(9)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    monitor.save_curves(tmp_path / "log.jsonl", tmp_path / "losses.png")
    terms, shares, _ = drawn[0].axes
    assert terms.get_yscale() == "log"
    curves = {line.get_label(): line for line in terms.get_lines() if line.get_label()[0] != "_"}
    low, high = terms.transAxes.inverted().transform(
        [terms.transData.transform((4, curves[name].get_ydata()[4])) for name in ("cycle_AB", "adversarial_AB")])[:, 1]
    assert 0.2 < low < high - 0.2
    assert curves["cycle_AB"].get_color() == curves["cycle_BA"].get_color() == monitor.COLOURS["cycle"]
    for way in ("AB", "BA"):
        assert curves[f"cycle_{way}"].get_linestyle() == monitor.STYLES[way]
    assert {line.get_label() for line in shares.get_lines()} >= {"adversarial", "cycle"}
