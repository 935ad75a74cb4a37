"""Read a recipe from a YAML file, and write one."""

import dataclasses
import re
from pathlib import Path

import yaml

from ageing.errors import UserError, kind_of
from ageing.training import recipe_check

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT = PROJECT / "configs/utkface.yaml"


class _Loader(yaml.SafeLoader):
    """YAML without what makes a recipe mean something else than it says. Each is an error that names its line."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):  # both places would be one value, which an override changes in both
            event = self.peek_event()
            raise yaml.YAMLError(f"line {event.start_mark.line + 1}: *{event.anchor} stands for what is written "
                                 "elsewhere; write it out, or inherit it with base")
        return super().compose_node(parent, index)

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
    recipe = recipe_check.parse(tree, path)
    for override in overrides:
        _override(tree, override)
    return recipe_check.parse(tree, "command line") if overrides else recipe


def dump(recipe):
    """`recipe` as YAML text. `load` reads it back to an equal Recipe."""
    plain = dataclasses.asdict(recipe)
    plain["stages"] = [dict(stage) for stage in plain["stages"]]
    return yaml.safe_dump(plain, sort_keys=False)


def _read(path, inheriting):
    """The nested dicts of a recipe file, its bases merged in. inheriting: the files that inherit from this one."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        known = ", ".join(sorted(str(p) for p in DEFAULT.parent.glob("*.yaml"))) or "none"
        raise UserError(f"{path}: cannot be read ({error.strerror}); the project's recipes: {known}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a number like 0b_
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
    recipe_check.parse(inherited, base)  # so that errors name the base file
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
