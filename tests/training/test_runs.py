import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, python

from ageing.errors import UserError
from ageing.training import recipe_check, recipe_file
from ageing.training.recipe import Finish
from ageing.training.runs import Run

RECIPE = recipe_check.parse(TINY, "tiny")


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
    runs = [Run.create(tmp_path / root, "tiny", RECIPE) for root in "ABA"]
    assert len({draws(run) for run in runs}) == 3
    for run in runs:
        assert run.samples == tmp_path / "samples" / run.name
        assert (run.samples / "grid.png").read_text() == str(run.place)


def test_grids_outlive_their_run(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    kept = draws(run)
    shutil.rmtree(tmp_path / "runs")
    assert draws(Run.create(tmp_path / "runs", "tiny", RECIPE)) != kept
    assert (kept / "grid.png").read_text() == str(run.place)


@pytest.mark.parametrize("copy", ["runs/backup", "B/00001-tiny", "other/runs/00001-tiny"])
def test_a_copied_run_gets_its_own_name_when_it_goes_on(tmp_path, copy, capsys):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    if copy.startswith("other"):  # where the grids of another run have this name, made before there were names
        (tmp_path / "other/samples/00001-tiny").mkdir(parents=True)
        (tmp_path / "other/samples/00001-tiny/grid.png").write_text("old")
    draws(run)
    copied = Run.open(shutil.copytree(run.folder, tmp_path / copy))
    assert copied.name == run.name  # the one that made its checkpoints
    kept = {path: path.read_text() for path in tmp_path.rglob("grid.png")}
    assert draws(copied) == draws(Run.open(copied.folder))
    assert copied.name != run.name
    assert copied.samples == copied.folder.parent.parent / "samples" / copied.name
    assert {path: path.read_text() for path in kept} == kept
    assert capsys.readouterr().out.count("was copied or moved: its grids are now in") == 1
    assert draws(run) == tmp_path / "samples/00001-tiny"


def test_a_link_or_a_dot_is_the_run_itself(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/best").symlink_to(run.folder)
    monkeypatch.chdir(run.folder)
    for same in (tmp_path / "elsewhere/best", ".", "../00001-tiny"):
        assert Run.open(same).name == "00001-tiny"
        assert draws(Run.open(same)) == tmp_path / "samples/00001-tiny"


def test_a_moved_project_goes_on_with_its_names(tmp_path):
    Run.create(tmp_path / "old/runs", "tiny", RECIPE)
    (tmp_path / "old").rename(tmp_path / "new")
    assert draws(Run.open(tmp_path / "new/runs/00001-tiny")) == tmp_path / "new/samples/00001-tiny"


def test_a_run_from_before_there_were_names_keeps_its_folders(tmp_path):
    run = Run.create(tmp_path / "runs", "tiny", RECIPE)
    (run.folder / "run.json").unlink()
    (run.samples / "run.txt").unlink()
    copied = shutil.copytree(run.folder, tmp_path / "B/00001-tiny")
    assert Run.open(run.folder).name == "00001-tiny"
    assert draws(Run.open(run.folder)) == tmp_path / "samples/00001-tiny"
    assert draws(Run.open(copied)) == tmp_path / "samples/00001-tiny-2"


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
