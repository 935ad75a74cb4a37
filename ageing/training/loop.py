"""The training loop: phase after phase, step after step."""

import contextlib
import hashlib
import signal
import time
from pathlib import Path

import keras
import tensorflow as tf

import data_loader
from ageing.errors import UserError
from ageing.face_folder import list_images
from ageing.training import checkpoints, devices, resume, sample_grids
from ageing.training.cyclegan import CycleGAN
from ageing.training.monitor import Monitor
from ageing.training.plan import plan

# What TensorFlow, CUDA's libraries and C++ say when memory runs out, in lower case.
OUT_OF_MEMORY = ("out of memory", "oom when", "bad_alloc", "alloc_failed", "failed to allocate")


def train(recipe, run, create_run):
    """Train `recipe` to its end, from nothing or from the newest checkpoint of `run`.

    recipe: that of `run` or, if only lengths differ that are not trained yet, the one that it continues with.
    create_run: called without arguments if `run` is None, once recipe and data are known to be right. Returns
    (run, gan, number of the signal that stopped it or 0). run is None in a worker that is not the chief.
    """
    strategy = devices.strategy(recipe.strategy)
    devices.check_batches(strategy, recipe)
    images = training_images(recipe)
    origin = checkpoints.starting_point(recipe) if not (run and run.newest_step()) else None
    chief = devices.is_chief(strategy)
    if chief and run is None:
        run = create_run()
    with run.locked() if chief else contextlib.nullcontext():
        start = run.newest_step() if run else 0
        if start:
            for line in resume.check(run, checkpoints.recipe_at(run, start), recipe, start, images):
                print(line)
        if chief:
            run.store_images(images)
            run = run.change_recipe(recipe, start) if recipe != run.recipe else run
        return _train(recipe, run if chief else None, start, origin, strategy, images)


def _train(recipe, run, start, origin, strategy, images):
    """The phases after step `start`. origin: as of checkpoints.starting_point. Returns what `train` returns."""
    precision, jit = devices.precision(recipe.precision), devices.jit_compile(recipe.xla)
    phases = plan(recipe, _epoch(images))
    total = phases[-1].stop
    if run:
        if start < total:
            run.set_export_aside(start)
        counts = " + ".join(str(count) for count, _ in images.values())
        print(f"{run.folder}: {counts} images, {total} steps, {devices.describe(strategy, precision, jit)}")
    stage_ends = [phase.stop for phase in phases if phase.kind == "train"]
    interruption, monitor, gan = Interruption(strategy), Monitor(run, recipe, total, start), None
    try:
        for phase in phases:
            if phase.stop < start:
                continue
            with memory_errors_named(recipe, phase):
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


@contextlib.contextmanager
def memory_errors_named(recipe, phase):
    """An out-of-memory error inside the block becomes a UserError that names the phase and its batch sizes."""
    try:
        yield
    except (MemoryError, RuntimeError, tf.errors.OpError) as error:
        told = str(error).lower()
        if not (isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))
                or any(words in told for words in OUT_OF_MEMORY)):
            raise
        stage = f"stages.{recipe.stages.index(phase.stage)}"
        sizes = {"warm": {f"{stage}.warm_start_batch": phase.batch_size},
                 "train": {f"{stage}.batch_size": phase.batch_size, f"{stage}.d_batch_size": phase.stage.d_batch_size},
                 "finish": {"finish.batch_size": phase.batch_size}}[phase.kind]
        sizes = {key: size for key, size in sizes.items() if size is not None}
        less = ({key: size // 2 for key, size in sizes.items() if size > 1}
                or {"generator.filters": recipe.generator.filters // 2})
        raise UserError(f"out of memory in {phase.title} with {_assignments(sizes)}: resume on a device with more "
                        f"memory, or start a new run with less, for example {_assignments(less)}") from error


def _assignments(values):
    return " ".join(f"{key}={value}" for key, value in values.items())


def begin_stage(recipe, stage, previous, origin, precision, jit):
    """The CycleGAN of `stage`, with what `previous`, that of the stage before, has learned, or what `origin` holds."""
    keras.utils.set_random_seed(recipe.seed)  # the same initial state whether the run was resumed or not
    gan = CycleGAN(recipe, stage, precision, jit)
    if previous is not None:
        gan.continue_from(previous)
    elif origin:
        checkpoints.start_from(gan, *origin)
    return gan


def training_images(recipe):
    """{domain: [number of images, digest of their names]} of A and B. Raises UserError if a folder is missing or empty.
    """
    found = {}
    for domain in (recipe.data.domain_A, recipe.data.domain_B):
        names = [path.name for path in list_images(Path(recipe.data.path, "train", domain))]
        digest = hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:16]
        found[domain] = [len(names), digest]
    return found


def count_images(recipe):
    """(images of A, of B) in the training folders. Raises UserError if a folder is missing or empty."""
    return tuple(count for count, _ in training_images(recipe).values())


def _epoch(images):
    """Pairs in an epoch. images: as of training_images."""
    return max(count for count, _ in images.values())


def load_faces(recipe, size, monitor):
    """(training faces, the faces of the sample grids) at `size` pixels. Says what was read and shows a batch."""
    root, data = Path(recipe.data.path), recipe.data
    try:
        faces = data_loader.UnpairedFaces(root / "train", size, data, recipe.seed)
    except MemoryError as error:
        raise UserError(f"out of memory: the faces in {root / 'train'} do not fit at {size} px; use fewer images, or a "
                        "smaller size of that stage") from error
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
