"""Check a recipe: every key is known, has the right type and a possible value, and the keys fit together."""

import contextlib
import dataclasses
import itertools
import types
import typing
from typing import Literal

from ageing.errors import UserError
from ageing.training.recipe import Recipe

TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def parse(tree, origin):
    """The Recipe in nested dicts and lists. `origin` names the file in error messages.

    Raises UserError that names `origin` and the key.
    """
    recipe = _convert(tree, Recipe, "", origin)
    _check(recipe, origin)
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
        inner = typing.get_args(kind)[0]
        return None if value is None else _convert(value, inner, key, origin)
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


def _check(recipe, origin):
    """Constraints between keys."""
    if recipe.data.domain_A == recipe.data.domain_B:
        raise UserError(f"{origin}: data.domain_A and data.domain_B are both {recipe.data.domain_A}; "
                        "they must name two folders")
    for i, stage in enumerate(recipe.stages):
        _check_stage(stage, i, recipe, origin)
    if len(set(recipe.stages)) < len(recipe.stages):  # the second would go on with the optimizers of the first
        raise UserError(f"{origin}: two of the stages are the same; make one of them, with the length of both")
    if not (recipe.finish.steps or any(s.steps or s.epochs or s.warm_start_steps for s in recipe.stages)):
        raise UserError(f"{origin}: all lengths are 0, so nothing would be trained; give a stage epochs or steps")
    if recipe.growing == "enhance":
        _check_growing(recipe, origin)


def _check_stage(stage, i, recipe, origin):
    if stage.size % 16:
        raise UserError(f"{origin}: stages.{i}.size must be a multiple of 16 (a PatchGAN halves it four times), not "
                        f"{stage.size}")
    if stage.epochs is not None and stage.steps is not None:
        raise UserError(f"{origin}: stages.{i} has both epochs and steps; set one of them to null")
    if stage.epochs is None and stage.steps is None:
        raise UserError(f"{origin}: stages.{i} needs epochs or steps")
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
