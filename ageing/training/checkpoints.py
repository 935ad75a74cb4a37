"""Checkpoints of a run: all that training needs to resume exactly."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf
import yaml

from ageing.errors import UserError, reason
from ageing.training import recipe_check, recipe_file
from ageing.training.runs import Run

KEEP = 3  # newest checkpoints of a run; the last one of each stage is kept too. cpu.yaml's have 100 MB each


class Keeper:
    """Saves and restores the state of a CycleGAN.

    A checkpoint is a folder that is renamed into place when it is complete, so a kill at any moment leaves the one
    before. run: Run, or None in a worker that is not the chief: it takes part in saving, and its files are discarded.
    stage_ends: last steps of the stages, whose checkpoints are kept.
    """

    def __init__(self, run, gan, recipe, stage_ends):
        self.run, self.recipe, self.stage_ends = run, recipe, stage_ends
        with tf.device("CPU"):
            self.text = tf.Variable(recipe_file.dump(recipe))
        self.checkpoint = tf.train.Checkpoint(**gan.state(), recipe=self.text)

    def save(self, step):
        """Write the checkpoint of `step`, remove old ones. Raises UserError if the disk is full."""
        if self.run is None:
            with tempfile.TemporaryDirectory() as scratch:
                self.checkpoint.write(str(Path(scratch, "state")))
            return
        target = self.run.checkpoint(step)
        unfinished = target.parent / f".writing-{target.name}"
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            self.checkpoint.write(str(unfinished / "state"))
            shutil.rmtree(target, ignore_errors=True)
            unfinished.rename(target)
            for old in set(self.run.steps()[:-KEEP]) - set(self.stage_ends):
                shutil.rmtree(self.run.checkpoint(old))
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise UserError(f"{target} could not be written ({_short(error)}); free space and resume: "
                            "the previous checkpoint is kept") from error

    def restore(self, step):
        """Raises UserError if the checkpoint is broken or was made with another recipe."""
        restore(self.checkpoint, self.run, step)
        folder = self.run.checkpoint(step)
        stored = recipe_check.parse(yaml.safe_load(self.text.numpy().decode()), folder)
        if stored.decisive() != self.recipe.decisive():
            raise UserError(f"{folder} was trained with another recipe than {self.run.folder / 'recipe.yaml'}; "
                            "restore the run's own recipe.yaml or start a new run")


def restore(checkpoint, run, step):
    """Read the checkpoint of `step` into the objects of `checkpoint`, a tf.train.Checkpoint.

    Raises UserError if it is missing, broken or of other networks.
    """
    with _reading(run, step) as prefix:
        checkpoint.read(prefix).assert_existing_objects_matched().expect_partial()


def starting_point(recipe):
    """(Run, step) that `recipe` starts from: the newest checkpoint whose networks have not grown. None: from nothing.

    Raises UserError if that run has no such checkpoint.
    """
    if recipe.start_from is None:
        return None
    run = Run.open(recipe.start_from)
    for step in reversed(run.steps()):
        if not growths_at(run, step):
            return run, step
    raise UserError(f"start_from={recipe.start_from}: that run has no checkpoint of its first stage")


def start_from(gan, run, step):
    """Take over the networks of another run, but not its optimizers, pools and classifier.

    Raises UserError if they have other shapes.
    """
    restore(tf.train.Checkpoint(**gan.networks()), run, step)


def size_at(run, step):
    """Image size in pixels at `step`: that of the images in the checkpoint's pools."""
    with _reading(run, step) as prefix:
        return tf.train.load_checkpoint(prefix).get_variable_to_shape_map()["pool_A/.ATTRIBUTES/VARIABLE_VALUE"][1]


def growths_at(run, step):
    """How many times the networks in the checkpoint of `step` have grown."""
    size = size_at(run, step)
    try:
        return run.recipe.growths(size)
    except ValueError as error:
        raise UserError(f"{run.folder / 'recipe.yaml'} has no stage of {size} px, in which step {step} "
                        "was made; restore the run's own recipe.yaml") from error


@contextlib.contextmanager
def _reading(run, step):
    """TensorFlow's name of the checkpoint of `step`. Any failure inside the block becomes a UserError."""
    if step not in run.steps():
        known = ", ".join(map(str, run.steps())) or "none"
        raise UserError(f"{run.folder}: no checkpoint of step {step}; there are: {known}")
    folder = run.checkpoint(step)
    try:
        yield str(folder / "state")
    except Exception as error:  # a damaged file raises a dozen kinds of error, IndexError among them
        raise UserError(f"{folder}: the checkpoint is broken or of other networks ({_short(error)}); "
                        "if it is broken, move it away to continue from the previous checkpoint") from error


def _short(error):
    """The first words of an error, on one line."""
    text = reason(error) if isinstance(error, OSError) else getattr(error, "message", None) or str(error)
    return " ".join(text.split())[:100]
