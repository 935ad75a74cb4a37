"""Checkpoints of a run: all that training needs to resume exactly, one file of named arrays each.

A file is NumPy's .npz, a zip archive, which keeps a CRC-32 of every array: a damaged file is noticed. The same file
resumes on TensorFlow and on JAX.
"""

import contextlib
from typing import NamedTuple

import numpy as np
import yaml
from keras import ops

from ageing.errors import UserError
from ageing.storage import replacing
from ageing.training import recipe_file
from ageing.training.recipe import Recipe
from ageing.training.runs import Run

KEEP = 3  # newest checkpoints of a run; the last one of each stage is kept too. cpu.yaml's have 90 MB each


def save(run, gan, recipe, kept=()):
    """Write the checkpoint of the step that `gan` is at, and remove old ones, but none of the steps `kept`.

    It is written to a temporary name and renamed when it is complete, so a kill at any moment leaves the one before.
    Raises UserError if the disk is full.
    """
    arrays = {name: ops.convert_to_numpy(v) for name, v in _named(gan.state()).items()}
    try:
        with replacing(run.checkpoint(gan.step)) as temporary:
            np.savez(temporary, recipe=recipe_file.dump(recipe), size=gan.stage.size, growths=gan.growths, **arrays)
        for old in set(run.steps()[:-KEEP]) - set(kept):
            run.checkpoint(old).unlink()
    except (OSError, UserError) as error:
        raise UserError(f"{error}, then resume: the previous checkpoint is kept") from error


def restore(run, gan, step):
    """Give `gan` the state at `step`. Raises UserError as `read_into`."""
    with _reading(run, step) as arrays:
        # finish.steps was 0 when it was saved: that optimizer has not begun.
        later = {"finish_optimizer"} - {name.split("/")[0] for name in arrays.files}
    read_into({name: part for name, part in gan.state().items() if name not in later}, run, step)
    gan.step = step


def read_into(parts, run, step):
    """Assign what the checkpoint of `step` holds to `parts`, {name: [variables]} as of CycleGAN.state.

    Raises UserError if it is missing, broken or of other networks.
    """
    with _reading(run, step) as arrays:
        if damaged := arrays.zip.testzip():  # reading an array checks it only if its header lets all of it be read
            raise ValueError(f"{damaged} is damaged")
        variables, names = _named(parts), {name for name in arrays.files if name.split("/")[0] in parts}
        others = [f"{len(names)} arrays for {len(variables)} variables"] * (variables.keys() != names)
        values = {} if others else {name: arrays[name] for name in variables}  # all are read before one is assigned
        others += [f"{name} has the shape {value.shape}, not {tuple(variables[name].shape)}"
                   for name, value in values.items() if value.shape != tuple(variables[name].shape)]
    if others:
        raise UserError(f"the recipe's networks are not those of {run.checkpoint(step)} ({others[0]}); take over "
                        f"data.domain_B, generator and discriminator from {run.folder / 'recipe.yaml'}")
    for name, variable in variables.items():
        variable.assign(values[name])


def starting_point(recipe):
    """(Run, step) that `recipe` starts from: the newest checkpoint whose networks have not grown. None: from nothing.

    Raises UserError if that run has no such checkpoint.
    """
    if recipe.start_from is None:
        return None
    run = Run.open(recipe.start_from)
    for step in reversed(run.steps()):
        if not header(run, step).growths:
            return run, step
    raise UserError(f"start_from={recipe.start_from}: that run has no checkpoint of its first stage")


class Header(NamedTuple):
    """What a checkpoint says of itself: the recipe that trained it, image size in pixels, growths of its networks."""

    recipe: Recipe
    size: int
    growths: int


def header(run, step):
    """The Header of the checkpoint of `step`."""
    with _reading(run, step) as arrays:
        text, size, growths = (arrays[name].item() for name in ("recipe", "size", "growths"))
    return Header(recipe_file.parse(yaml.safe_load(text), run.checkpoint(step)), size, growths)


def _named(parts):
    """{name of an array: variable}. Keras' own names depend on what else was built before, places do not."""
    return {f"{part}/{place:03}": v for part, variables in parts.items() for place, v in enumerate(variables)}


@contextlib.contextmanager
def _reading(run, step):
    """The arrays of the checkpoint of `step`. Any failure inside the block becomes a UserError."""
    if step not in run.steps():
        known = ", ".join(map(str, run.steps())) or "none"
        raise UserError(f"{run.folder}: no checkpoint of step {step}; there are: {known}")
    path = run.checkpoint(step)
    try:
        with np.load(path) as arrays:
            yield arrays
    except MemoryError:
        raise
    except Exception as error:  # a damaged file raises a dozen kinds of error
        short = " ".join(str(error).split())[:100]
        raise UserError(f"{path}: the checkpoint is broken ({short}); move it away to continue from the previous one"
                        ) from error
