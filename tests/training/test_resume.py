"""What may change when a run continues. Phases of the tiny recipe: 0 warm 1, 16 px 4, warm 5, 32 px 7, finish 9."""

import copy

import pytest
from conftest import TINY

from ageing.errors import UserError
from ageing.training import recipe_check, resume
from ageing.training.runs import Run

IMAGES = {"20s": [40, "abc"], "50s": [30, "def"]}


def recipe(first=3, second=2, finish=2, **changes):
    tree = copy.deepcopy(TINY) | changes
    for stage, steps in zip(tree["stages"], (first, second), strict=False):
        stage |= steps if isinstance(steps, dict) else {"steps": steps}
    return recipe_check.parse(tree | {"finish": {"steps": finish, "batch_size": 2}}, "tiny")


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", recipe())
    run.store_images(IMAGES)
    return run


def check(run, new, step, images=IMAGES, trained=None):
    return resume.check(run, trained or recipe(), new, step, images)


def test_only_lengths_may_be_overridden():
    for key in ("stages.0.epochs=3", "stages.12.steps=null", "finish.steps=0"):
        assert resume.is_length(key)
    for key in ("stages.0.size=3", "finish.batch_size=4", "seed=1", "stages.0.steps", "stages=3", "xfinish.steps=1"):
        assert not resume.is_length(key)


@pytest.mark.parametrize(("step", "lengths", "said"), [
    (9, {}, []),
    (9, {"finish": 5}, ["finish now takes 5 steps instead of 2"]),
    (8, {"finish": 1}, ["finish now takes 1 steps instead of 2"]),
    (7, {"second": 9}, ["32px now takes 9 steps instead of 2"]),
    (7, {"finish": 0}, ["finish now takes 0 steps instead of 2"]),
    (6, {"second": 1}, ["32px now takes 1 steps instead of 2"]),
    (2, {"first": 9, "second": 1}, ["16px now takes 9", "32px now takes 1"]),
    (4, {"first": {"steps": None, "epochs": 1}}, ["16px now takes 20 steps instead of 3"]),
])
def test_the_length_of_what_is_not_over_may_change(run, step, lengths, said):
    lines = check(run, recipe(**lengths), step)
    assert len(lines) == len(said)
    for line, words in zip(lines, said, strict=True):
        assert line.startswith(words)
        assert "its learning rate follows the new length" in line


@pytest.mark.parametrize(("step", "lengths", "words"), [
    (5, {"first": 9}, r"length of 16px cannot change.*up to step 5.*move the checkpoints after step 4 out of"),
    (9, {"second": 9}, r"length of 32px cannot change.*move the checkpoints after step 7 out of"),
    (9, {"finish": 1}, "finish would end at step 8, but 9 steps are trained already"),
    (9, {"finish": 0}, "finishing has begun; 9 steps"),
    (6, {"second": 0}, "32px would end at step 5, but 6 steps are trained already"),
])
def test_what_is_trained_keeps_its_length(run, step, lengths, words):
    with pytest.raises(UserError, match=words):
        check(run, recipe(**lengths), step)


def test_finishing_may_be_added(run):
    assert check(run, recipe(finish=4), 7, trained=recipe(finish=0)) == [
        "finish now takes 4 steps instead of 0; its learning rate follows the new length from here on"]


@pytest.mark.parametrize(("changes", "words"), [
    ({"loss": {**TINY["loss"], "lambda_cycle": 3.0}}, r"\(loss.lambda_cycle: 3.0, was 2.0\); restore it"),
    ({"seed": 7}, r"\(seed: 7, was 1\); restore it, or start a new run"),
    ({"stages": TINY["stages"][:1]}, r"stages.1.size: missing, was 32; "),
    ({"stages": [{**stage, "size": 2 * stage["size"]} for stage in TINY["stages"]]}, r"stages.0.size: 32, was 16; "),
])
def test_another_recipe_is_named_by_its_keys(run, changes, words):
    with pytest.raises(UserError, match=r"recipe.yaml is another recipe than the one that step 5 .*" + words):
        check(run, recipe(**changes), 5)


def test_how_it_reports_may_change(run):
    assert check(run, recipe(monitor={"log_every": 7}), 5) == []


@pytest.mark.parametrize(("now", "words"), [
    ({"20s": [41, "new"], "50s": [30, "def"]}, r"\(20s: 40 before, 41 now\)"),
    ({"20s": [1, "a"], "50s": [2, "b"]}, r"\(20s: 40 before, 1 now; 50s: 30 before, 2 now\)"),
    ({"20s": [40, "abc"], "50s": [30, "new"]}, r"\(50s: 30 before and now, but other files\)"),
])
def test_changed_images_are_counted(run, now, words):
    with pytest.raises(UserError, match=words + ".*restore them to resume, or start a new run .start_from="):
        check(run, recipe(), 9, now)


def test_a_run_that_did_not_store_its_images_is_not_done_early(run):
    (run.folder / "images.json").unlink()
    epochs = recipe(first={"steps": None, "epochs": 1}, finish=0)
    assert check(run, epochs, 9, trained=epochs) == []
    with pytest.raises(UserError, match="step 9 is beyond the end of its own recipe, 5"):
        check(run, epochs, 9, {"20s": [1, "a"], "50s": [2, "b"]}, trained=epochs)
