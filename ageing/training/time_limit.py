"""`train.py --minutes N`: one factor shortens every phase of a run, so that all of it ends within the time."""

import dataclasses
import time

from keras import ops

from ageing.training.plan import batch

TIMED = 4        # steps that are timed in each phase, after one that compiles
FOR_STEPS = 0.9  # share of the time for steps; sample grids, checkpoints and the export take the rest


class TimeLimit:
    """Plans how long the phases of a run may be, at its start and again after each phase.

    started: time.monotonic() when the minutes began.
    """

    def __init__(self, minutes, started):
        self.minutes, self.end = minutes, started + 60 * minutes * FOR_STEPS
        self.seconds, self.full = {}, {}  # {place of a phase in the plan: seconds per step; steps of the whole recipe}

    def measure(self, place, phase, gan, faces):
        """Time some steps of `phase`. gan is afterwards what it was before, but compiled."""
        kept, step = [(v, ops.convert_to_numpy(v)) for some in gan.state().values() for v in some], gan.step
        for k in range(TIMED + 1):
            if k == 1:  # the first one compiled
                begin = time.perf_counter()
            losses = gan.compute(phase.kind, gan.engine.place(batch(phase, gan, faces, phase.start)))
            if k in (0, TIMED):
                float(next(iter(losses.values())))  # wait for the device
        self.seconds[place], self.full[place] = (time.perf_counter() - begin) / TIMED, phase.stop - phase.start
        for variable, value in kept:
            variable.assign(value)
        gan.step = step

    def shorten(self, recipe, phases, step):
        """(recipe, line of text): `recipe` with phases that, from `step` on, fit into the time that is left.

        A phase that has not begun is a share of its full length. So time that was won or lost changes all that follow.
        """
        done = {place: max(0, step - phases[place].start) for place in self.full}
        left = {place: full - done[place] for place, full in self.full.items() if phases[place].stop > step}
        needed = sum(self.seconds[place] * n for place, n in left.items())
        factor = min(1.0, max(self.end - time.monotonic(), 0) / max(needed, 1e-9))
        lengths = {place: done[place] + max(1, int(n * factor)) for place, n in left.items()}
        stages, finish = list(recipe.stages), recipe.finish
        for at, length in lengths.items():
            phase = phases[at]
            if phase.kind == "finish":
                finish = dataclasses.replace(finish, steps=length)
                continue
            place = recipe.stages.index(phase.stage)
            change = {"warm_start_steps": length} if phase.kind == "warm" else {"steps": length, "epochs": None}
            stages[place] = dataclasses.replace(stages[place], **change)
        told = ", ".join(f"{phases[at].title} {length} steps of {self.seconds[at]:.2g} s"
                         for at, length in lengths.items())
        return (dataclasses.replace(recipe, stages=tuple(stages), finish=finish),
                f"--minutes {self.minutes:g} leaves time for {factor:.0%} of the steps: {told}")
