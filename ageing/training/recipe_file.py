"""Read a recipe from a YAML file, check it, and write one."""

import contextlib
import dataclasses
import itertools
import json
import re
import types
import typing
from pathlib import Path
from typing import Literal

import yaml

from ageing.errors import UserError, kind_of
from ageing.project import PROJECT
from ageing.training.recipe import Recipe
from ageing.utkface import DECADES

DEFAULT = PROJECT / "configs/utkface.yaml"
TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice, and in which no date and no number means something else than it says."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        if twice := [key for i, (key, _) in enumerate(node.value) if key.value in names[:i]]:
            raise yaml.YAMLError(f"line {twice[0].start_mark.line + 1}: {twice[0].value} is there twice; keep one")
        return super().construct_mapping(node, deep)


def _number(read):
    """A constructor of numbers. 0100, which YAML reads as 64, and 1:30, which it reads as 90, stay text."""
    return lambda loader, node: node.value if re.match(r"[-+]?0[\d_]|.*:", node.value) else read(loader, node)


_Loader.add_constructor("tag:yaml.org,2002:int", _number(yaml.SafeLoader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(yaml.SafeLoader.construct_yaml_float))
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)  # 2024-05-01: a folder


def load(path, overrides=()):
    """The Recipe in the file at `path`, with `overrides`, each "key=value" (for example "stages.0.epochs=3").

    `path` is relative to the working folder or else to the project, so that configs/cpu.yaml is found from anywhere.
    A file with `base: other.yaml` inherits from that file, in the same folder: mappings are merged key by key,
    a list or a value replaces the inherited one. Raises UserError that names the file (or the command line) and the
    key: an unknown key, a wrong type, an impossible value.
    """
    path = Path(path) if kind_of(path) or not kind_of(Path(PROJECT, path)) else Path(PROJECT, path)
    tree = _read(path, ())
    recipe = parse(tree, path)
    for override in overrides:
        _override(tree, override)
    return parse(tree, "command line") if overrides else recipe


def dump(recipe):
    """`recipe` as YAML text. `load` reads it back to an equal Recipe."""
    plain = dataclasses.asdict(recipe)
    plain["stages"] = [dict(stage) for stage in plain["stages"]]
    return yaml.safe_dump(plain, sort_keys=False)


def _read(path, inheriting):
    """The nested dicts of a recipe file, its bases merged in. inheriting: the files that inherit from this one."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        tree = json.loads(json.dumps(tree))  # without what two places share: an override would change both
    except OSError as error:
        known = ", ".join(sorted(str(p) for p in DEFAULT.parent.glob("*.yaml"))) or "none"
        raise UserError(f"{path}: cannot be read ({error.strerror}); the project's recipes: {known}") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:  # ValueError: not UTF-8, or a number like 0b_
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values, see configs/utkface.yaml")
    if (name := tree.pop("base", None)) is None:
        return tree
    if not isinstance(name, str):
        raise UserError(f"{path}: base must be the name of a recipe file, not {name!r}")
    base = path.parent / name
    if kind_of(base) is None:
        raise UserError(f"{path}: base: {name}: no such file in {path.parent}")
    if base.resolve() in {p.resolve() for p in (path, *inheriting)}:
        raise UserError(f"{path}: base: {name} inherits from this file itself; remove one of the two lines")
    inherited = _read(base, (path, *inheriting))
    parse(inherited, base)  # so that errors name the base file
    return _merged(inherited, tree)


def _merged(old, new):
    """Nested dicts `old`, overridden by `new`."""
    both = {key: _merged(old[key], new[key]) for key in old.keys() & new.keys()
            if isinstance(old[key], dict) and isinstance(new[key], dict)}
    return {**old, **new, **both}


def _override(tree, override):
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"command line: {override!r} is not key=value (for example loss.lambda_cycle=5)")
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 0b_
        raise UserError(f"command line: {key}: {text!r} is not a YAML value") from error
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        position = _position(node, parent, key)
        node = node[position] if isinstance(node, list) else node.setdefault(position, {})
    node[_position(node, last, key)] = value


def _position(node, name, key):
    """`name`, one part of the dotted `key`, as an index into the dict or list `node`."""
    if isinstance(node, list):
        if not name.isdecimal() or int(name) >= len(node):
            raise UserError(f"command line: {key}: {name!r} is not an index of a list of {len(node)}")
        return int(name)
    if not isinstance(node, dict):
        raise UserError(f"command line: unknown key {key!r}")
    return name


# Checking: every key is known, has the right type and a possible value, and the keys fit together

def parse(tree, origin):
    """The Recipe in nested dicts and lists. `origin` names the file in error messages.

    Raises UserError that names `origin` and the key.
    """
    recipe = _convert(tree, Recipe, "", origin)
    for fault in _faults(recipe):
        raise UserError(f"{origin}: {fault}")
    return recipe


def _convert(value, kind, key, origin):
    """`value` from YAML as a value of type `kind`."""
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
        inner, other = typing.get_args(kind)
        if other is types.NoneType:
            return None if value is None else _convert(value, inner, key, origin)
        return _convert(value, other if isinstance(value, list) else inner, key, origin)
    if source is Literal:
        choices = typing.get_args(kind)
        if value not in choices or isinstance(value, bool):
            raise UserError(f"{where} must be one of {', '.join(map(str, choices))}, not {value!r}")
        return value
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)  # PyYAML reads 2e-4 as a string
    if type(value) is not kind:
        raise UserError(f"{where} must be {TYPE_NAMES[kind]}, not {value!r}")
    return value


def _convert_mapping(value, kind, key, origin):
    """A dataclass from a dict, its ranges checked."""
    if not isinstance(value, dict):
        raise UserError(f"{origin}: {key or 'recipe'} must be a mapping of keys, not {value!r}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in fields:
            raise UserError(f"{origin}: unknown key {prefix}{name}; known here: {', '.join(fields)}")
    for name, f in fields.items():
        if f.default is f.default_factory is dataclasses.MISSING and name not in value:
            raise UserError(f"{origin}: {prefix}{name} is missing")
    found = {name: _convert(v, hints[name], prefix + name, origin) for name, v in value.items()}
    for name, v in found.items():
        low, high = fields[name].metadata.get("range", (None, None))
        if low is not None and v is not None and not low <= v <= high:  # also true for nan
            raise UserError(f"{origin}: {prefix}{name} must be between {low} and {high:g}, not {v}")
    return kind(**found)


def _faults(recipe):
    """What is wrong between keys, one line of text after the other."""
    if recipe.data.domain_A in recipe.data.domains_B:
        yield f"data.domain_A and data.domain_B are both {recipe.data.domain_A}; they must name two folders"
    if not isinstance(recipe.data.domain_B, str):
        ages = [DECADES.get(name, 0) for name in recipe.data.domain_B]
        if len(ages) < 2 or 0 in ages or ages != sorted(set(ages)):
            yield (f"data.domain_B must be one folder or a list of decades from young to old, as [40s, 50s, 60s], not "
                   f"[{', '.join(recipe.data.domain_B)}]")
        if recipe.generator.norm != "channel":
            yield "generator.norm must be channel where data.domain_B is a list: by it a generator is told the age"
    own = recipe.adversary.steps > 1 or recipe.adversary.real_negatives > 0
    for i, stage in enumerate(recipe.stages):
        if stage.size % 16:
            yield f"stages.{i}.size must be a multiple of 16 (a PatchGAN halves it four times), not {stage.size}"
        if stage.epochs is not None and stage.steps is not None:
            yield f"stages.{i} has both epochs and steps; set one of them to null"
        if stage.epochs is None and stage.steps is None:
            yield f"stages.{i} needs epochs or steps"
        if own and stage.d_batch_size is None:
            yield (f"stages.{i}.d_batch_size is needed with adversary.steps above 1 or adversary.real_negatives above "
                   "0")
        if stage.d_batch_size is not None and recipe.adversary.pool_size < stage.batch_size:
            yield (f"adversary.pool_size={recipe.adversary.pool_size} is smaller than "
                   f"stages.{i}.batch_size={stage.batch_size}; make it at least that")
    if len(set(recipe.stages)) < len(recipe.stages):  # the second would go on with the optimizers of the first
        yield "two of the stages are the same; make one of them, with the length of both"
    if not (recipe.finish.steps or any(s.steps or s.epochs or s.warm_start_steps for s in recipe.stages)):
        yield "all lengths are 0, so nothing would be trained; give a stage epochs or steps"
    if recipe.growing == "enhance":
        for i, (before, stage) in enumerate(itertools.pairwise(recipe.stages), 1):
            if stage.size != 2 * before.size:
                yield (f"stages.{i}.size must be {2 * before.size}, twice the size before it, with growing=enhance, "
                       f"not {stage.size}")
        growths = len(recipe.stages) - 1
        if recipe.generator.filters % 2**growths:
            yield (f"generator.filters={recipe.generator.filters} cannot be halved {growths} times, once for each "
                   "enhancer of growing=enhance")
