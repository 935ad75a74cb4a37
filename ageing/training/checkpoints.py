"""Checkpoints of a run: all that training needs to resume exactly."""

import contextlib
import re
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
        self.state = {**gan.state(), "recipe": self.text}
        self.checkpoint = tf.train.Checkpoint(**self.state)

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
        """Read the checkpoint of `step`. Raises UserError if it is missing, broken or of other networks."""
        with _reading(self.run, step) as prefix:
            stored = {name.split("/")[0] for name in tf.train.load_checkpoint(prefix).get_variable_to_shape_map()}
        # finish.steps was 0 when it was saved: that optimizer has not begun.
        later = {"finish_optimizer"} - stored
        restore(tf.train.Checkpoint(**{name: part for name, part in self.state.items() if name not in later}),
                self.run, step)
        self.text.assign(recipe_file.dump(self.recipe))


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


def recipe_at(run, step):
    """The Recipe that `step` was trained with."""
    with _reading(run, step) as prefix:
        text = tf.train.load_checkpoint(prefix).get_tensor("recipe/.ATTRIBUTES/VARIABLE_VALUE").decode()
    return recipe_check.parse(yaml.safe_load(text), run.checkpoint(step))


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
        with _without_magic(folder) as readable:
            yield str(readable / "state")
    except Exception as error:  # a damaged file raises a dozen kinds of error, IndexError among them
        raise UserError(f"{folder}: the checkpoint is broken or of other networks ({_short(error)}); "
                        "if it is broken, move it away to continue from the previous checkpoint") from error


@contextlib.contextmanager
def _without_magic(folder):
    """A path to `folder` without [, *, ? and backslashes: TensorFlow reads the name of a checkpoint as a pattern."""
    if not re.search(r"[*?\[\\]", folder.as_posix()):
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        link = Path(scratch, "checkpoint")
        try:
            link.symlink_to(folder.absolute(), target_is_directory=True)
        except OSError:  # Windows lets only administrators make links
            shutil.copytree(folder, link)
        yield link


def _short(error):
    """The first words of an error, on one line."""
    text = reason(error) if isinstance(error, OSError) else getattr(error, "message", None) or str(error)
    return " ".join(text.split())[:100]
