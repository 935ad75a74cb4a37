"""train.py --minutes: what is left of a recipe. The tiny recipe: warm 1, 16 px 3, warm 1, 32 px 2, finish 2 steps."""

import time
import types

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY, checkpoint_values, write_recipe
from keras import ops
from training_pieces import NoiseFaces

import train
from ageing.training import recipe_file, time_limit
from ageing.training.cyclegan import CycleGAN
from ageing.training.plan import plan
from ageing.training.runs import Run

LONG = TINY | {"stages": [TINY["stages"][0] | {"steps": 300, "warm_start_steps": 100},
                          TINY["stages"][1] | {"steps": None, "epochs": 10, "warm_start_steps": 100}],
               "finish": {"steps": 100, "batch_size": 2}}  # 10 epochs of 40 pairs in batches of 2: 200 steps


@pytest.fixture
def limit(monkeypatch):
    """Ten minutes that begin at 0 o'clock, of which nothing is gone. Steps take 1, 2, 1, 4 and 1 seconds."""
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    limit = time_limit.TimeLimit(10, 0.0)
    limit.seconds = dict(enumerate([1.0, 2.0, 1.0, 4.0, 1.0]))
    limit.full = dict(enumerate([100, 300, 100, 200, 100]))
    return limit


def lengths(recipe):
    return [phase.stop - phase.start for phase in plan(recipe, 40)]


def test_every_phase_is_shortened_by_one_factor(limit):
    recipe = recipe_file.parse(LONG, "long")
    assert lengths(recipe) == [100, 300, 100, 200, 100]  # 1,700 seconds
    shorter, told = limit.shorten(recipe, plan(recipe, 40), 0)
    factor = 600 * time_limit.FOR_STEPS / 1700
    assert lengths(shorter) == [int(n * factor) for n in (100, 300, 100, 200, 100)]
    assert recipe_file.parse(yaml.safe_load(recipe_file.dump(shorter)), "shorter") == shorter
    assert told.startswith("--minutes 10 leaves time for 32% of the steps: 16px warm start 31 steps of 1 s, 16px 95 ")


@pytest.mark.parametrize("slower", [0.1, 1.0, 1.5])
def test_lost_and_won_time_is_shared_by_what_follows(limit, monkeypatch, slower):
    recipe = recipe_file.parse(LONG, "long")
    recipe, _ = limit.shorten(recipe, plan(recipe, 40), 0)
    before = lengths(recipe)
    clock = slower * (before[0] + 2.0 * before[1])  # after two phases, grids and all
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    changed, told = limit.shorten(recipe, plan(recipe, 40), before[0] + before[1])
    assert lengths(changed)[:2] == before[:2]
    factor = (600 * time_limit.FOR_STEPS - clock) / (100 + 4 * 200 + 100)
    assert lengths(changed)[2:] == [int(n * factor) for n in (100, 200, 100)]
    assert (factor > 0.33) == (slower < 1)
    assert "16px" not in told


def test_a_run_is_never_longer_than_its_recipe(limit):
    recipe = recipe_file.parse(LONG, "long")
    limit.end = 1e6
    assert lengths(limit.shorten(recipe, plan(recipe, 40), 0)[0]) == [100, 300, 100, 200, 100]
    assert lengths(limit.shorten(recipe, plan(recipe, 40), 150)[0]) == [100, 300, 100, 200, 100]


def test_of_a_phase_that_has_begun_the_rest_is_shortened(limit):
    recipe = recipe_file.parse(LONG, "long")
    for place in (0,):  # it is over
        del limit.seconds[place], limit.full[place]
    factor = 600 * time_limit.FOR_STEPS / (2 * 250 + 100 + 4 * 200 + 100)
    assert lengths(limit.shorten(recipe, plan(recipe, 40), 150)[0]) == [
        100, 50 + int(250 * factor), int(100 * factor), int(200 * factor), int(100 * factor)]


def test_time_enough_changes_nothing(limit):
    recipe = recipe_file.parse(TINY, "tiny")
    limit.full = dict(enumerate([1, 3, 1, 2, 2]))
    shorter, told = limit.shorten(recipe, plan(recipe, 40), 0)
    assert lengths(shorter) == lengths(recipe) == [1, 3, 1, 2, 2]
    assert "100% of the steps" in told


def test_no_time_at_all_leaves_a_step_of_each(limit, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1e6)
    recipe = recipe_file.parse(LONG, "long")
    assert lengths(limit.shorten(recipe, plan(recipe, 40), 0)[0]) == [1, 1, 1, 1, 1]


def test_timing_a_step_leaves_no_trace(eager, tiny, monkeypatch):
    monkeypatch.setattr(time_limit, "TIMED", 1)
    recipe = recipe_file.parse(tiny, "tiny")
    gan = CycleGAN(recipe, recipe.stages[0])
    gan.step = 5
    before = [ops.convert_to_numpy(v).copy() for some in gan.state().values() for v in some]
    limit = time_limit.TimeLimit(1, 0.0)
    for place, phase in enumerate(plan(recipe, 40)[:2]):
        limit.measure(place, phase, gan, NoiseFaces(16))
        assert limit.seconds[place] > 0
    after = [ops.convert_to_numpy(v) for some in gan.state().values() for v in some]
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    assert (gan.step, limit.full) == (5, {0: 1, 1: 3})


GPU = types.SimpleNamespace(gpu_names=lambda: ["H200"])
NONE = types.SimpleNamespace(gpu_names=list)


def test_a_forecast_is_made_without_a_gpu_of_recipes_that_take_long(monkeypatch):
    phases, timed = plan(recipe_file.parse(LONG, "long"), 40), []

    def measured(phase):
        timed.append(phase.title)
        return 100.0

    monkeypatch.setattr(time_limit, "engine", lambda: NONE)
    assert time_limit.forecast(phases, measured) == timed == []
    monkeypatch.setattr(time_limit, "SMALL", 0)
    line, = time_limit.forecast(phases, measured)   # 100 + 300 + 100 + 200 + 100 steps
    assert timed == ["16px warm start", "16px", "32px warm start", "32px", "finish"]
    assert line.startswith("without a GPU this recipe takes about 22.2 hours here; configs/cpu.yaml is for")
    monkeypatch.setattr(time_limit, "engine", lambda: GPU)
    assert time_limit.forecast(phases, measured) == []


def test_a_forecast_soon_stops_timing(monkeypatch):
    """Then the other phases are estimated by their pixels: four times as many at 32 px in the same batch."""
    phases, timed = plan(recipe_file.parse(LONG, "long"), 40), []

    def measured(phase):
        timed.append(phase.title)
        monkeypatch.setattr(time, "monotonic", lambda: 61.0)
        return 1.0

    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time_limit, "engine", lambda: NONE)
    monkeypatch.setattr(time_limit, "SMALL", 0)
    line, = time_limit.forecast(phases, measured)
    assert timed == ["16px warm start", "16px"]
    assert line == f"without a GPU this recipe takes about {(100 + 300 + 4 * (100 + 200 + 100)) / 3600:.1f} hours here"


@pytest.mark.parametrize(("name", "small"), [("smoke", True), ("cpu", False), ("ages", False), ("utkface", False)])
def test_the_smoke_recipe_is_not_timed(name, small, monkeypatch):
    monkeypatch.setattr(time_limit, "engine", lambda: NONE)
    recipe = recipe_file.load(ROOT / f"configs/{name}.yaml")
    assert bool(time_limit.forecast(plan(recipe, 6000), lambda phase: 1.0)) != small


@pytest.mark.slow
def test_a_run_with_a_forecast_is_the_run_without(workplace, monkeypatch, capsys):
    """To the bit, of two sizes."""
    assert train.main(["--config", "tiny.yaml"]) == 0
    assert "without a GPU" not in capsys.readouterr().out
    monkeypatch.setattr(time_limit, "SMALL", 0)
    assert train.main(["--config", "tiny.yaml"]) == 0
    assert "without a GPU this recipe takes about 0." in capsys.readouterr().out
    one, other = (checkpoint_values(f"runs/0000{n}-tiny", 9) for n in (1, 2))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.array_equal(value, other[name]), name


@pytest.mark.slow
def test_a_dry_run_says_how_long_the_recipe_takes(workplace, monkeypatch, capsys):
    monkeypatch.setattr(time_limit, "SMALL", 0)
    assert train.main(["--config", "tiny.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("without a GPU this recipe takes about 0.")


@pytest.mark.slow
def test_a_run_with_minutes_trains_what_its_recipe_then_says(workplace, monkeypatch, capsys):
    """It equals a run of that recipe without --minutes: timing the steps leaves no trace."""
    measured = []

    def half(self, place, phase, gan, faces):
        measured.append(phase.title)
        measure(self, place, phase, gan, faces)
        self.seconds[place] = 1.0
        if len(measured) == 3:
            monkeypatch.setattr(time, "monotonic", lambda: self.end - 5.5)  # of 9 steps; the clock stands still

    measure = time_limit.TimeLimit.measure
    monkeypatch.setattr(time_limit, "TIMED", 1)
    monkeypatch.setattr(time_limit.TimeLimit, "measure", half)
    write_recipe(workplace / "tiny.yaml", TINY | {"stages": [TINY["stages"][0] | {"steps": 6}]})
    assert train.main(["--config", "tiny.yaml", "--minutes", "3"]) == 0
    assert measured == ["16px warm start", "16px", "finish"]
    run = Run.open("runs/00001-tiny")
    assert lengths(run.recipe) == [1, 4, 2]  # after each phase what follows is planned anew
    assert run.newest_step() == 7
    assert "--minutes 3 leaves time for 61% of the steps" in capsys.readouterr().out
    assert train.main(["--config", str(run.folder / "recipe.yaml")]) == 0
    mine, theirs = checkpoint_values(run.folder, 7), checkpoint_values("runs/00002-recipe", 7)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert np.array_equal(mine[name], value), name


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "-1"], ["--minutes", "nan"],
                                       ["--minutes", "3", "--dry-run"], ["--minutes", "3", "--export", "run"]])
def test_minutes_that_mean_nothing_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(arguments)
    assert "--minutes is a number above 0" in capsys.readouterr().err
