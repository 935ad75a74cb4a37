"""The plan of a run: its phases, each with its steps, batches and learning rate."""

import dataclasses
from collections.abc import Callable

from ageing.training.recipe import Stage

FINISH_LEARNING_RATE = 1e-4  # half of the paper's: the generators only unlearn spots


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
