"""Errors of the training loop. Whole runs: test_train.py."""

import dataclasses
import signal
import types

import pytest
import tensorflow as tf
from conftest import TINY

from ageing.errors import UserError
from ageing.training import loop, recipe_file
from ageing.training.plan import plan

RECIPE = recipe_file.parse(TINY, "tiny")
WARM, _, _, TRAIN, FINISH = plan(RECIPE, 40)


@pytest.mark.parametrize("error", [
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), MemoryError(),
    RuntimeError("std::bad_alloc"), tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    tf.errors.InternalError(None, None, "CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes")], ids=repr)
@pytest.mark.parametrize(("phase", "now", "less"), [
    (WARM, "16px warm start with stages.0.warm_start_batch=4", "stages.0.warm_start_batch=2"),
    (TRAIN, "32px with stages.1.batch_size=2 stages.1.d_batch_size=4", "stages.1.batch_size=1 stages.1.d_batch_size=2"),
    (FINISH, "finish with finish.batch_size=2", "finish.batch_size=1")], ids=lambda value: None)
def test_out_of_memory_names_the_stage_and_what_to_lower(error, phase, now, less):
    with pytest.raises(UserError) as caught, loop.memory_errors_named(RECIPE, phase):
        raise error
    assert str(caught.value) == (f"out of memory in {now}: resume on a device with more memory, or start a new run "
                                 f"with less, for example {less}")


def test_out_of_memory_with_the_smallest_batch_names_the_width():
    smallest = dataclasses.replace(FINISH, batch_size=1)
    with pytest.raises(UserError, match=r"finish.batch_size=1: .* for example generator.filters=1$"), \
            loop.memory_errors_named(RECIPE, smallest):
        raise MemoryError


@pytest.mark.parametrize(("devices", "less"), [(1, "stages.0.warm_start_batch=6"), (4, "stages.0.warm_start_batch=4"),
                                               (8, "generator.filters=1")])
def test_what_to_lower_can_be_shared_by_all_devices(monkeypatch, devices, less):
    monkeypatch.setattr(loop, "engine", lambda: types.SimpleNamespace(devices=devices))
    with pytest.raises(UserError, match=rf"for example {less}$"), \
            loop.memory_errors_named(RECIPE, dataclasses.replace(WARM, batch_size=12)):
        raise MemoryError


@pytest.mark.parametrize("text", ["FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above",
                                  "Could not create cudnn handle: CUDNN_STATUS_NOT_INITIALIZED"])
def test_memory_that_another_process_holds_is_told(text):
    with pytest.raises(UserError, match="16px warm start: .* another process holds it .*XLA_CLIENT_MEM_FRACTION=0.4"), \
            loop.memory_errors_named(RECIPE, WARM):
        raise RuntimeError(text)


def test_faces_that_do_not_fit_are_named(monkeypatch):
    def full(*arguments, **settings):
        raise MemoryError

    monkeypatch.setattr(loop.data_loader, "UnpairedFaces", full)
    with pytest.raises(UserError, match="the faces in faces/train do not fit at 32 px; use fewer images"):
        loop.load_faces(RECIPE, types.SimpleNamespace(stage=RECIPE.stages[1]), None)


def faces_in(folder, *names):
    for domain in ("20s", "50s"):
        (folder / "train" / domain).mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / "train" / domain / name).write_text("")
    return recipe_file.parse(TINY | {"data": {"path": str(folder), "sampling": "matched"}}, "tiny")


def test_only_images_that_can_be_drawn_are_counted(tmp_path):
    recipe = faces_in(tmp_path, "25_0_0_a.png", "25_1_0_b.png")
    before = loop.training_images(recipe)
    faces_in(tmp_path, "holiday.png")
    assert loop.training_images(recipe) == before
    independent = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, sampling="independent"))
    assert [count for count, _ in loop.training_images(independent).values()] == [3, 3]


def test_matched_sampling_asks_for_names_that_tell_gender_and_race(tmp_path):
    with pytest.raises(UserError, match="train/20s: no file name tells gender and race .*sampling=independent"):
        loop.training_images(faces_in(tmp_path, "holiday.png"))


@pytest.mark.parametrize("error", [RuntimeError("broken"), tf.errors.InternalError(None, None, "cuDNN"),
                                   UserError("out of memory is no matter here")], ids=repr)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, loop.memory_errors_named(RECIPE, TRAIN):
        raise error
    assert caught.value is error


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no HUP")
def test_a_terminal_that_closes_lets_the_step_end_also_if_it_says_so_twice():
    """And what follows the training ends as what came before it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    interruption = loop.Interruption()
    try:
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
        assert interruption.signal == signal.SIGHUP
    finally:
        interruption.restore()
    assert {number: signal.getsignal(number) for number in before} == before
