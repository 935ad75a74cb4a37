"""`train.py --minutes N`: one factor shortens every phase of a run, so that all of it ends within the time."""

import dataclasses
import time

from keras import ops

from ageing.training import batches

TIMED = 4        # steps that are timed in each phase, after one that compiles
FOR_STEPS = 0.9  # share of the time for steps; sample grids, checkpoints and the export take the rest


class TimeLimit:
    """Plans how long the phases of a run may be, at its start and again after each phase.

    started: time.monotonic() when the minutes began.
    """

    def __init__(self, minutes, started):
        self.minutes, self.end = minutes, started + 60 * minutes * FOR_STEPS
        self.seconds = {}  # {place of a phase in the plan: seconds per step}

    def measure(self, place, phase, gan, faces):
        """Time some steps of `phase`. gan is afterwards what it was before, but compiled."""
        kept, step = [(v, ops.convert_to_numpy(v)) for some in gan.state().values() for v in some], gan.step
        for k in range(TIMED + 1):
            if k == 1:  # the first one compiled
                begin = time.perf_counter()
            losses = gan.compute(phase.kind, gan.engine.place(batches.batch(phase, gan, faces, phase.start)))
            if k in (0, TIMED):
                float(next(iter(losses.values())))  # wait for the device
        self.seconds[place] = (time.perf_counter() - begin) / TIMED
        for variable, value in kept:
            variable.assign(value)
        gan.step = step

    def shorten(self, recipe, phases, step):
        """(recipe, line of text): `recipe` with phases that, from `step` on, fit into the time that is left."""
        left = [max(0, phase.stop - max(phase.start, step)) for phase in phases]
        needed = sum(self.seconds[place] * n for place, n in enumerate(left) if n)
        factor = min(1.0, max(self.end - time.monotonic(), 0) / max(needed, 1e-9))
        lengths = [phase.stop - phase.start - n + (max(1, int(n * factor)) if n else 0)
                   for phase, n in zip(phases, left, strict=True)]
        stages, finish = list(recipe.stages), recipe.finish
        for phase, length in zip(phases, lengths, strict=True):
            if phase.kind == "finish":
                finish = dataclasses.replace(finish, steps=length)
                continue
            place = recipe.stages.index(phase.stage)
            change = {"warm_start_steps": length} if phase.kind == "warm" else {"steps": length, "epochs": None}
            stages[place] = dataclasses.replace(stages[place], **change)
        told = ", ".join(f"{phase.title} {length} steps of {self.seconds[place]:.2g} s" for place, (phase, length, n)
                         in enumerate(zip(phases, lengths, left, strict=True)) if n)
        return (dataclasses.replace(recipe, stages=tuple(stages), finish=finish),
                f"--minutes {self.minutes:g} leaves time for {factor:.0%} of the steps: {told}")

    def passed(self, place, steps, seconds):
        """`steps` steps of a phase took `seconds`, with grids and checkpoints. The others are expected to differ alike.
        """
        drift = seconds / (self.seconds[place] * steps)
        self.seconds = {other: value * drift for other, value in self.seconds.items()}
