"""A training run: its folder, its plan of phases, its checkpoints and its sample grids."""

import contextlib
import dataclasses
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

import data_loader
import recipe as recipes
from files import UserError, reason, replacing
from pictures import to_floats, to_pixels

# Streams of random choices: the images of generator steps, discriminator steps, warm starts and finishing differ.
GENERATOR, DISCRIMINATOR, WARM, FINISH = 0, 1, 2, 3


@dataclasses.dataclass(frozen=True)
class Run:
    """runs/<number>-<recipe>/ with recipe.yaml, log.jsonl and checkpoints/; its grids stand in samples/<same name>/."""

    folder: Path
    recipe: recipes.Recipe

    @classmethod
    def create(cls, root, title, recipe):
        """Make the next run folder under `root`. Raises UserError if that cannot be written."""
        root = Path(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            number = 1 + max((int(p.name[:5]) for p in root.iterdir() if re.match(r"\d{5}-", p.name)), default=0)
            folder = root / f"{number:05}-{title}"
            folder.mkdir()
        except OSError as error:
            raise UserError(f"{root}: no run folder can be made there ({reason(error)}); "
                            "choose another with --runs") from error
        with replacing(folder / "recipe.yaml") as temporary:
            temporary.write_text(recipes.dump(recipe), encoding="utf-8")
        return cls(folder, recipe)

    @classmethod
    def open(cls, folder):
        """The run in `folder`. Raises UserError if it is none."""
        folder = Path(folder)
        if not (folder / "recipe.yaml").is_file():
            known = ", ".join(sorted(str(p.parent) for p in folder.parent.glob("*/recipe.yaml"))) or "none"
            raise UserError(f"{folder}: not a run folder, it has no recipe.yaml; runs beside it: {known}")
        return cls(folder, recipes.load(folder / "recipe.yaml"))

    @property
    def name(self):
        return self.folder.name

    @property
    def samples(self):
        return Path("samples") / self.name

    @property
    def checkpoints(self):
        return self.folder / "checkpoints"

    def steps(self):
        """Steps that have a checkpoint, ascending."""
        found = self.checkpoints.glob("step*") if self.checkpoints.is_dir() else ()
        return sorted(int(p.name[4:]) for p in found if re.fullmatch(r"step\d{8}", p.name))

    def newest_step(self):
        """The step of the newest checkpoint, 0 if there is none yet."""
        return max(self.steps(), default=0)

    def prefix(self, step):
        """What TensorFlow calls the checkpoint of `step`."""
        return self.checkpoints / f"step{step:08}" / "state"


def origin(recipe):
    """(Run, step) that `recipe` starts from, None if from nothing: the newest checkpoint whose networks have not grown.

    Raises UserError if that run has none.
    """
    if recipe.start_from is None:
        return None
    run = Run.open(recipe.start_from)
    for step in reversed(run.steps()):
        if not growths_at(run, step):
            return run, step
    raise UserError(f"start_from={recipe.start_from}: that run has no checkpoint of its first stage")


def start_from(gan, run, step):
    """Take the networks of another run, not its optimizers, pools and classifier.

    Raises UserError if they are of other shapes.
    """
    import tensorflow as tf

    restore(tf.train.Checkpoint(**gan.networks()), run, step)


def count_images(recipe):
    """(images of A, of B) in the training folders. Raises UserError if a folder is missing or empty."""
    data = recipe.data
    return tuple(len(data_loader.list_images(Path(data.path, "train", d))) for d in (data.domain_A, data.domain_B))


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps `start` to `stop` of one kind: "warm" teaches the discriminators only, "train" is CycleGAN's step, "finish"
    the generators' last polish."""

    kind: str
    stage: recipes.Stage
    title: str
    start: int
    stop: int
    batch_size: int
    learning_rate: Callable[[int], float]
    d_rounds: int = 0  # discriminator steps a generator step, if they have batches of their own

    def batches(self, faces, strategy, step):
        """For the step function, from `step` on: (A, B), when training also (A, B) or None. Faces all."""
        def stream(shape, number):
            return strategy.distribute_datasets_from_function(
                lambda context: faces.dataset(shape, number, step, self.stop, context))

        if self.kind != "train":
            number = {"warm": WARM, "finish": FINISH}[self.kind]
            return ((batch,) for batch in stream((1, self.batch_size), number))
        own = stream((1, self.batch_size), GENERATOR)
        if not self.d_rounds:
            return ((batch, None) for batch in own)
        return zip(own, stream((self.d_rounds, self.stage.d_batch_size), DISCRIMINATOR), strict=True)


def plan(recipe, epoch):
    """The phases of `recipe`; `epoch` is the number of pairs in one."""
    phases, step = [], 0
    for stage in recipe.stages:
        if stage.warm_start_steps:
            phases.append(Phase("warm", stage, f"{stage.size}px warm start", step, step + stage.warm_start_steps,
                                stage.warm_start_batch, lambda step, rate=stage.learning_rate: rate))
            step += stage.warm_start_steps
        n = stage.steps if stage.steps is not None else -int(-stage.epochs * epoch // stage.batch_size)
        phases.append(Phase("train", stage, f"{stage.size}px", step, step + n, stage.batch_size,
                            _linear_decay(stage.learning_rate, step, n, recipe.optimizer.decay_from),
                            recipe.adversary.steps if stage.d_batch_size is not None else 0))
        step += n
    if (finish := recipe.finish).steps:
        phases.append(Phase("finish", recipe.stages[-1], "finish", step, step + finish.steps, finish.batch_size,
                            _linear_decay(finish.learning_rate, step, finish.steps, recipe.optimizer.decay_from)))
    return phases


def _linear_decay(rate, start, n, decay_from):
    """Constant, then falling linearly to 0 at the end of the stage (section 7.1 of the paper)."""
    def learning_rate(step):
        done = (step - start) / max(n, 1)
        return rate if done < decay_from else rate * (1 - done) / (1 - decay_from)
    return learning_rate


def load_faces(recipe, stage):
    """(training faces, held-out pixels (A, B), notes): the held-out faces are the test folder's, if there is one."""
    root, data = Path(recipe.data.path), recipe.data
    faces = data_loader.UnpairedFaces(root / "train", stage.size, data, recipe.seed)
    labels = recipe.discriminator.labels != "none" or recipe.loss.lambda_label
    if labels and max(faces.A.cells.max(), faces.B.cells.max()) < 0:
        raise UserError(f"{root / 'train'}: the file names tell no gender and group ([age]_[gender]_[race]_...); use "
                        "discriminator.labels=none and loss.lambda_label=0")
    notes, held_out = faces.report(), []
    for domain in (data.domain_A, data.domain_B):
        folder = root / "test" / domain
        if not folder.is_dir():
            notes.append(f"{folder} is missing: the sample grids show training faces")
            folder = root / "train" / domain
        held_out.append(data_loader.fixed_faces(folder, stage.size, recipe.monitor.faces))
    return faces, tuple(held_out), notes


def translate(network, pixels):
    """uint8 (n, H, W, 3) through a generator to the same, eight at a time."""
    return np.concatenate([to_pixels(network(to_floats(pixels[i:i + 8]), training=False))
                           for i in range(0, len(pixels), 8)])


def sample_rows(gan, held_out):
    """Rows of a sample grid, from the moving averages: translation, cycle and identity check of both domains."""
    A, B = held_out
    fake_B, fake_A = translate(gan.ema_AB, A), translate(gan.ema_BA, B)
    return [
        ("A", A), ("G_AB(A)", fake_B), ("G_BA(G_AB(A))", translate(gan.ema_BA, fake_B)),
        ("G_AB(B) identity", translate(gan.ema_AB, B)),
        ("B", B), ("G_BA(B)", fake_A), ("G_AB(G_BA(B))", translate(gan.ema_AB, fake_A)),
        ("G_BA(A) identity", translate(gan.ema_BA, A)),
    ]


class Keeper:
    """Saves and restores the state of a CycleGAN in the checkpoints of a run.

    A checkpoint is a folder that gets its name when it is whole, so a kill at any moment leaves the one before.
    run: Run, or None in a worker that is not the chief: it takes part in saving, and what it writes is thrown away.
    stage_ends: the last steps of the stages, whose checkpoints stay beside the newest ones.
    """

    def __init__(self, run, gan, recipe, stage_ends):
        import tensorflow as tf

        self.run, self.recipe, self.stage_ends = run, recipe, stage_ends
        with tf.device("CPU"):
            self.text = tf.Variable(recipes.dump(recipe))
        self.checkpoint = tf.train.Checkpoint(**gan.state(), recipe=self.text)

    def save(self, step):
        import tensorflow as tf

        if self.run is None:
            with tempfile.TemporaryDirectory() as scratch:
                self.checkpoint.write(str(Path(scratch, "state")))
            return
        target = self.run.prefix(step).parent
        unfinished = target.parent / f".writing-{target.name}"
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            self.checkpoint.write(str(unfinished / "state"))
            shutil.rmtree(target, ignore_errors=True)
            unfinished.rename(target)
            for old in set(self.run.steps()[:-self.recipe.monitor.keep]) - set(self.stage_ends):
                shutil.rmtree(self.run.prefix(old).parent)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise UserError(f"{target} could not be written ({short(error)}); free space and resume: "
                            "the checkpoint before it is kept") from error

    def restore(self, step):
        """Raises UserError if the checkpoint is broken or belongs to another recipe."""
        restore(self.checkpoint, self.run, step)
        stored = self.text.numpy().decode()
        if _decisive(recipes.parse(yaml.safe_load(stored), self.run.prefix(step).parent)) != _decisive(self.recipe):
            raise UserError(f"{self.run.prefix(step).parent} was trained with another recipe than "
                            f"{self.run.folder / 'recipe.yaml'}; put the run's own recipe.yaml back or start a new run")


def restore(checkpoint, run, step):
    """Read the checkpoint of `step` into all that `checkpoint` holds. Raises UserError if it is missing or broken."""
    with _reading(run, step) as prefix:
        checkpoint.read(prefix).assert_existing_objects_matched().expect_partial()


def size_at(run, step):
    """Pixels a side of the stage that the checkpoint of `step` was made in: of the images in its pools."""
    import tensorflow as tf

    with _reading(run, step) as prefix:
        return tf.train.load_checkpoint(prefix).get_variable_to_shape_map()["pool_A/.ATTRIBUTES/VARIABLE_VALUE"][1]


def growths_at(run, step):
    """How many times the networks in the checkpoint of `step` have grown."""
    size = size_at(run, step)
    try:
        return run.recipe.growths(size)
    except ValueError as error:
        raise UserError(f"{run.folder / 'recipe.yaml'} has no stage of {size} px, in which step {step} "
                        "was made; put the run's own recipe.yaml back") from error


@contextlib.contextmanager
def _reading(run, step):
    """What TensorFlow calls the checkpoint of `step`; whatever goes wrong with it is a UserError."""
    prefix = run.prefix(step)
    if step not in run.steps():
        known = ", ".join(map(str, run.steps())) or "none"
        raise UserError(f"{run.folder}: no checkpoint of step {step}; there are: {known}")
    try:
        yield str(prefix)
    except Exception as error:  # TensorFlow's reader turns damage into a dozen kinds of error, IndexError among them
        raise UserError(f"{prefix.parent}: the checkpoint is broken or of other networks ({short(error)}); "
                        "if it is broken, move it away to go on from the one before") from error


def short(error):
    """The first words of an error, on one line."""
    text = reason(error) if isinstance(error, OSError) else getattr(error, "message", None) or str(error)
    return " ".join(text.split())[:100]


def _decisive(recipe):
    """The recipe without what may change between a run's parts: where it computes, how it reports."""
    return dataclasses.replace(recipe, strategy="auto", xla="auto", monitor=recipes.Monitor())
