"""The plan of a run: its phases, and what each of their steps gets, which (seed, step) decide and nothing else."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable

import numpy as np

from ageing.training.recipe import Stage

FINISH_LEARNING_RATE = 1e-4  # half of the paper's: the generators only unlearn spots
# Streams of random choices: generator steps, discriminator steps, warm starts and finishing see different images.
GENERATOR, DISCRIMINATOR, WARM, FINISH, NUMBERS = range(5)
AHEAD = 3  # batches prepared in advance


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps `start` to `stop` of one kind.

    kind: "warm" trains the discriminators only, "train" is CycleGAN's step, "finish" is self-distillation of the
    generators. batch_size: pairs per step, over all devices. learning_rate: function of the step. d_rounds:
    discriminator steps per generator step if they have batches of their own, else 0.
    """

    kind: str
    stage: Stage
    title: str
    start: int
    stop: int
    batch_size: int
    learning_rate: Callable[[int], float]
    d_rounds: int = 0


def epoch(recipe, counts):
    """Pairs in an epoch: the images of A, or those of B if they are more. counts: {domain: images}."""
    return max(counts[recipe.data.domain_A], sum(counts[domain] for domain in recipe.data.domains_B))


def plan(recipe, epoch):
    """[Phase] of `recipe`. epoch: pairs in an epoch."""
    phases, step = [], 0

    def add(kind, stage, title, steps, batch_size, learning_rate, d_rounds=0):
        nonlocal step
        phases.append(Phase(kind, stage, title, step, step + steps, batch_size, learning_rate, d_rounds))
        step += steps

    for stage in recipe.stages:
        if stage.warm_start_steps:
            add("warm", stage, f"{stage.size}px warm start", stage.warm_start_steps, stage.warm_start_batch,
                lambda step, rate=stage.learning_rate: rate)
        n = stage.steps if stage.steps is not None else -int(-stage.epochs * epoch // stage.batch_size)
        add("train", stage, f"{stage.size}px", n, stage.batch_size,
            _linear_decay(stage.learning_rate, step, n, recipe.optimizer.decay_from),
            recipe.adversary.steps if stage.d_batch_size is not None else 0)
    if n := recipe.finish.steps:
        add("finish", recipe.stages[-1], "finish", n, recipe.finish.batch_size,
            _linear_decay(FINISH_LEARNING_RATE, step, n, recipe.optimizer.decay_from))
    return phases


def _linear_decay(rate, start, n, decay_from):
    """Constant, then falling linearly to 0 at the end of the stage (CycleGAN paper, section 7.1)."""
    def learning_rate(step):
        done = (step - start) / max(n, 1)
        return rate if done < decay_from else rate * (1 - done) / (1 - decay_from)
    return learning_rate


def batch(phase, gan, faces, step):
    """The arguments of `step`, as host arrays. faces: data_loader.UnpairedFaces.

    {"faces": (A, B), LoadedFaces of the generators; "random": their numbers in [0, 1), in the shapes of
    gan.random_shapes; "rounds": one {"random", "faces"} for each step of the discriminators, without "faces" where they
    have no batches of their own; "learning_rate": a number}. All numbers are float32.
    """
    n, rounds, d_n = phase.batch_size, phase.d_rounds or 1, phase.stage.d_batch_size if phase.d_rounds else None
    stream = {"train": GENERATOR, "warm": WARM, "finish": FINISH}[phase.kind]
    rng = np.random.default_rng([faces.seed, NUMBERS, step])
    random = {network: {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
              for network, shapes in gan.random_shapes(phase.kind, n, rounds, d_n or n).items()}
    found = [{"random": {name: values[k] for name, values in random["discriminator"].items()}} for k in range(rounds)]
    if phase.d_rounds:
        loaded = faces.batch(rounds * d_n, DISCRIMINATOR, step)
        for k, one in enumerate(found):
            one["faces"] = tuple(part.rows(slice(k * d_n, (k + 1) * d_n)) for part in loaded)
    return {"faces": faces.batch(n, stream, step), "random": random["generator"], "rounds": found,
            "learning_rate": np.float32(phase.learning_rate(step))}


def ahead(function, steps):
    """function(step) for each of `steps`, in order. A thread computes the next ones while the caller uses one."""
    waiting = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        for step in steps:
            waiting.append(pool.submit(function, step))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
