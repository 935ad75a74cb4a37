import dataclasses
import threading

import numpy as np
import pytest
from conftest import TINY
from keras import tree
from training_pieces import NoiseFaces

import data_loader
from ageing.training import plan as plans
from ageing.training import recipe_file
from ageing.training.cyclegan import CycleGAN
from ageing.training.plan import plan
from ageing.training.recipe import Finish, Stage


def one_phase(**stage):
    recipe = recipe_file.parse(TINY, "tiny")
    return plan(dataclasses.replace(recipe, stages=(Stage(16, 4, 0.1, **stage),),
                                    finish=Finish()), epoch=10)


def test_plan_lays_phases_end_to_end():
    phases = plan(recipe_file.parse(TINY, "tiny"), 40)
    assert [(p.kind, p.stage.size, p.start, p.stop, p.batch_size) for p in phases] == [
        ("warm", 16, 0, 1, 4), ("train", 16, 1, 4, 2), ("warm", 32, 4, 5, 4), ("train", 32, 5, 7, 2),
        ("finish", 32, 7, 9, 2)]


def test_epochs_count_pairs():
    phase, = one_phase(epochs=2)
    assert phase.stop == 5  # 2 x 10 pairs in batches of 4


def test_discriminator_steps_with_batches_of_their_own_are_counted():
    recipe = recipe_file.parse({**TINY, "adversary": TINY["adversary"] | {"steps": 2}}, "tiny")
    assert [p.d_rounds for p in plan(recipe, 40)] == [0, 2, 0, 2, 0]
    phase, = one_phase(steps=8)
    assert phase.d_rounds == 0  # they see the generators' batch


def test_learning_rate_falls_linearly_in_the_second_half_of_each_stage():
    phase, = one_phase(steps=8)
    assert [phase.learning_rate(s) for s in range(8)] == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])


RECIPE = recipe_file.parse({**TINY, "adversary": TINY["adversary"] | {"steps": 2}}, "tiny")
PHASES = dict(zip(("warm", "train", "second warm", "second train", "finish"), plan(RECIPE, 40), strict=True))


class Shapes:
    """In place of a CycleGAN: what a batch asks of it."""

    random_shapes = CycleGAN.random_shapes

    def __init__(self, stage):
        self.recipe, self.stage = RECIPE, stage


def batch(phase, step, faces=None):
    phase = PHASES[phase]
    return plans.batch(phase, Shapes(phase.stage), faces or NoiseFaces(16), step)


def flat(found):
    """{path: array} of a batch without its learning rate."""
    return {path: x for path, x in tree.flatten_with_path(found) if isinstance(x, np.ndarray)}


@pytest.fixture
def unpaired(drawn):
    def make(seed):
        return data_loader.UnpairedFaces(drawn / "train", 16, RECIPE.data, seed, progress=False)
    return make


@pytest.mark.parametrize("phase", PHASES)
def test_a_batch_is_decided_by_seed_and_step(unpaired, phase):
    first = flat(batch(phase, 5, unpaired(1)))
    faces = unpaired(1)
    batch(phase, 4, faces)
    for path, x in flat(batch(phase, 5, faces)).items():
        np.testing.assert_array_equal(x, first[path], err_msg=str(path))
    for other in (batch(phase, 6, unpaired(1)), batch(phase, 5, unpaired(2))):
        for path, x in flat(other).items():
            assert x.shape == first[path].shape
            assert not np.array_equal(x, first[path]), path


def test_each_kind_of_step_draws_faces_from_a_stream_of_its_own():
    asked = []
    faces = NoiseFaces(16)
    make = faces.batch
    faces.batch = lambda *what: (asked.append(what), make(*what))[1]
    for phase in ("warm", "train", "finish"):
        batch(phase, 5, faces)
    assert [(n, step) for n, _, step in asked] == [(4, 5), (8, 5), (2, 5), (2, 5)]
    assert len({stream for _, stream, _ in asked} | {plans.NUMBERS}) == 5


def test_numbers_are_one_row_a_pair_uniform_and_all_apart():
    found = batch("train", 5)
    random, rounds = found["random"], [one["random"] for one in found["rounds"]]
    assert {x.shape[0] for x in random.values()} == {2}
    assert [{x.shape[0] for x in one.values()} for one in rounds] == [{4}, {4}]
    assert random["grain_AB"].shape == (2, 16, 16, 1)
    numbers = np.concatenate([x.ravel() for some in (random, *rounds) for x in some.values()])
    assert numbers.dtype == np.float32
    assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() < 1
    assert len(set(numbers)) > 0.99 * len(numbers)
    warm, finish = (batch(phase, 5) for phase in ("warm", "finish"))
    assert (warm["random"], finish["random"], finish["rounds"]) == ({}, {}, [{"random": {}}])
    assert [{x.shape[0] for x in one["random"].values()} for one in warm["rounds"]] == [{4}]


def test_the_learning_rate_is_that_of_the_step():
    last = PHASES["train"].stop - 1
    for step in (1, last):
        assert batch("train", step)["learning_rate"] == np.float32(PHASES["train"].learning_rate(step))
    assert batch("train", last)["learning_rate"] < batch("train", 1)["learning_rate"]


def test_ahead_yields_in_order_what_a_thread_made():
    threads = []
    found = list(plans.ahead(lambda step: (threads.append(threading.get_ident()), 10 * step)[1], range(3, 20)))
    assert found == [10 * step for step in range(3, 20)]
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


def test_ahead_passes_errors_on_after_what_came_before():
    def broken(step):
        if step == 5:
            raise ValueError("no face")
        return step

    arrived = plans.ahead(broken, range(9))
    assert [next(arrived) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no face"):
        next(arrived)
    assert list(arrived) == []


def test_ahead_stops_its_thread_when_it_is_closed():
    made, threads = [], set()

    def make(step):
        made.append(step)
        threads.add(threading.current_thread())
        return step

    arrived = plans.ahead(make, range(1000))
    assert [next(arrived) for _ in range(3)] == [0, 1, 2]
    arrived.close()
    assert len(made) <= 3 + plans.AHEAD
    assert not any(thread.is_alive() for thread in threads)
