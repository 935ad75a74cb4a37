import dataclasses
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
    names = [Run.create(tmp_path, "tiny", RECIPE).name for _ in range(2)]
    assert names == ["00001-tiny", "00002-tiny"]
    assert Run.open(tmp_path / "00001-tiny").recipe == RECIPE
    with pytest.raises(UserError, match=r"not a run folder.*00001-tiny"):
        Run.open(tmp_path / "00003-tiny")


def test_of_two_runs_that_start_together_the_second_gets_the_next_number(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))  # both looked before either had made its folder
    assert [Run.create(tmp_path, "tiny", RECIPE).name for _ in range(3)] == ["00001-tiny", "00002-tiny", "00003-tiny"]


def test_a_run_is_trained_by_one_process_and_a_dead_one_holds_no_lock(tmp_path):
    run = Run.create(tmp_path, "tiny", RECIPE)
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


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_file_system_without_locks_does_not_stop_a_run(tmp_path, monkeypatch):
    import errno
    import fcntl

    def unsupported(*arguments):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with Run.create(tmp_path, "tiny", RECIPE).locked():
        pass


def test_another_recipe_keeps_the_old_one(tmp_path):
    run = Run.create(tmp_path, "tiny", RECIPE)
    longer = dataclasses.replace(RECIPE, finish=Finish(steps=8, batch_size=2))
    longest = dataclasses.replace(RECIPE, finish=Finish(steps=9, batch_size=2))
    assert run.change_recipe(longer, 7).change_recipe(longest, 7).recipe == longest
    assert Run.open(run.folder).recipe == longest
    assert recipe_file.load(run.folder / "recipe-before-7.yaml") == RECIPE  # longer trained no step


def test_a_run_that_goes_on_makes_place_for_a_new_export(tmp_path):
    run = Run.create(tmp_path, "tiny", RECIPE)
    for text in ("first", "second"):
        run.set_export_aside(7)
        (run.folder / "export").mkdir()
        (run.folder / "export/card.md").write_text(text)
        run.set_export_aside(7)
        assert (run.folder / "export-before-7/card.md").read_text() == text
        assert not (run.folder / "export").exists()


def test_images_are_remembered(tmp_path):
    run = Run.create(tmp_path, "tiny", RECIPE)
    assert run.images() is None
    run.store_images({"20s": [3, "abc"], "50s": [4, "def"]})
    assert run.images() == {"20s": [3, "abc"], "50s": [4, "def"]}
    (run.folder / "images.json").write_text("{")
    with pytest.raises(UserError, match=r"images.json: cannot be read"):
        run.images()
