"""How long a recipe takes here. `train.py --minutes N`: one factor shortens every phase of a run, so that it ends
within the time."""

import dataclasses
import time

import numpy as np
from keras import ops

from ageing.training.engine import engine
from ageing.training.plan import batch
from ageing.utkface import LABELS
from data_loader import LoadedFaces

TIMED = 4        # steps that are timed in each phase, after one that compiles
FOR_STEPS = 0.9  # share of the time for steps; sample grids, checkpoints and the export take the rest
SMALL = 1e7      # pixels of faces in all steps: so small a recipe is not timed, it takes minutes
ENOUGH = 30      # seconds, after which the phases that are left are only estimated; compiling one may take as long
LONG = 12        # hours, above which another recipe fits a machine without a GPU


def measure(phase, gan, faces, steps=1):
    """Seconds that a step of `phase` takes. gan is afterwards what it was before, but compiled."""
    kept, step = [(v, ops.convert_to_numpy(v)) for some in gan.state().values() for v in some], gan.step
    for k in range(steps + 1):
        if k == 1:  # the first one compiled
            begin = time.perf_counter()
        losses = gan.compute(phase.kind, gan.engine.place(batch(phase, gan, faces, phase.start)))
        if k in (0, steps):
            float(next(iter(losses.values())))  # wait for the device
    seconds = (time.perf_counter() - begin) / steps
    for variable, value in kept:
        variable.assign(value)
    gan.step = step
    return seconds


def forecast(phases, measured):
    """[line of text] how long `phases` take on this machine, which has no GPU. [] with a GPU, or if they are short.

    measured(phase): what `measure` returns. A phase that is not timed is estimated by the pixels that it sees.
    """
    pixels = [(phase.stop - phase.start) * phase.batch_size * phase.stage.size**2 for phase in phases]
    if engine().gpu_names() or sum(pixels) <= SMALL:
        return []
    begin, known, seconds = time.monotonic(), {}, 0.0   # known: {kind: seconds per pixel}
    for phase, n in zip(phases, pixels, strict=True):
        kind = phase.kind if phase.kind in known else "train"
        if n and (kind not in known or time.monotonic() - begin < ENOUGH):
            kind = phase.kind
            known[kind] = measured(phase) * (phase.stop - phase.start) / n
        seconds += known.get(kind, 0) * n
    hours = seconds / 3600
    told = f"about {hours:.1f} hours" if hours < 48 else f"about {hours / 24:.0f} days"
    fits = ("; configs/cpu.yaml is for such a machine and configs/ages.yaml, too, with one generator for all ages"
            if hours > LONG else "")
    return [f"without a GPU this recipe takes {told} here{fits}"]


class Noise:
    """In place of data_loader.UnpairedFaces, for timing. data: recipe.Data."""

    seed = 0

    def __init__(self, size, data):
        self.size, self.ages = size, data.ages

    def batch(self, n, stream, step):
        images = np.random.default_rng(step).integers(0, 256, (n, self.size, self.size, 3), np.uint8)
        ages = np.full((n, 1), self.ages[0], np.float32) if self.ages else None
        transforms = np.tile(np.float32([1, 0, 0, 0, 1, 0]), (n, 1))
        return tuple(LoadedFaces(images, np.zeros((n, LABELS), np.float32), a, transforms) for a in (None, ages))


class TimeLimit:
    """Plans how long the phases of a run may be, at its start and again after each phase.

    started: time.monotonic() when the minutes began.
    """

    def __init__(self, minutes, started):
        self.minutes, self.end = minutes, started + 60 * minutes * FOR_STEPS
        self.seconds, self.full = {}, {}  # {place of a phase in the plan: seconds per step; steps of the whole recipe}

    def measure(self, place, phase, gan, faces):
        """Time some steps of `phase`, as `measure` does."""
        self.seconds[place], self.full[place] = measure(phase, gan, faces, TIMED), phase.stop - phase.start

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
