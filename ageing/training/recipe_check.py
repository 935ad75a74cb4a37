"""A recipe: everything that decides what a training run computes, as one typed, checked value.

Recipes are YAML files in configs/. Every key is checked against the dataclasses below; the comments in
configs/utkface.yaml say why each value is what it is, the comments here say what each key means.
"""

import contextlib
import dataclasses
import itertools
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from files import UserError


@dataclass(frozen=True)
class Data:
    path: str = "data/utkface"            # holds {train,test}/{domain_A,domain_B}
    domain_A: str = "20s"
    domain_B: str = "50s"
    source: Literal["folder", "drawn"] = "folder"  # drawn: fill `path` with drawn faces if it is missing
    sampling: Literal["matched", "independent"] = "matched"
    cell_cap: float = 4.0                 # matched: no image more often than this times its natural share
    forehead_marks: Literal["keep", "skip"] = "keep"  # skip: learn from no face with a bindi or a tilak
    flip: bool = True
    shift: float = 0.03                   # of the side, each way
    scale: float = 0.05                   # +- around 1
    rotation: float = 5.0                 # degrees, each way


@dataclass(frozen=True)
class Generator:
    filters: int = 64
    blocks: int = 9
    norm: Literal["channel", "contrib"] = "channel"
    padding: Literal["zero", "reflect"] = "zero"
    upsampling: Literal["transpose", "resize"] = "resize"
    output: Literal["image", "residual"] = "residual"  # the image itself, or a change of the photo that fades out near
                                          # black and white
    init: Literal["glorot", "normal"] = "glorot"


@dataclass(frozen=True)
class Discriminator:
    filters: int = 64
    norm: Literal["none", "channel", "contrib"] = "none"
    order: Literal["norm_first", "activation_first"] = "norm_first"
    last_stride: Literal[1, 2] = 2        # 1: the reference's 70-pixel PatchGAN
    init: Literal["glorot", "normal", "he"] = "he"
    labels: Literal["none", "projection"] = "none"  # projection: it is told gender and group of every face it sees


@dataclass(frozen=True)
class Loss:
    lambda_cycle: float = 2.0
    lambda_identity: float = 0.5
    lambda_consistency: float = 0.0       # on the difference between a disturbed face's translation and the disturbed
                                          # translation of the face
    lambda_colour: float = 0.0            # on the change of a face's mean colour
    lambda_label: float = 0.0             # on the change of what a classifier says of a face's gender and group
    error: Literal["absolute", "squared"] = "absolute"


@dataclass(frozen=True)
class Adversary:
    """How the discriminators, and with lambda_label the classifier beside them, are taught."""

    steps: int = 1                        # discriminator steps a generator step
    pool_size: int = 50                   # 0: no pool
    real_negatives: float = 0.0           # share of the negatives that are real images of the other domain
    augment: bool = False                 # differentiable augmentation of all they see
    augment_shift: float = 0.125          # how far it moves an image each way, of the side


@dataclass(frozen=True)
class Optimizer:
    beta1: float = 0.5
    decay_from: float = 0.5               # share of a stage after which the rate falls linearly to 0; 1: never
    ema_decay: float = 0.999              # moving average of the generators


@dataclass(frozen=True)
class Stage:
    size: int                             # pixels a side
    batch_size: int                       # pairs a generator step, over all replicas
    learning_rate: float = 2e-4
    epochs: float | None = None           # an epoch shows as many pairs as the larger domain has images
    steps: int | None = None              # generator steps; instead of epochs
    d_batch_size: int | None = None       # pairs a discriminator step; null: those of the generator step
    warm_start_steps: int = 0             # discriminator steps on the two real domains before the stage
    warm_start_batch: int = 32
    lambda_cycle: float | None = None     # of this stage, in place of loss.lambda_cycle; null: that one


@dataclass(frozen=True)
class Finish:
    """After the last stage the generators learn to do what they do, without the spots they draw on foreheads."""

    steps: int = 0
    batch_size: int = 4                   # pairs a step, over all replicas
    learning_rate: float = 1e-4
    lambda_teacher: float = 10.0          # on the difference to what the generators did before
    lambda_spot: float = 100.0            # on spots that are drawn on the forehead
    strength_AB: float = 1.0              # how much of the change that ageing made before is taught


@dataclass(frozen=True)
class Monitor:
    log_every: int = 20                   # steps between lines of log.jsonl
    sample_every: int = 500               # steps between sample grids
    save_every: int = 500                 # steps between checkpoints
    keep: int = 3                         # newest checkpoints kept; the last one of every stage always is
    faces: int = 8                        # faces in a grid


@dataclass(frozen=True)
class Recipe:
    stages: tuple[Stage, ...]
    seed: int = 1
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    strategy: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    xla: Literal["auto", "on", "off"] = "auto"
    growing: Literal["rescale", "enhance"] = "rescale"  # how the networks get to the next size: see `growths`
    start_from: str | None = None         # a run folder whose networks this run begins with
    data: Data = field(default_factory=Data)
    generator: Generator = field(default_factory=Generator)
    discriminator: Discriminator = field(default_factory=Discriminator)
    loss: Loss = field(default_factory=Loss)
    adversary: Adversary = field(default_factory=Adversary)
    optimizer: Optimizer = field(default_factory=Optimizer)
    finish: Finish = field(default_factory=Finish)
    monitor: Monitor = field(default_factory=Monitor)

    def loss_of(self, stage):
        """`loss` with what `stage` has a value of its own for."""
        if stage.lambda_cycle is None:
            return self.loss
        return dataclasses.replace(self.loss, lambda_cycle=stage.lambda_cycle)

    def growths(self, size):
        """How many times the networks have grown until the stage of `size` pixels.

        growing=rescale: never; the networks go on at the new size, as the tutorial's do.
        growing=enhance: once a stage; the generators stay as they are within a local enhancer, which learns what the
        new size adds, and the discriminators get a further PatchGAN for it (pix2pixHD).
        """
        return [stage.size for stage in self.stages].index(size) if self.growing == "enhance" else 0


def load(path, overrides=()):
    """Read the recipe at `path` and apply `overrides`, each "key=value" ("stages.0.epochs=3").

    Raises UserError naming the file (or the command line) and the key: an unknown key, a wrong type,
    an impossible value.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(str(p) for p in Path("configs").glob("*.yaml"))) or "none"
        raise UserError(f"{path}: cannot be read ({error.strerror}); recipes here: {known}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values, see configs/utkface.yaml")
    for override in overrides:
        _override(tree, override)
    return parse(tree, path)


def parse(tree, origin):
    """A Recipe from nested dicts and lists; `origin` names the file in error messages."""
    recipe = _convert(tree, Recipe, "", origin)
    _check(recipe, origin)
    return recipe


def dump(recipe):
    """`recipe` as YAML text that `load` reads back to an equal Recipe."""
    plain = dataclasses.asdict(recipe)
    plain["stages"] = [dict(stage) for stage in plain["stages"]]
    return yaml.safe_dump(plain, sort_keys=False)


def _override(tree, override):
    key, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"command line: {override!r} is not key=value (for example loss.lambda_cycle=5)")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise UserError(f"command line: {key}: {text!r} is not a YAML value") from error
    *parents, last = key.split(".")
    node = tree
    for parent in [*parents, None]:
        position = last if parent is None else parent
        if isinstance(node, list):
            if not position.isdecimal() or int(position) >= len(node):
                raise UserError(f"command line: {key}: {position!r} is no index of a list of {len(node)}")
            position = int(position)
        elif not isinstance(node, dict):
            raise UserError(f"command line: unknown key {key!r}")
        if parent is None:
            node[position] = value
        else:
            node = node[position] if isinstance(node, list) else node.setdefault(position, {})


def _convert(value, kind, key, origin):
    """`value` from YAML as a value of type `kind`, or a UserError that names `key` and `origin`."""
    where = f"{origin}: {key}" if key else f"{origin}"
    if dataclasses.is_dataclass(kind):
        return _convert_mapping(value, kind, key, origin)
    source = typing.get_origin(kind)
    if source is tuple:
        if not isinstance(value, list) or not value:
            raise UserError(f"{where} must be a list with at least one entry, not {value!r}")
        inner = typing.get_args(kind)[0]
        return tuple(_convert(v, inner, f"{key}.{i}", origin) for i, v in enumerate(value))
    if source is types.UnionType:
        inner = typing.get_args(kind)[0]
        return None if value is None else _convert(value, inner, key, origin)
    if source is Literal:
        choices = typing.get_args(kind)
        if isinstance(value, bool) and "on" in choices:
            value = "on" if value else "off"  # YAML reads a bare on/off as a boolean
        if value not in choices or isinstance(value, bool):
            raise UserError(f"{where} must be one of {', '.join(map(str, choices))}, not {value!r}")
        return value
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)  # PyYAML reads 2e-4 as a string
    if type(value) is not kind:
        raise UserError(f"{where} must be {_NAMES[kind]}, not {value!r}")
    return value


def _convert_mapping(value, kind, key, origin):
    if not isinstance(value, dict):
        raise UserError(f"{origin}: {key or 'recipe'} must be a mapping of keys, not {value!r}")
    hints = typing.get_type_hints(kind)
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in hints:
            known = ", ".join(hints)
            raise UserError(f"{origin}: unknown key {prefix}{name}; known here: {known}")
    for f in dataclasses.fields(kind):
        required = f.default is f.default_factory is dataclasses.MISSING
        if required and f.name not in value:
            raise UserError(f"{origin}: {prefix}{f.name} is missing")
    return kind(**{name: _convert(v, hints[name], prefix + name, origin) for name, v in value.items()})


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}

# Smallest and largest values that make sense, by key.
_RANGES = {
    "seed": (0, 2**31 - 1),
    "data.cell_cap": (1, 1e6), "data.shift": (0, 0.25), "data.scale": (0, 0.5), "data.rotation": (0, 45),
    "generator.filters": (1, 1024), "generator.blocks": (0, 64), "discriminator.filters": (1, 1024),
    "loss.lambda_cycle": (0, 1e6), "loss.lambda_identity": (0, 1e6), "loss.lambda_colour": (0, 1e6),
    "loss.lambda_label": (0, 1e6), "loss.lambda_consistency": (0, 1e6),
    "adversary.steps": (1, 64), "adversary.pool_size": (0, 10_000), "adversary.real_negatives": (0, 0.9),
    "adversary.augment_shift": (0, 0.5),
    "optimizer.beta1": (0, 0.999), "optimizer.decay_from": (0, 1), "optimizer.ema_decay": (0, 0.99999),
    "finish.steps": (0, 1e9), "finish.batch_size": (1, 4096), "finish.learning_rate": (1e-9, 1),
    "finish.lambda_teacher": (0, 1e6), "finish.lambda_spot": (0, 1e6), "finish.strength_AB": (0.1, 2),
    "monitor.log_every": (1, 1e9), "monitor.sample_every": (1, 1e9), "monitor.save_every": (1, 1e9),
    "monitor.keep": (1, 1000), "monitor.faces": (1, 64),
}
_STAGE_RANGES = {
    "size": (16, 4096), "batch_size": (1, 4096), "learning_rate": (1e-9, 1), "epochs": (0, 1e6), "steps": (0, 1e9),
    "d_batch_size": (1, 4096), "warm_start_steps": (0, 1e9), "warm_start_batch": (1, 4096), "lambda_cycle": (0, 1e6),
}


def _check(recipe, origin):
    for key, limits in _RANGES.items():
        value = recipe
        for name in key.split("."):
            value = getattr(value, name)
        _check_range(value, limits, key, origin)
    if recipe.data.domain_A == recipe.data.domain_B:
        raise UserError(f"{origin}: data.domain_A and data.domain_B are both {recipe.data.domain_A}; "
                        "they name two folders")
    for i, stage in enumerate(recipe.stages):
        _check_stage(stage, i, recipe, origin)
    if recipe.growing == "enhance":
        _check_growing(recipe, origin)


def _check_stage(stage, i, recipe, origin):
    for name, limits in _STAGE_RANGES.items():
        value = getattr(stage, name)
        if value is not None:
            _check_range(value, limits, f"stages.{i}.{name}", origin)
    if stage.size % 16:
        raise UserError(f"{origin}: stages.{i}.size must be a multiple of 16 (PatchGAN halves it four times), "
                        f"not {stage.size}")
    if (stage.epochs is None) == (stage.steps is None):
        raise UserError(f"{origin}: stages.{i} needs either epochs or steps")
    own = recipe.adversary.steps > 1 or recipe.adversary.real_negatives > 0
    if own and stage.d_batch_size is None:
        raise UserError(f"{origin}: stages.{i}.d_batch_size is needed with adversary.steps above 1 "
                        "or adversary.real_negatives above 0")
    if stage.d_batch_size is not None and recipe.adversary.pool_size < stage.batch_size:
        raise UserError(f"{origin}: adversary.pool_size={recipe.adversary.pool_size} is smaller than "
                        f"stages.{i}.batch_size={stage.batch_size}; make it at least that")


def _check_growing(recipe, origin):
    for i, (before, stage) in enumerate(itertools.pairwise(recipe.stages), 1):
        if stage.size != 2 * before.size:
            raise UserError(f"{origin}: stages.{i}.size must be {2 * before.size}, twice the size before it, with "
                            f"growing=enhance, not {stage.size}")
    if recipe.generator.filters % 2 ** (len(recipe.stages) - 1):
        raise UserError(f"{origin}: generator.filters={recipe.generator.filters} cannot be halved "
                        f"{len(recipe.stages) - 1} times, once for each enhancer of growing=enhance")


def _check_range(value, limits, key, origin):
    low, high = limits
    if not low <= value <= high:  # false for nan too
        raise UserError(f"{origin}: {key} must be between {low} and {high:g}, not {value}")
