import copy
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, python

from ageing.errors import UserError
from ageing.training import recipe_file, runs
from ageing.training.recipe import Finish
from ageing.training.runs import Run

RECIPE = recipe_file.parse(TINY, "tiny")


def test_runs_are_numbered(tmp_path):
    names = [Run.create(tmp_path / "runs", "tiny", RECIPE).name for _ in range(2)]
    assert names == ["00001-tiny", "00002-tiny"]
    assert Run.open(tmp_path / "runs/00001-tiny").recipe == RECIPE
    with pytest.raises(UserError, match=r"not a run folder.*00001-tiny"):
        Run.open(tmp_path / "runs/00003-tiny")


def test_of_two_runs_that_start_together_the_second_gets_the_next_number(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))  # both looked before either had made its folder
    names = [Run.create(tmp_path / "runs", "tiny", RECIPE).name for _ in range(3)]
    assert names == ["00001-tiny", "00002-tiny", "00003-tiny"]


def test_a_run_is_trained_by_one_process_and_a_dead_one_holds_no_lock(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    hold = ("import sys; from ageing.training.runs import Run\n"
            "with Run.open(sys.argv[1]).locked():\n    print('held', flush=True)\n    sys.stdin.read()")
    command, settings = python("-c", hold, run.folder)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **settings) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="00001-tiny: another process is training this run"), run.locked():
            pass
        process.kill()
    for _ in range(2):
        with run.locked():
            pass


def draws(run):
    """Train `run` for a moment: it draws a grid that says which folder drew it. Returns the folder of its grids."""
    with run.locked():
        (run.samples / "grid.png").write_text(str(run.place))
        return run.samples


def test_runs_of_two_roots_do_not_draw_over_each_other(tmp_path):
    made = [Run.create(tmp_path / root, "tiny", RECIPE) for root in "ABA"]
    assert len({draws(run) for run in made}) == 3
    for run in made:
        assert run.samples == tmp_path / "samples" / run.name
        assert (run.samples / "grid.png").read_text() == str(run.place)


def test_grids_outlive_their_run(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    kept = draws(run)
    shutil.rmtree(tmp_path / "runs")
    assert draws(Run.create(tmp_path / "runs", "tiny", RECIPE)) != kept
    assert (kept / "grid.png").read_text() == str(run.place)


@pytest.mark.parametrize("place", ["runs/backup", "B/00001-tiny", "other/runs/00001-tiny"])
def test_a_copied_run_draws_into_a_folder_of_its_own(tmp_path, place):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    if place.startswith("other"):  # where the grids of another run have this name
        (tmp_path / "other/samples/00001-tiny").mkdir(parents=True)
        (tmp_path / "other/samples/00001-tiny/grid.png").write_text("old")
    draws(run)
    copied = Run.open(shutil.copytree(run.folder, tmp_path / place))
    kept = {path: path.read_text() for path in tmp_path.rglob("grid.png")}
    assert draws(copied) == draws(Run.open(copied.folder)) != run.samples
    assert copied.samples.parent == copied.folder.parent.parent / "samples"
    assert {path: path.read_text() for path in kept} == kept
    assert draws(run) == tmp_path / "samples/00001-tiny"


def test_a_link_or_a_dot_is_the_run_itself(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/best").symlink_to(run.folder)
    monkeypatch.chdir(run.folder)
    for same in (tmp_path / "elsewhere/best", ".", "../00001-tiny"):
        assert Run.open(same).name == "00001-tiny"
        assert draws(Run.open(same)) == tmp_path / "samples/00001-tiny"


def test_a_run_draws_into_one_folder_also_by_a_link_to_the_folder_of_runs(tmp_path):
    (tmp_path / "disk/runs").mkdir(parents=True)
    (tmp_path / "D").symlink_to(tmp_path / "disk/runs")
    run = Run.create(tmp_path / "D", "tiny", RECIPE)
    assert draws(run) == draws(Run.open(tmp_path / "disk/runs" / run.name)) == tmp_path / "disk/samples/00001-tiny"
    assert not (tmp_path / "samples").exists()


def test_a_moved_project_goes_on_with_its_names(tmp_path):
    Run.create(tmp_path / "old/runs", "tiny", RECIPE)
    (tmp_path / "old").rename(tmp_path / "new")
    assert draws(Run.open(tmp_path / "new/runs/00001-tiny")) == tmp_path / "new/samples/00001-tiny"


def test_what_a_killed_process_left_is_removed_when_the_run_goes_on(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    run.checkpoints.mkdir()
    command, settings = python("-c", "from ageing.storage import unfinished; print(unfinished())")
    killed = subprocess.run(command, check=True, capture_output=True, **settings).stdout.strip()
    for folder in (run.folder, run.checkpoints, run.samples):
        (folder / f"{killed}0123abcd.npz").write_bytes(b"half")
    scratch = run.folder / f"export/{killed}0123abcd"
    scratch.mkdir(parents=True)
    (scratch / "g_AB.onnx").write_bytes(b"half")
    with run.locked():
        assert not list(tmp_path.rglob(".writing-*"))
    assert Run.open(run.folder).recipe == RECIPE


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_file_system_without_locks_does_not_stop_a_run(tmp_path, monkeypatch):
    import errno
    import fcntl

    def unsupported(*arguments):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with Run.create(tmp_path / "runs", "tiny", RECIPE).locked():
        pass


def test_another_recipe_keeps_the_old_one(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    longer = dataclasses.replace(RECIPE, finish=Finish(steps=8, batch_size=2))
    longest = dataclasses.replace(RECIPE, finish=Finish(steps=9, batch_size=2))
    assert run.change_recipe(longer, 7).change_recipe(longest, 7).recipe == longest
    assert Run.open(run.folder).recipe == longest
    assert recipe_file.load(run.folder / "recipe-before-7.yaml") == RECIPE  # longer trained no step


def test_a_run_that_goes_on_makes_place_for_a_new_export(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    for text in ("first", "second"):
        run.set_export_aside(7)
        (run.folder / "export").mkdir()
        (run.folder / "export/card.md").write_text(text)
        run.set_export_aside(7)
        assert (run.folder / "export-before-7/card.md").read_text() == text
        assert not (run.folder / "export").exists()


def test_images_are_remembered(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    assert run.images() is None
    run.store_images({"20s": [3, "abc"], "50s": [4, "def"]})
    assert run.images() == {"20s": [3, "abc"], "50s": [4, "def"]}
    (run.folder / "images.json").write_text("{")
    with pytest.raises(UserError, match=r"images.json: cannot be read"):
        run.images()


# Resuming: what may change. Phases of the tiny recipe: 0 warm 1, 16 px 4, warm 5, 32 px 7, finish 9

IMAGES = {"20s": [40, "abc"], "50s": [30, "def"]}


def recipe(first=3, second=2, finish=2, **changes):
    tree = copy.deepcopy(TINY) | changes
    for stage, steps in zip(tree["stages"], (first, second), strict=False):
        stage |= steps if isinstance(steps, dict) else {"steps": steps}
    return recipe_file.parse(tree | {"finish": {"steps": finish, "batch_size": 2}}, "tiny")


@pytest.fixture
def resumed(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", recipe())
    run.store_images(IMAGES)
    return run


def check(run, new, step, images=IMAGES, trained=None):
    return runs.check_recipe(run, trained or recipe(), new, step, images)


def test_only_lengths_may_be_overridden():
    for key in ("stages.0.epochs=3", "stages.12.steps=null", "finish.steps=0"):
        assert runs.is_length(key)
    for key in ("stages.0.size=3", "finish.batch_size=4", "seed=1", "stages.0.steps", "stages=3", "xfinish.steps=1"):
        assert not runs.is_length(key)


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
def test_the_length_of_what_is_not_over_may_change(resumed, step, lengths, said):
    lines = check(resumed, recipe(**lengths), step)
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
def test_what_is_trained_keeps_its_length(resumed, step, lengths, words):
    with pytest.raises(UserError, match=words):
        check(resumed, recipe(**lengths), step)


def test_finishing_may_be_added(resumed):
    assert check(resumed, recipe(finish=4), 7, trained=recipe(finish=0)) == [
        "finish now takes 4 steps instead of 0; its learning rate follows the new length from here on"]


@pytest.mark.parametrize(("changes", "words"), [
    ({"loss": {**TINY["loss"], "lambda_cycle": 3.0}}, r"\(loss.lambda_cycle: 3.0, was 2.0\); restore it"),
    ({"seed": 7}, r"\(seed: 7, was 1\); restore it, or start a new run"),
    ({"stages": TINY["stages"][:1]}, r"stages.1.size: missing, was 32; "),
    ({"stages": [{**stage, "size": 2 * stage["size"]} for stage in TINY["stages"]]}, r"stages.0.size: 32, was 16; "),
])
def test_another_recipe_is_named_by_its_keys(resumed, changes, words):
    with pytest.raises(UserError, match=r"recipe.yaml is another recipe than the one that step 5 .*" + words):
        check(resumed, recipe(**changes), 5)


def test_how_it_reports_may_change(resumed):
    assert check(resumed, recipe(monitor={"log_every": 7}), 5) == []


@pytest.mark.parametrize(("now", "words"), [
    ({"20s": [41, "new"], "50s": [30, "def"]}, r"\(20s: 40 before, 41 now\)"),
    ({"20s": [1, "a"], "50s": [2, "b"]}, r"\(20s: 40 before, 1 now; 50s: 30 before, 2 now\)"),
    ({"20s": [40, "abc"], "50s": [30, "new"]}, r"\(50s: 30 before and now, but other files\)"),
])
def test_changed_images_are_counted(resumed, now, words):
    with pytest.raises(UserError, match=words + ".*restore them to resume, or start a new run .start_from="):
        check(resumed, recipe(), 9, now)


def test_a_run_that_did_not_store_its_images_is_not_done_early(resumed):
    (resumed.folder / "images.json").unlink()
    epochs = recipe(first={"steps": None, "epochs": 1}, finish=0)
    assert check(resumed, epochs, 9, trained=epochs) == []
    with pytest.raises(UserError, match="step 9 is beyond the end of its own recipe, 5"):
        check(resumed, epochs, 9, {"20s": [1, "a"], "50s": [2, "b"]}, trained=epochs)
