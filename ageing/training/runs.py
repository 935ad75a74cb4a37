"""The folder of a training run."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

from ageing.errors import UserError, reason
from ageing.storage import replacing
from ageing.training import recipe_file
from ageing.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Run:
    """runs/<number>-<recipe>/ with recipe.yaml, images.json, log.jsonl and checkpoints/. Its grids are in
    samples/<same name>/, beside runs/."""

    folder: Path
    recipe: Recipe

    @classmethod
    def create(cls, root, title, recipe):
        """Make the next run folder in `root`. Raises UserError if that cannot be written."""
        root = Path(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            number = 1 + max((int(p.name[:5]) for p in root.iterdir() if re.match(r"\d{5}-", p.name)), default=0)
            folder = _new_folder(root, title, number)
        except OSError as error:
            raise UserError(f"{root}: no run folder can be made there ({reason(error)}); "
                            "choose another with --runs") from error
        with replacing(folder / "recipe.yaml") as temporary:
            temporary.write_text(recipe_file.dump(recipe), encoding="utf-8")
        return cls(folder, recipe)

    @classmethod
    def open(cls, folder):
        """The run in `folder`. Raises UserError if there is none."""
        folder = Path(folder)
        if not (folder / "recipe.yaml").is_file():
            known = ", ".join(sorted(str(p.parent) for p in folder.parent.glob("*/recipe.yaml"))) or "none"
            raise UserError(f"{folder}: not a run folder, it has no recipe.yaml; runs beside it: {known}")
        return cls(folder, recipe_file.load(folder / "recipe.yaml"))

    @contextlib.contextmanager
    def locked(self):
        """Inside the block no other process may train this run. Raises UserError if one does already.

        The lock belongs to the process: it is free again when the process is dead, however it died.
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
            yield

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
    def name(self):
        return self.folder.name

    @property
    def samples(self):
        """Where its grids are: beside the folder of runs, whatever the working folder is."""
        return self.folder.absolute().parent.parent / "samples" / self.name

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


def _new_folder(root, title, number):
    """Make root/<number>-<title>, with the next free number if another process was faster."""
    while True:
        folder = root / f"{number:05}-{title}"
        try:
            folder.mkdir()
            return folder
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
