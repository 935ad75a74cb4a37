"""The training loop: phase after phase, step after step."""

import contextlib
import hashlib
import signal
import time
from pathlib import Path

import keras

import data_loader
from ageing import drawn_faces
from ageing.errors import UserError, signals_to_end
from ageing.face_folder import list_images
from ageing.training import checkpoints, devices, recipe_file, runs, sample_grids, time_limit
from ageing.training.cyclegan import CycleGAN
from ageing.training.engine import engine
from ageing.training.monitor import Monitor
from ageing.training.plan import ahead, batch, epoch, plan
from ageing.utkface import cell_of

# What TensorFlow, JAX, CUDA's libraries and C++ say when memory runs out, in lower case.
OUT_OF_MEMORY = ("out of memory", "oom when", "bad_alloc", "alloc_failed", "failed to allocate", "resource_exhausted")
# What CUDA's libraries say when they find no memory as they start, because another process has reserved it.
TAKEN = ("dnn library initialization failed", "cudnn_status_not_initialized", "cublas_status_not_initialized",
         "create cudnn handle", "create cublas handle")


def train(recipe, run, create_run, limit=None):
    """Train `recipe` to its end, from nothing or from the newest checkpoint of `run`.

    recipe: that of `run` or, if only lengths differ that are not trained yet, the one that it continues with.
    create_run: called without arguments if `run` is None, once recipe and data are known to be right. limit:
    time_limit.TimeLimit. Returns (run, gan, number of the signal that stopped it or 0). run is None in all but the
    first of several processes.
    """
    first = engine().first  # the others read what they need and write nothing
    devices.share_batches(recipe, engine())
    if limit and engine().several_processes:
        raise UserError("--minutes: several processes would not agree on the time; set the lengths in the recipe")
    images = training_images(recipe)
    origin = None if run and run.newest_step() else checkpoints.starting_point(recipe)
    if first:
        run = run or create_run()
    with run.locked() if first else contextlib.nullcontext():
        training = Training(recipe, run, origin, images, limit)
        training.train()
    return training.run if first else None, training.gan, training.interruption.signal


class Training:
    """The phases of `run` after its newest checkpoint. origin: checkpoints.starting_point. The rest: as in `train`."""

    def __init__(self, recipe, run, origin, images, limit):
        self.recipe, self.run, self.origin, self.images, self.limit = recipe, run, origin, images, limit
        self.start = run.newest_step() if run else 0
        self.epoch = epoch(recipe, {domain: count for domain, (count, _) in images.items()})
        self.phases, self.precision = plan(recipe, self.epoch), engine().precision(recipe.precision)
        self.place = self.gan = self.faces = None  # of the stage that trains: its index, networks and faces
        self.ready = {}  # {index of a stage: (gan, faces)} of those that train later
        changes = runs.check_recipe(run, checkpoints.header(run, self.start).recipe, recipe, self.start,
                                    images) if self.start else []
        if engine().first:
            self._write_down(changes)
        self.interruption = Interruption()
        self.monitor = Monitor(run if engine().first else None, recipe, self.phases[-1].stop, self.start)

    def _write_down(self, changes):
        """What is trained from here on. changes: lines of text, how it differs from what the run trained before."""
        total = self.phases[-1].stop
        self.run.store_images(self.images)
        if self.recipe != self.run.recipe:
            self.run = self.run.change_recipe(self.recipe, self.start)
        if self.start < total:
            self.run.set_export_aside(self.start)
        counts = " + ".join(str(count) for count, _ in self.images.values())
        print("\n".join([*changes, f"{self.run.folder}: {counts} images, {total} steps, "
                                   f"{engine().describe(self.precision)}"]))

    def train(self):
        try:
            if self.limit:
                self._time_phases()
            elif not self.start and not engine().several_processes:
                self._forecast()
            for number in range(len(self.phases)):
                phase = self.phases[number]  # of the plan as it is now
                if phase.stop < self.start:
                    continue
                with memory_errors_named(self.recipe, phase):
                    self._train_phase(phase)
                if self.interruption.signal:
                    break
                if self.limit and phase is not self.phases[-1]:
                    self._shorten(phase.stop)
        finally:
            self.monitor.close()
            self.interruption.restore()

    def _train_phase(self, phase):
        """Steps gan.step to phase.stop. Logs, draws and saves as the recipe says. Ends early when interrupted."""
        self._begin(phase)
        gan, (faces, grid_faces), monitor, settings = self.gan, self.faces, self.monitor, self.recipe.monitor
        stage_ends = [p.stop for p in self.phases if p.kind == "train"]
        if phase.start < self.start <= phase.stop:
            checkpoints.restore(self.run, gan, self.start)
        if gan.step >= phase.stop:
            return
        if phase.kind == "finish" and gan.step == phase.start:
            gan.begin_finish()
        if monitor.first and gan.step == 0:
            monitor.grid(0, sample_grids.sample_grid(gan, grid_faces))
        arrived = ahead(lambda step: gan.engine.place(batch(phase, gan, faces, step)), range(gan.step, phase.stop))
        with contextlib.closing(arrived):
            while gan.step < phase.stop:
                begin = time.perf_counter()
                placed = next(arrived)
                middle = time.perf_counter()
                losses = gan.compute(phase.kind, placed)
                monitor.add(gan.step, losses, middle - begin, time.perf_counter() - middle)
                ending = self.interruption.signal  # a signal that comes later ends the next step
                last = ending or gan.step == phase.stop
                if last or gan.step % settings.save_every == 0:
                    monitor.flush()  # raises an error if it diverged, so that no such state is saved
                    if monitor.first:
                        checkpoints.save(self.run, gan, self.recipe, stage_ends)
                if monitor.first and (last or gan.step % settings.sample_every == 0):
                    monitor.grid(gan.step, sample_grids.sample_grid(gan, grid_faces))
                if ending:
                    break

    def _begin(self, phase):
        """Networks and faces of the phase's stage. The networks have what those before them, or `origin`, learned."""
        place, previous = self.recipe.stages.index(phase.stage), self.gan
        if place != self.place:
            self.gan, self.faces = self._ready(place)
            self.place = place
            del self.ready[place]
            if previous is not None:
                self.gan.continue_from(previous)
            elif self.origin:  # the networks of another run, but not its optimizers, pools and classifier
                checkpoints.read_into({name: network.variables for name, network in self.gan.networks().items()},
                                      *self.origin)
        self.monitor.begin(phase)

    def _ready(self, place):
        """(CycleGAN, (training faces, faces of the sample grids)) of a stage, built if they are not there yet."""
        if place not in self.ready:
            keras.utils.set_random_seed(self.recipe.seed)  # the same initial state whether the run was resumed or not
            gan = CycleGAN(self.recipe, self.recipe.stages[place], self.precision)
            faces = load_faces(self.recipe, gan, self.monitor)
            runs.check_images(self.recipe, self.images, training_images(self.recipe))  # what was loaded just now
            self.ready[place] = gan, faces
        return self.ready[place]

    def _forecast(self):
        """Say how long the run takes, if this machine has no GPU."""
        def measured(phase):
            if self.interruption.signal:
                raise InterruptedError
            with memory_errors_named(self.recipe, phase):
                gan, (faces, _) = self._ready(self.recipe.stages.index(phase.stage))
                return time_limit.measure(phase, gan, faces)

        with contextlib.suppress(InterruptedError):
            for line in time_limit.forecast(self.phases, measured):
                self.monitor.say(line)

    def _time_phases(self):
        """Time some steps of every phase, and shorten the phases."""
        for number, phase in enumerate(self.phases):
            if phase.stop > max(self.start, phase.start):
                with memory_errors_named(self.recipe, phase):
                    gan, (faces, _) = self._ready(self.recipe.stages.index(phase.stage))
                    self.limit.measure(number, phase, gan, faces)
            if self.interruption.signal:
                return
        self._shorten(self.start)

    def _shorten(self, step):
        """Let the phases after `step` fit into the time that is left."""
        shorter, line = self.limit.shorten(self.recipe, self.phases, step)
        if shorter != self.recipe:
            self.monitor.say(line)
            self.recipe, self.phases = shorter, plan(shorter, self.epoch)
            self.monitor.change_plan(shorter, self.phases[-1].stop)
            self.run = self.run.change_recipe(shorter, step)


@contextlib.contextmanager
def memory_errors_named(recipe, phase):
    """An out-of-memory error inside the block becomes a UserError that names the phase and its batch sizes, or that
    another process holds the memory."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each backend has its own kinds
        text, devices = str(error).lower(), engine().devices
        if any(words in text for words in TAKEN):
            raise UserError(f"{phase.title}: CUDA's libraries found no free memory on the GPU; most likely another "
                            "process holds it (nvidia-smi lists them). End that one, or start both with "
                            "XLA_CLIENT_MEM_FRACTION=0.4") from error
        if not (isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY)):
            raise
        stage = f"stages.{recipe.stages.index(phase.stage)}"
        sizes = {"warm": {f"{stage}.warm_start_batch": phase.batch_size},
                 "train": {f"{stage}.batch_size": phase.batch_size, f"{stage}.d_batch_size": phase.stage.d_batch_size},
                 "finish": {"finish.batch_size": phase.batch_size}}[phase.kind]
        sizes = {key: size for key, size in sizes.items() if size is not None}
        less = ({key: fewer for key, size in sizes.items() if (fewer := size // 2 // devices * devices)}
                or {"generator.filters": recipe.generator.filters // 2})
        raise UserError(f"out of memory in {phase.title} with {_assignments(sizes)}: resume on a device with more "
                        f"memory, or start a new run with less, for example {_assignments(less)}") from error


def _assignments(values):
    return " ".join(f"{key}={value}" for key, value in values.items())


def training_images(recipe):
    """{domain: [number of images, digest of their names]} of all domains. Raises UserError if a folder is missing or
    empty.

    Matched sampling draws no image whose name tells no gender and race, so none is counted.
    """
    found = {}
    for domain in recipe.data.domains:
        folder = Path(recipe.data.path, "train", domain)
        names = [path.name for path in list_images(folder)]
        if recipe.data.sampling == "matched":
            names = [name for name in names if cell_of(name) >= 0]
        if not names:
            raise UserError(f"{folder}: no file name tells gender and race ([age]_[gender]_[race]_...), which "
                            "data.sampling=matched needs; use data.sampling=independent")
        digest = hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:16]
        found[domain] = [len(names), digest]
    return found


def describe(recipe):
    """What a run would do: lines on recipe, networks, data, phases, hours. Raises UserError as training would."""
    devices.share_batches(recipe, engine())
    data = recipe.data
    counts = (drawn_faces.count(data.path, data.domain_A, data.domains_B) if data.source == "drawn"
              else [count for count, _ in training_images(recipe).values()])
    counts = dict(zip(data.domains, counts, strict=True))
    yield recipe_file.dump(recipe)
    gan = CycleGAN(recipe, recipe.stages[-1])
    yield f"networks at {recipe.stages[-1].size} px:"
    for name in ("g_AB", "g_BA", "d_A", "d_B", "classifier"):
        if network := getattr(gan, name):
            yield f"{name}: {network.count_params():,} parameters"
    told = ", ".join(f"{domain} {count}" for domain, count in counts.items())
    yield f"data: {data.path}/train: {told} images"
    if data.ages:
        yield f"g_AB is told the age: {data.ages[0]:g} to {data.ages[-1]:g} years"
    yield f"device: {engine().describe(engine().precision(recipe.precision))}"
    if origin := checkpoints.starting_point(recipe):
        yield f"starts from: {origin[0].folder}, step {origin[1]}"
    phases = plan(recipe, epoch(recipe, counts))
    for phase in phases:
        yield f"{phase.title}: steps {phase.start} to {phase.stop}, {phase.batch_size} pairs each"
    gans = {}   # {stage: CycleGAN}

    def measured(phase):
        with memory_errors_named(recipe, phase):
            if phase.stage not in gans:
                gans[phase.stage] = CycleGAN(recipe, phase.stage, engine().precision(recipe.precision))
            return time_limit.measure(phase, gans[phase.stage], time_limit.Noise(phase.stage.size, data))

    yield from time_limit.forecast(phases, measured)


def load_faces(recipe, gan, monitor):
    """(training faces, the faces of the sample grids) at gan's image size. Says what was read and shows a batch."""
    root, data, size = Path(recipe.data.path), recipe.data, gan.stage.size
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
    if monitor.first:
        monitor.picture(f"batch_{size}px", sample_grids.batch_grid(gan, faces))
    return faces, grid_faces


class Interruption:
    """Ctrl-C, SIGTERM and SIGHUP end the run after the current step, saved. A second Ctrl-C stops it at once.

    signal: the signal's number once the run is to end, else 0. Of several processes, which would have to agree on a
    step, each stops at once: the newest checkpoint is kept.
    """

    def __init__(self):
        self.signal = 0
        handler = signal.SIG_DFL if engine().several_processes else self._note
        self.before = {which: signal.signal(which, handler) for which in signals_to_end()}

    def restore(self):
        """What follows the training, as its export, ends as before."""
        for which, handler in self.before.items():
            signal.signal(which, handler)

    def _note(self, number, _frame):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.signal = number
