"""The folder of a training run."""

import contextlib
import dataclasses
import itertools
import json
import os
import re
import shutil
import uuid
from pathlib import Path

from ageing.errors import UserError, kind_of, reason
from ageing.storage import clear_leftovers, replacing
from ageing.training import recipe_file
from ageing.training.recipe import Recipe

OWNER = "run.txt"  # in the folder of a run's grids: whose they are


@dataclasses.dataclass(frozen=True)
class Run:
    """runs/<number>-<recipe>/ with recipe.yaml, run.json, images.json, log.jsonl and checkpoints/. Its grids are in
    samples/<same name>/, beside runs/. run.json in the one and OWNER in the other tell which two belong together."""

    folder: Path
    recipe: Recipe

    @classmethod
    def create(cls, root, title, recipe):
        """Make the next run folder in `root`, with a number that is free there and in samples/ beside it.

        Raises UserError if that cannot be written.
        """
        root = Path(root)
        samples = Path(os.path.abspath(root)).parent / "samples"
        try:
            for folder in (root, samples):
                folder.mkdir(parents=True, exist_ok=True)
            names = [path.name for folder in (root, samples) for path in folder.iterdir()]
            number = 1 + max((int(name[:5]) for name in names if re.match(r"\d{5}-", name)), default=0)
            run = cls(_new_folder(root, samples, title, number), recipe)
        except OSError as error:
            raise UserError(f"{root}: no run folder can be made there, and one for its grids in {samples} "
                            f"({reason(error)}); choose another with --runs") from error
        run._take_name(*run._identity())
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

        A copy gets a name of its own, and files that a killed process left half written are removed. The lock belongs
        to the process: it is free again when the process is dead, however it died.
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
            self._settle_name()
            for folder in (self.folder, self.checkpoints, self.samples, self.folder / "export"):
                clear_leftovers(folder)
            yield

    def _settle_name(self):
        """Go on under another name if the grids under this one are those of another run: one that this is a copy of."""
        (name, key), before = self._identity(), self.samples
        owned, known = kind_of(before / OWNER), kind_of(self.folder / "run.json")
        mine = owned and (before / OWNER).read_text(encoding="utf-8", errors="replace") == self._mark(key)
        if mine or not kind_of(before) or not (owned or known):  # the last: both are from before there was an OWNER
            self._take_name(name, key)
            return
        stem = self.place.name
        names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
        self._take_name(next(name for name in names if not kind_of(before.parent / name)
                             and (name == stem or not kind_of(self.place.parent / name))), key)
        print(f"{self.folder} was copied or moved: its grids are now in {self.samples}, not in {before}")

    def _take_name(self, name, key):
        with replacing(self.folder / "run.json") as temporary:
            temporary.write_text(json.dumps({"name": name, "key": key}) + "\n", encoding="utf-8")
        with replacing(self.samples / OWNER) as temporary:
            temporary.write_text(self._mark(key), encoding="utf-8")

    def _mark(self, key):
        """The text of OWNER. It stays right when the project's folder is moved."""
        return f"{'/'.join(self.place.parts[-2:])}\n{key}\n"

    def _identity(self):
        """(name, key) in run.json. A run from before that file is called like its folder."""
        path = self.folder / "run.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            return told["name"], told["key"]
        except FileNotFoundError:
            return self.place.name, uuid.uuid4().hex
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: cannot be read ({error}); remove it, and the run is called like its folder"
                            ) from error

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
        """Written inside the folder, so that a copy or a link exports under it too."""
        return self._identity()[0]

    @property
    def place(self):
        """The folder's own absolute path, also if it was named "." or by a link to it."""
        folder = Path(os.path.abspath(self.folder))
        return folder.resolve() if folder.is_symlink() else folder

    @property
    def samples(self):
        """Where its grids are: beside the folder of runs, whatever the working folder is."""
        return self.place.parent.parent / "samples" / self.name

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
