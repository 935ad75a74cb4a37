"""The folder of a training run, and whether the run may continue: with which recipe, and with which images."""

import contextlib
import dataclasses
import itertools
import json
import os
import re
import shutil
from pathlib import Path

from ageing.errors import UserError, kind_of, reason
from ageing.storage import clear_leftovers, replacing
from ageing.training import recipe_file
from ageing.training.plan import epoch, plan
from ageing.training.recipe import Monitor, Recipe

OWNER = "run.txt"  # in the folder of a run's grids: whose they are
LENGTHS = ("stages.N.epochs", "stages.N.steps", "finish.steps")  # the keys that --resume may override


@dataclasses.dataclass(frozen=True)
class Run:
    """runs/<number>-<recipe>/ with recipe.yaml, images.json, log.jsonl and checkpoints/. Its grids are in
    samples/<same name>/, beside runs/."""

    folder: Path
    recipe: Recipe

    @classmethod
    def create(cls, root, title, recipe):
        """Make the next run folder in `root`, with a number that is free there and in samples/ beside it.

        Raises UserError if that cannot be written.
        """
        root = Path(root)
        samples = root.resolve().parent / "samples"
        try:
            for folder in (root, samples):
                folder.mkdir(parents=True, exist_ok=True)
            names = [path.name for folder in (root, samples) for path in folder.iterdir()]
            number = 1 + max((int(name[:5]) for name in names if re.match(r"\d{5}-", name)), default=0)
            run = cls(_new_folder(root, samples, title, number), recipe)
        except OSError as error:
            raise UserError(f"{root}: no run folder can be made there, and one for its grids in {samples} "
                            f"({reason(error)}); choose another with --runs") from error
        run._own(samples / run.name)
        with replacing(run.folder / "recipe.yaml") as temporary:
            temporary.write_text(recipe_file.dump(recipe), encoding="utf-8")
        return run

    @classmethod
    def open(cls, folder):
        """The run in `folder`. Raises UserError if there is none."""
        folder = Path(folder)
        if kind_of(folder / "recipe.yaml") != "file":
            known = ", ".join(sorted(str(p.parent) for p in folder.parent.glob("*/recipe.yaml"))) or "none"
            raise UserError(f"{folder}: not a run folder, it has no recipe.yaml; runs beside it: {known}")
        return cls(folder, recipe_file.load(folder / "recipe.yaml"))

    @contextlib.contextmanager
    def locked(self):
        """Inside the block no other process may train this run. Raises UserError if one does already.

        Files that a killed process left half written are removed. The lock belongs to the process: it is free again
        when the process is dead, however it died.
        """
        try:
            file = open(self.folder / "lock", "a", encoding="utf-8")  # noqa: SIM115, closed below
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written ({reason(error)}); copy the run to a folder you may "
                            "write to") from error
        with file:
            try:
                _lock(file)
            except BlockingIOError as error:
                raise UserError(f"{self.folder}: another process is training this run; wait until it has ended, or "
                                "stop it") from error
            except OSError:
                pass  # some network file systems have no locks
            self._own(self.samples)
            for folder in (self.folder, self.checkpoints, self.samples, self.folder / "export"):
                clear_leftovers(folder)
            yield

    def _own(self, samples):
        with replacing(samples / OWNER) as temporary:
            temporary.write_text(self._owner, encoding="utf-8")

    def change_recipe(self, recipe, step):
        """This run with another recipe, from `step` on. The old one is kept as recipe-before-<step>.yaml."""
        kept = self.folder / f"recipe-before-{step}.yaml"
        if not kept.exists():  # else the recipe in between has trained no step
            with replacing(kept) as temporary:
                shutil.copyfile(self.folder / "recipe.yaml", temporary)
        with replacing(self.folder / "recipe.yaml") as temporary:
            temporary.write_text(recipe_file.dump(recipe), encoding="utf-8")
        return dataclasses.replace(self, recipe=recipe)

    def set_export_aside(self, step):
        """Rename export/ to export-before-<step>/, because the run goes on from `step`."""
        exported, kept = self.folder / "export", self.folder / f"export-before-{step}"
        if not exported.exists():
            return
        try:
            if kept.exists():  # the same generators
                shutil.rmtree(kept)
            exported.rename(kept)
        except OSError as error:
            raise UserError(f"{exported} could not be renamed to {kept.name} ({reason(error)}); "
                            "move it away") from error

    def images(self):
        """The training images that the run began with, as of loop.training_images. None if that is unknown."""
        path = self.folder / "images.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error}); remove it if the training images are the "
                            "same as before") from error

    def store_images(self, images):
        with replacing(self.folder / "images.json") as temporary:
            temporary.write_text(json.dumps(images, indent=1) + "\n", encoding="utf-8")

    @property
    def place(self):
        """The folder's own absolute path, also if it was named "." or by a link."""
        return self.folder.resolve()

    @property
    def name(self):
        return self.place.name

    @property
    def _owner(self):
        """The text of OWNER. It stays right when the project's folder is moved."""
        return "/".join(self.place.parts[-2:]) + "\n"

    @property
    def samples(self):
        """Where its grids are: beside the folder of runs. A copy in another folder of runs gets a name of its own."""
        for i in itertools.count(1):
            samples = self.place.parent.parent / "samples" / (self.name if i == 1 else f"{self.name}-{i}")
            owned = kind_of(samples / OWNER) and (samples / OWNER).read_text(encoding="utf-8", errors="replace")
            if not kind_of(samples) or (owned or "").startswith(self._owner):
                return samples

    @property
    def checkpoints(self):
        return self.folder / "checkpoints"

    @property
    def log(self):
        return self.folder / "log.jsonl"

    def steps(self):
        """Steps that have a checkpoint, ascending."""
        found = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
        return sorted(int(p.name[4:12]) for p in found if re.fullmatch(r"step\d{8}\.npz", p.name))

    def newest_step(self):
        """The step of the newest checkpoint, 0 if there is none yet."""
        return max(self.steps(), default=0)

    def checkpoint(self, step):
        """The file of the checkpoint of `step`."""
        return self.checkpoints / f"step{step:08}.npz"


def _new_folder(root, samples, title, number):
    """Make root/<name> and samples/<name>, with the next number that is free in both if another process was faster."""
    while True:
        name = f"{number:05}-{title}"
        try:
            (root / name).mkdir()
            try:
                (samples / name).mkdir()
            except OSError:
                (root / name).rmdir()
                raise
            return root / name
        except FileExistsError:
            number += 1


def _lock(file):
    """Lock an open file for this process. Raises BlockingIOError if another one holds the lock."""
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Resuming

def is_length(override):
    """Whether `override`, "key=value", changes only how long a part of the training is."""
    return re.fullmatch(r"(stages\.\d+\.(epochs|steps)|finish\.steps)=.*", override, re.DOTALL) is not None


def check_recipe(run, trained, recipe, step, images):
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
    pairs = epoch(recipe, {domain: count for domain, (count, _) in images.items()})
    before, after = plan(trained, pairs), plan(recipe, pairs)
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
    """What must stay. How often a run reports may change, too."""
    stages = tuple(dataclasses.replace(stage, steps=0, epochs=None, warm_start_steps=0) for stage in recipe.stages)
    return dataclasses.replace(recipe, stages=stages, finish=dataclasses.replace(recipe.finish, steps=0),
                               monitor=Monitor())


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
