"""Saving and restoring, on a toy in place of the networks."""

import errno
import os
import types

import keras
import numpy as np
import pytest
from conftest import TINY, write_recipe
from keras import ops

from ageing.errors import UserError
from ageing.training import checkpoints, recipe_file
from ageing.training.runs import Run


class Toy:
    """In place of a CycleGAN: three variables, one of them a pool of 8-bit pixels."""

    def __init__(self, n=4000, size=16):
        self.step, self.stage, self.growths = 0, types.SimpleNamespace(size=size), int(size > 16)
        self.weights, self.count = keras.Variable(np.zeros(n, np.float32)), keras.Variable(0, dtype="int32")
        self.pool = keras.Variable(np.zeros((2, size, size, 3)), dtype="uint8")

    def state(self):
        return {"weights": [self.weights, self.count], "pool_A": [self.pool]}

    def fill(self, step):
        for variables in self.state().values():
            for variable in variables:
                variable.assign(np.random.default_rng(step).integers(0, 200, variable.shape))

    def values(self):
        return [ops.convert_to_numpy(v) for variables in self.state().values() for v in variables]


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "runs", "tiny", recipe_file.parse(TINY, "tiny"))


def save(run, toy, step, kept=()):
    toy.step = step
    checkpoints.save(run, toy, run.recipe, kept)


def saved(run, *steps, **more):
    """A Toy, saved at each of `steps` with other values."""
    toy = Toy()
    for step in steps:
        toy.fill(step)
        save(run, toy, step, **more)
    return toy


def same(toy, step):
    """Whether `toy` holds what was saved at `step`."""
    expected = Toy()
    expected.fill(step)
    return all(np.array_equal(x, y) and x.dtype == y.dtype
               for x, y in zip(toy.values(), expected.values(), strict=True))


@pytest.mark.parametrize("names", [("runs", "tiny"), ("my runs [*]", "tiny[v2]?")], ids=repr)
def test_what_was_saved_is_restored(tmp_path, names):
    run = Run.create(tmp_path / names[0], names[1], recipe_file.parse(TINY, "tiny"))
    saved(run, 5, 7)
    toy = Toy()
    checkpoints.restore(run, toy, 5)
    assert same(toy, 5)
    assert toy.step == 5
    checkpoints.read_into({"weights": [toy.weights, toy.count], "pool_A": [toy.pool]}, run, 7)
    assert same(toy, 7)
    assert checkpoints.header(run, 7).size == 16


def test_the_newest_and_the_ends_of_stages_are_kept(run, monkeypatch):
    monkeypatch.setattr(checkpoints, "KEEP", 2)
    saved(run, *range(1, 9), kept=[3, 5])
    assert run.steps() == [3, 5, 7, 8]


def test_a_save_that_was_cut_off_does_not_count(run):
    saved(run, 5)
    (run.checkpoints / ".writing-abc.npz").write_bytes(b"half")
    assert run.newest_step() == 5
    saved(run, 6)
    assert run.steps() == [5, 6]


def restored(run):
    """Whether checkpoint 10 is restored exactly. False if it is refused, which must leave the Toy as it was."""
    toy = Toy()
    try:
        checkpoints.restore(run, toy, 10)
    except UserError as error:
        assert "step00000010.npz: the checkpoint is broken" in str(error)  # noqa: PT017
        assert "move it away" in str(error)  # noqa: PT017
        assert not any(value.any() for value in toy.values())
        return False
    assert same(toy, 10)
    return True


def test_a_damaged_byte_is_noticed_or_harmless(run):
    saved(run, 10)
    path = run.checkpoint(10)
    sound, rng = path.read_bytes(), np.random.default_rng(1)
    assert restored(run)
    places = [(place, sound[place] ^ int(rng.integers(1, 256))) for place in range(0, len(sound), len(sound) // 60)]
    # Bytes that say how numbers are written. "<f4" may become "<f2": then half of an array is read, without its end.
    starts = [place for place in range(len(sound)) if sound[place:place + 3] in (b"<f4", b"<i4", b"|u1")]
    places += [(place + i, ord(byte)) for place in starts for i, byte in ((0, ">"), (1, "i"), (1, "u"), (2, "2"))
               if sound[place + i] != ord(byte)]
    found = []
    for place, byte in places:
        path.write_bytes(sound[:place] + bytes([byte]) + sound[place + 1:])
        found.append(restored(run))
    assert found.count(False) > len(found) / 2
    path.write_bytes(sound)
    assert restored(run)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("end", [b"", b"\0"], ids=["cut", "zeros"])
def test_a_truncated_checkpoint_is_named(run, share, end):
    saved(run, 10)
    data = run.checkpoint(10).read_bytes()
    kept = int(len(data) * share)
    run.checkpoint(10).write_bytes(data[:kept] + end * (len(data) - kept))
    assert not restored(run)
    with pytest.raises(UserError, match=r"step00000010.npz: the checkpoint is broken"):
        checkpoints.header(run, 10)
    assert run.checkpoint(10).exists()


def test_a_missing_checkpoint_is_named(run):
    saved(run, 5)
    with pytest.raises(UserError, match="no checkpoint of step 6; there are: 5"):
        checkpoints.restore(run, Toy(), 6)


def test_a_checkpoint_of_other_networks_is_named(run):
    others = r"the recipe's networks are not those of .*step00000005.npz .*take over .* from .*recipe.yaml"
    saved(run, 5)
    more = Toy()
    more.state = lambda: Toy.state(more) | {"classifier": [keras.Variable(1.0)]}
    for other in (Toy(n=99), more):
        with pytest.raises(UserError, match=others):
            checkpoints.restore(run, other, 5)
        assert not any(value.any() for value in Toy.values(other)[:1])
    with pytest.raises(UserError, match=others):
        checkpoints.read_into({"g_AB": [keras.Variable(1.0)]}, run, 5)


def test_a_checkpoint_tells_its_recipe(run):
    saved(run, 5)
    write_recipe(run.folder / "recipe.yaml", TINY | {"seed": 2})
    assert checkpoints.header(Run.open(run.folder), 5).recipe == run.recipe


def test_finishing_that_the_recipe_got_later_begins_with_a_fresh_optimizer(run):
    saved(run, 5)
    toy, optimizer = Toy(), keras.Variable(3.0)
    toy.state = lambda: Toy.state(toy) | {"finish_optimizer": [optimizer]}
    checkpoints.restore(run, toy, 5)
    assert float(optimizer) == 3
    toy.state = lambda: Toy.state(toy)
    assert same(toy, 5)


def test_a_full_disk_is_one_line_and_loses_nothing(run, monkeypatch):
    mine = saved(run, 5)

    def full(path, **arrays):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(UserError, match=r"could not be written: .*No space left.*resume: the previous .* is kept"):
            save(run, mine, 6)
    assert run.steps() == [5]
    assert [path.name for path in run.checkpoints.iterdir()] == ["step00000005.npz"]
    save(run, mine, 6)
    assert run.newest_step() == 6


def test_another_run_starts_from_the_newest_step_before_growing(run):
    recipe = recipe_file.parse(TINY | {"start_from": str(run.folder)}, "other")
    with pytest.raises(UserError, match="no checkpoint of its first stage"):
        checkpoints.starting_point(recipe)
    save(run, Toy(size=16), 3)
    save(run, Toy(size=16), 4)
    save(run, Toy(size=32), 5)
    assert [checkpoints.header(run, step).growths for step in (4, 5)] == [0, 1]
    found, step = checkpoints.starting_point(recipe)
    assert (found.folder, step) == (run.folder, 4)
