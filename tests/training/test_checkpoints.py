"""Saving and restoring, on a toy in place of the networks."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, write_recipe

from ageing.errors import UserError
from ageing.training import checkpoints, recipe_check
from ageing.training.checkpoints import Keeper
from ageing.training.runs import Run


class Toy:
    """In place of a CycleGAN: two variables."""

    def __init__(self, n=1000, size=16):
        self.weights, self.pool = tf.Variable(tf.zeros([n])), tf.Variable(tf.zeros([2, size, size, 3]))

    def state(self):
        return {"weights": self.weights, "pool_A": self.pool}


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "runs", "tiny", recipe_check.parse(TINY, "tiny"))


def keeper(run, toy=None, stage_ends=()):
    return Keeper(run, toy or Toy(), run.recipe, stage_ends)


def saved(run, *steps, **more):
    """A Keeper of a Toy whose weights are the step, saved at each of `steps`."""
    mine = keeper(run, toy := Toy(), **more)
    for step in steps:
        toy.weights.assign(tf.fill(toy.weights.shape, float(step)))
        mine.save(step)
    return mine


def test_what_was_saved_is_restored(run):
    saved(run, 5, 7)
    toy = Toy()
    keeper(run, toy).restore(5)
    np.testing.assert_array_equal(toy.weights, np.full(1000, 5))


def test_the_newest_and_the_ends_of_stages_are_kept(run, monkeypatch):
    monkeypatch.setattr(checkpoints, "KEEP", 2)
    saved(run, *range(1, 9), stage_ends=[3, 5])
    assert run.steps() == [3, 5, 7, 8]


def test_a_save_that_was_cut_off_does_not_count(run):
    saved(run, 5)
    (run.checkpoints / ".writing-step00000006").mkdir()
    (run.checkpoints / ".writing-step00000006/state.index").write_bytes(b"half")
    assert run.newest_step() == 5
    saved(run, 6)
    assert run.newest_step() == 6
    assert not list(run.checkpoints.glob(".writing*"))


@pytest.mark.parametrize("part", ["state.index", "state.data-00000-of-00001"])
@pytest.mark.parametrize("harm", ["cut", "zeros", "gone"])
def test_a_corrupt_checkpoint_is_named(run, part, harm):
    saved(run, 10)
    path = run.checkpoint(10) / part
    data = path.read_bytes()
    path.unlink() if harm == "gone" else path.write_bytes(data[:len(data) // 3] + b"\0" * (harm == "zeros") * len(data))
    with pytest.raises(UserError, match=r"step00000010: the checkpoint is broken .*move it away"):
        keeper(run).restore(10)
    assert path.parent.is_dir()


def test_a_missing_checkpoint_is_named(run):
    saved(run, 5)
    with pytest.raises(UserError, match="no checkpoint of step 6; there are: 5"):
        keeper(run).restore(6)


def test_a_checkpoint_of_other_networks_is_named(run):
    saved(run, 5)
    with pytest.raises(UserError, match="broken or of other networks"):
        keeper(run, Toy(n=999)).restore(5)


def test_a_checkpoint_tells_its_recipe(run):
    saved(run, 5)
    write_recipe(run.folder / "recipe.yaml", TINY | {"seed": 2})
    assert checkpoints.recipe_at(Run.open(run.folder), 5) == run.recipe


@pytest.mark.parametrize("links", [True, False])
def test_names_may_hold_the_characters_of_patterns(tmp_path, monkeypatch, links):
    """TensorFlow takes the name of a checkpoint for a pattern."""
    def refused(*arguments, **more):
        raise OSError("links are for administrators")

    if not links:
        monkeypatch.setattr(Path, "symlink_to", refused)
    run = Run.create(tmp_path / "my runs [*]", "tiny[v2]?", recipe_check.parse(TINY, "tiny"))
    saved(run, 5, 7)
    toy = Toy()
    keeper(run, toy).restore(5)
    np.testing.assert_array_equal(toy.weights, np.full(1000, 5))
    assert checkpoints.size_at(run, 7) == 16
    assert checkpoints.recipe_at(run, 7) == run.recipe


def test_finishing_that_the_recipe_got_later_begins_with_a_fresh_optimizer(run):
    class Finishing(Toy):
        def state(self):
            return super().state() | {"finish_optimizer": self.optimizer}

    saved(run, 5)
    toy = Finishing()
    toy.optimizer = tf.Variable(3.0)
    keeper(run, toy).restore(5)
    assert (float(toy.weights[0]), float(toy.optimizer)) == (5, 3)


def test_a_full_disk_is_one_line_and_loses_nothing(run, monkeypatch):
    mine = saved(run, 5)

    def full(self, path, options=None):
        with open(f"{path}.data", "wb") as file:
            file.write(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", full)
        with pytest.raises(UserError, match=r"could not be written .*No space left.*free space and resume"):
            mine.save(6)
    assert run.newest_step() == 5
    assert not list(run.checkpoints.glob(".writing*"))
    mine.save(6)
    assert run.newest_step() == 6


def test_another_run_starts_from_the_newest_step_before_growing(run):
    recipe = recipe_check.parse(TINY | {"start_from": str(run.folder)}, "other")
    with pytest.raises(UserError, match="no checkpoint of its first stage"):
        checkpoints.starting_point(recipe)
    keeper(run, Toy(size=16)).save(3)
    keeper(run, Toy(size=16)).save(4)
    keeper(run, Toy(size=32)).save(5)
    assert [checkpoints.growths_at(run, step) for step in (4, 5)] == [0, 1]
    found, step = checkpoints.starting_point(recipe)
    assert (found.folder, step) == (run.folder, 4)
    keeper(run, Toy(size=64)).save(6)
    with pytest.raises(UserError, match="has no stage of 64 px, in which step 6 was made"):
        checkpoints.growths_at(run, 6)
