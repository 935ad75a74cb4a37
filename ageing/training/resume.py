"""Whether a run may continue: with which recipe, and with which images."""

import dataclasses
import itertools
import re
from pathlib import Path

from ageing.errors import UserError
from ageing.training.plan import plan

# The keys that --resume may override.
LENGTHS = ("stages.N.epochs", "stages.N.steps", "finish.steps")


def is_length(override):
    """Whether `override`, "key=value", changes only how long a part of the training is."""
    return re.fullmatch(r"(stages\.\d+\.(epochs|steps)|finish\.steps)=.*", override, re.DOTALL) is not None


def check(run, trained, recipe, step, images):
    """Whether `run` can continue after `step` with `recipe`. Lines of text: which lengths differ from before.

    trained: the recipe that `step` was trained with. images: as of loop.training_images. Raises UserError if the images
    are others than those of the steps before, if more than lengths differ, or if the length of a part that is trained
    differs.
    """
    place = run.folder / "recipe.yaml"
    if changes := _differences(_without_lengths(trained), _without_lengths(recipe)):
        raise UserError(f"{place} is another recipe than the one that step {step} was trained with "
                        f"({'; '.join(changes[:3])}); restore it, or start a new run with --config")
    check_images(recipe, run.images() or images, images)
    epoch = max(count for count, _ in images.values())
    before, after = plan(trained, epoch), plan(recipe, epoch)
    if step > before[-1].stop:
        raise UserError(f"{run.folder}: step {step} is beyond the end of its own recipe, {before[-1].stop}: training "
                        "images were removed since; restore them, or start a new run")
    begun = [phase for phase in before if phase.start < step]
    for old, new in zip(begun, after, strict=False):
        if old is begun[-1] and new.stop < step:
            raise UserError(f"{place}: {old.title} would end at step {new.stop}, but {step} steps are trained already; "
                            "make it longer")
        if old is not begun[-1] and new.stop != old.stop:
            raise UserError(f"{place}: the length of {old.title} cannot change: what follows it is trained already, up "
                            f"to step {step}. To train it longer, move the checkpoints after step {old.stop} out of "
                            f"{run.checkpoints} and run the same command again")
    if len(after) < len(begun):  # only finishing can be left out
        raise UserError(f"{place}: finish.steps=0, but finishing has begun; {step} steps are trained already")
    pairs = itertools.zip_longest(before, after)  # finishing is in one of them only if it is 0 steps in the other
    return [f"{(old or new).title} now takes {_length(new)} steps instead of {_length(old)}; its learning rate follows "
            "the new length from here on" for old, new in pairs if _length(old) != _length(new)]


def check_images(recipe, before, now):
    """Raises UserError if the training images differ. before, now: as of loop.training_images."""
    changes = [f"{domain}: {before[domain][0]} before, {count} now" if before[domain][0] != count else
               f"{domain}: {count} before and now, but other files"
               for domain, (count, digest) in now.items() if before[domain] != [count, digest]]
    if changes:
        raise UserError(f"the images in {Path(recipe.data.path, 'train')} changed since the run began "
                        f"({'; '.join(changes)}); restore them to resume, or start a new run "
                        "(start_from=RUN takes over the networks of this one)")


def _length(phase):
    return phase.stop - phase.start if phase else 0


def _without_lengths(recipe):
    stages = tuple(dataclasses.replace(stage, steps=0, epochs=None, warm_start_steps=0) for stage in recipe.stages)
    return dataclasses.replace(recipe.decisive(), stages=stages, finish=dataclasses.replace(recipe.finish, steps=0))


def _differences(before, after):
    """["key: value, was value"] of all keys in which two recipes differ."""
    before, after = (_flat(dataclasses.asdict(recipe)) for recipe in (before, after))
    return [f"{key}: {after.get(key, 'missing')}, was {before.get(key, 'missing')}"
            for key in [*before, *(after.keys() - before.keys())] if before.get(key, ...) != after.get(key, ...)]


def _flat(tree, prefix=""):
    """{dotted key: value} of nested dicts and lists."""
    if not isinstance(tree, (dict, list, tuple)):
        return {prefix[:-1]: tree}
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {key: value for name, child in entries for key, value in _flat(child, f"{prefix}{name}.").items()}
