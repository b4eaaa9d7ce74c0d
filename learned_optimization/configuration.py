"""Gin configuration, with errors that help.

gin keeps one global configuration. `load` replaces it; `bound` adds bindings
for a while and puts back what was there. An unknown configurable or parameter
is always an error, with the nearest names.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import gin

from learned_optimization.configurable import configurable_names
from learned_optimization.errors import LoptError, nearest_names

Bindings = Mapping[str, Any]

_R = TypeVar("_R")


def register_all() -> None:
    """Imports every module of the package that defines gin configurables."""
    from learned_optimization.optimizers.base import all_optimizers
    from learned_optimization.tasks.registry import all_fixed_tasks

    all_optimizers()
    all_fixed_tasks()
    for module in (
        "tasks.quadratics",
        "baselines.run_trainer",
        "baselines.run_archive",
        "baselines.user_sets",
    ):
        import_module(f"learned_optimization.{module}")


def load(files: Sequence[str] = (), bindings: Sequence[str] = ()) -> None:
    """Replaces the global configuration.

    Args:
      files: gin files, later ones override.
      bindings: lines such as `Adam.learning_rate = 0.001`, override files.

    Raises:
      LoptError: if a file is missing, a line cannot be read, or a configurable
        or parameter is unknown (with the nearest names).
    """
    for file in files:
        if not os.path.isfile(file):
            raise LoptError(f"no such gin file: {file}")
    register_all()
    gin.clear_config()
    with _helpful_errors():
        gin.parse_config_files_and_bindings(
            list(files), list(bindings), finalize_config=False
        )


@contextmanager
def bound(bindings: Bindings) -> Iterator[None]:
    """Adds bindings to the global configuration within a `with` block.

    What was bound before is put back as gin writes it down: a binding whose
    value has no literal form, made from Python, is lost.

    Args:
      bindings: configurable and parameter, e.g. `"Adam.learning_rate"`, to a
        value; a string that starts with `@` or `%` is a gin reference.

    Raises:
      LoptError: if a configurable or parameter is unknown.
    """
    register_all()
    before = gin.config_str()
    try:
        # Clearing also forgets what earlier calls used, so that the operative
        # configuration recorded with a trial is that trial's alone.
        gin.clear_config()
        with _helpful_errors():
            gin.parse_config(before)
            gin.parse_config([f"{k} = {_literal(v)}" for k, v in bindings.items()])
        yield
    finally:
        gin.clear_config()
        gin.parse_config(before)


def bound_parameters() -> list[str]:
    """Every parameter the global configuration binds, e.g. `Adam.beta1`."""
    lines = gin.config_str().splitlines()
    return [m[1] for line in lines if (m := re.match(r"([\w./]+) =", line))]


def _literal(value: Any) -> str:
    if isinstance(value, str) and value[:1] in ("@", "%"):
        return value
    return repr(value)


@contextmanager
def _helpful_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, SyntaxError, OSError, ImportError) as error:
        raise LoptError(_explain(error)) from error


def _explain(error: Exception) -> str:
    text = str(error).strip()
    first = text.partition("\n")[0]
    if match := re.match(r"No configurable matching (?:reference )?'@?([^'()]+)", text):
        return _unknown("gin configurable", match[1], configurable_names())
    pattern = r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'"
    if match := re.match(pattern, text):
        parameters = _parameters_of(match[1])
        return _unknown(f"gin parameter of {match[1]}", match[2], parameters)
    return f"gin configuration: {first} (a binding looks like Adam.learning_rate=0.001)"


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = nearest_names(name, known)
    if near:
        return f"unknown {kind} {name!r}: did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return f"unknown {kind} {name!r}: known are {shown}."


def _parameters_of(configurable: str) -> list[str]:
    """The parameters of a gin configurable, in order."""
    signature = inspect.signature(gin.get_configurable(configurable))
    return [p for p in signature.parameters if p != "self"]


def call_bound(function: Callable[..., _R]) -> _R:
    """Calls a gin configurable with nothing but what gin has bound.

    Raises:
      LoptError: naming the arguments gin has no value for, or as raised by
        `function`.
    """
    name = function.__name__
    have = gin.get_bindings(function)
    missing = [
        f"{name}.{p.name}"
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.name not in have
    ]
    if missing:
        raise LoptError(
            f"gin has no value for {', '.join(missing)}: bind each, e.g. "
            f'--gin_bindings="{missing[0]}=..."'
        )
    try:
        return function()
    except LoptError as error:
        raise LoptError(reason(error)) from error


def reason(error: Exception) -> str:
    """What an error says, without the lines gin adds about where it came from."""
    return str(error).partition("\n  In call to configurable")[0]
