"""The training loop: phase after phase, step after step."""

import signal
import time
from pathlib import Path

import keras
import tensorflow as tf

import data_loader
from ageing.errors import UserError
from ageing.face_folder import list_images
from ageing.training import checkpoints, devices, sample_grids
from ageing.training.cyclegan import CycleGAN
from ageing.training.monitor import Monitor
from ageing.training.plan import plan


def train(recipe, run, create_run):
    """Train `recipe` to its end, from nothing or from the newest checkpoint of `run`.

    create_run: called without arguments if `run` is None, once recipe and data are known to be right. Returns
    (run, gan, number of the signal that stopped it or 0). run is None in a worker that is not the chief.
    """
    strategy = devices.strategy(recipe.strategy)
    devices.check_batches(strategy, recipe)
    precision, jit = devices.precision(recipe.precision), devices.jit_compile(recipe.xla)
    counts = count_images(recipe)
    phases = plan(recipe, max(counts))
    start, total = run.newest_step() if run else 0, phases[-1].stop
    origin = checkpoints.starting_point(recipe) if not start else None
    chief = devices.is_chief(strategy)
    run = (run or create_run()) if chief else None
    if chief:
        print(f"{run.folder}: {counts[0]} + {counts[1]} images, {total} steps, "
              f"{devices.describe(strategy, precision, jit)}")

    stage_ends = [phase.stop for phase in phases if phase.kind == "train"]
    interruption, monitor, gan = Interruption(strategy), Monitor(run, recipe, total, start), None
    try:
        for phase in phases:
            if phase.stop < start:
                continue
            if gan is None or gan.stage != phase.stage:
                with strategy.scope():
                    gan = begin_stage(recipe, phase.stage, gan, origin, precision, jit)
                keeper = checkpoints.Keeper(run, gan, recipe, stage_ends)
                faces, grid_faces = load_faces(recipe, phase.stage.size, monitor)
            if phase.start < start <= phase.stop:
                keeper.restore(start)
            monitor.begin(phase)
            run_phase(phase, gan, faces, grid_faces, strategy, monitor, keeper, interruption)
            if interruption.signal:
                break
    finally:
        monitor.close()
    return run, gan, interruption.signal


def begin_stage(recipe, stage, previous, origin, precision, jit):
    """The CycleGAN of `stage`, with what `previous`, that of the stage before, has learned, or what `origin` holds."""
    keras.utils.set_random_seed(recipe.seed)  # the same initial state whether the run was resumed or not
    gan = CycleGAN(recipe, stage, precision, jit)
    if previous is not None:
        gan.continue_from(previous)
    elif origin:
        checkpoints.start_from(gan, *origin)
    return gan


def count_images(recipe):
    """(images of A, of B) in the training folders. Raises UserError if a folder is missing or empty."""
    data = recipe.data
    return tuple(len(list_images(Path(data.path, "train", d))) for d in (data.domain_A, data.domain_B))


def load_faces(recipe, size, monitor):
    """(training faces, the faces of the sample grids) at `size` pixels. Says what was read and shows a batch."""
    root, data = Path(recipe.data.path), recipe.data
    faces = data_loader.UnpairedFaces(root / "train", size, data, recipe.seed)
    labels = recipe.discriminator.labels != "none" or recipe.loss.lambda_label
    if labels and max(faces.A.cells.max(), faces.B.cells.max()) < 0:
        raise UserError(f"{root / 'train'}: the file names contain no gender and race ([age]_[gender]_[race]_...); use "
                        "discriminator.labels=none and loss.lambda_label=0")
    grid_faces, notes = sample_grids.grid_faces(data, size)
    monitor.say("\n".join([*faces.report(), *notes]))
    if monitor.chief:
        monitor.picture(f"batch_{size}px", sample_grids.batch_rows(faces))
    return faces, grid_faces


def run_phase(phase, gan, faces, grid_faces, strategy, monitor, keeper, interruption):
    """Steps gan.step to phase.stop. Logs, draws and saves as the recipe says. Ends early when interrupted."""
    settings = gan.recipe.monitor
    step = int(gan.step.numpy())
    if step >= phase.stop:
        return
    if phase.kind == "finish" and step == phase.start:
        gan.begin_finish()
    compute = {"warm": gan.warm_step, "train": gan.train_step, "finish": gan.finish_step}[phase.kind]
    batches = iter(phase.batches(faces, strategy, step))
    if monitor.chief and step == 0:
        monitor.grid(0, sample_grids.sample_rows(gan, grid_faces))
    while step < phase.stop and not interruption.signal:
        begin = time.perf_counter()
        batch = next(batches)
        arrived = time.perf_counter()
        gan.set_learning_rate(phase.learning_rate(step))
        losses = compute(*batch)
        step += 1
        monitor.add(step, losses, arrived - begin, time.perf_counter() - arrived)
        last = interruption.after(step) or step == phase.stop
        if last or step % settings.save_every == 0:
            monitor.flush()  # raises Diverged, so that no diverged state is saved
            keeper.save(step)
        if monitor.chief and (last or step % settings.sample_every == 0):
            monitor.grid(step, sample_grids.sample_rows(gan, grid_faces))


class Interruption:
    """Ctrl-C and SIGTERM end the run after the current step, saved. A second Ctrl-C stops it at once.

    Several workers must stop after the same step, so they ask each other every few steps. signal: the signal's number
    once the run is to end, else 0.
    """

    interval = 10  # steps between two questions: each needs a network round trip

    def __init__(self, strategy):
        self.strategy, self.signal, self.noted = strategy, 0, 0
        for which in (signal.SIGINT, signal.SIGTERM):
            signal.signal(which, self._note)

    def _note(self, number, _frame):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.noted = number

    def after(self, step):
        """True if the run is to end after `step` steps. Every worker gets the same answer."""
        number = self.noted
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            if step % self.interval:
                return False
            mine = self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(number))
            noted = int(self.strategy.reduce("SUM", mine, axis=None))
            number = number or (signal.SIGTERM if noted else 0)
        self.signal = int(number)
        return bool(number)
