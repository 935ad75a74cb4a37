"""The folder of a training run."""

import dataclasses
import re
from pathlib import Path

from ageing.errors import UserError, reason
from ageing.storage import replacing
from ageing.training import recipe_file
from ageing.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Run:
    """runs/<number>-<recipe>/ with recipe.yaml, log.jsonl and checkpoints/. Its grids are in samples/<same name>/,
    beside runs/."""

    folder: Path
    recipe: Recipe

    @classmethod
    def create(cls, root, title, recipe):
        """Make the next run folder in `root`. Raises UserError if that cannot be written."""
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
        found = self.checkpoints.glob("step*") if self.checkpoints.is_dir() else ()
        return sorted(int(p.name[4:]) for p in found if re.fullmatch(r"step\d{8}", p.name))

    def newest_step(self):
        """The step of the newest checkpoint, 0 if there is none yet."""
        return max(self.steps(), default=0)

    def checkpoint(self, step):
        """The folder of the checkpoint of `step`."""
        return self.checkpoints / f"step{step:08}"
