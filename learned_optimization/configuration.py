"""Gin configuration, with errors that help.

gin keeps one global configuration. `load` replaces it; `bound` adds bindings
for a while and puts back what was there. An unknown configurable or parameter
is an error, with the nearest names, unless `load` is told to skip it.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from tokenize import TokenError
from typing import Any, TypeVar

import gin
from gin import config as gin_config
from gin import config_parser

from learned_optimization import gin_files
from learned_optimization.configurable import configurable_names
from learned_optimization.errors import LoptError, nearest_names
from learned_optimization.registry import import_home
from learned_optimization.text import brief, said

__all__ = [
    "bound",
    "bound_parameters",
    "call_bound",
    "import_modules",
    "load",
    "reference_name",
    "register_all",
]

Bindings = Mapping[str, Any]

MACRO = "gin.macro"
"""The configurable that stands for every macro."""

_R = TypeVar("_R")

_ONE_AT_A_TIME = threading.RLock()

# Where gin configurables are defined; of a package, in any of its modules. They are
# named, not imported: nothing here depends on them.
_HOMES = (
    "optimizers",
    "learned_optimizers",
    "research.general_lopt.pretrained_optimizers",
    "tasks.fixed",
    "tasks.quadratics",
    "tasks.task_augmentation",
    "tasks.es_wrapper",
    "tasks.datasets.image",
    "tasks.datasets.language",
    "baselines.hparam_sets",
    "baselines.sets.define",
    "baselines.run_trainer",
    "baselines.run_archive",
    "baselines.run_time_task",
)


@functools.cache
def register_all() -> None:
    """Import every module of the package that defines gin configurables."""
    for home in _HOMES:
        import_home(f"learned_optimization.{home}")


def import_modules(names: Sequence[str]) -> None:
    """Import modules for the configurables they define.

    The working directory is searched as well.

    Args:
      names: modules, e.g. `my_package.my_tasks`.

    Raises:
      LoptError: naming a module that cannot be imported, and why.
    """
    sys.path.insert(0, os.getcwd())
    try:
        for name in names:
            try:
                import_module(name)
            except ImportError as error:
                raise LoptError(
                    f"cannot import {name}: {said(error)}. A module is named as Python "
                    "imports it, e.g. my_package.my_tasks."
                ) from error
    finally:
        sys.path.remove(os.getcwd())


def load(
    files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    skip_unknown: bool = False,
) -> None:
    """Replace the global configuration.

    Args:
      files: gin files, later ones override.
      bindings: lines such as `Adam.learning_rate = 0.001`, override files. A
        reference may be in quotes, `inner_train_task.opt = "@Adam()"`.
      skip_unknown: leave out bindings of unknown configurables and parameters, and
        imports of unknown modules, with a warning that names them.

    Raises:
      LoptError: if a file is missing, a line cannot be read, or a configurable
        or parameter is unknown (with the nearest names).
    """
    for file in files:
        if not os.path.isfile(file):
            raise LoptError(f"no such gin file: {file}")
    register_all()
    gin.clear_config()
    bindings = [_QUOTED_REFERENCE.sub(r"= \2", line) for line in bindings]
    with helpful_errors():
        if skip_unknown:
            _load_what_is_known(files, "\n".join(bindings))
        else:
            for part in _parts(files, "\n".join(bindings)):
                gin.parse_config(part)


# Shells and job files of the published system carry them so.
_QUOTED_REFERENCE = re.compile(r"""=\s*(["'])(@[^"']*)\1\s*$""", re.MULTILINE)


def _parts(files: Sequence[str], bindings: str) -> Iterator[str]:
    for file in files:
        yield from gin_files.parts_of(file)
    yield from gin_files.parts_of_bindings(bindings)


def _load_what_is_known(files: Sequence[str], bindings: str) -> None:
    """Bind what is known; gin itself would refuse parameters that are not."""
    skipped: list[str] = []
    for part in _parts(files, bindings):
        _bind_known(part, skipped)
    if skipped:
        warnings.warn(
            f"{len(skipped)} unknown in the gin configuration, skipped: "
            f"{', '.join(skipped)}",
            stacklevel=3,
        )


def _bind_known(text: str, skipped: list[str]) -> None:
    delegate = gin_config.ParserDelegate(skip_unknown=True)
    for statement in config_parser.ConfigParser(text, delegate):
        if isinstance(statement, config_parser.ImportStatement):
            try:
                gin.parse_config(statement.format())
            except ImportError:
                skipped.append(statement.format())
        elif isinstance(statement, config_parser.BindingStatement):
            try:
                gin.bind_parameter(bound_key(statement), statement.value)
            except ValueError as error:
                if not _UNKNOWN.match(str(error)):
                    raise
                skipped.append(f"{statement.selector}.{statement.arg_name}")


def bound_key(statement: config_parser.BindingStatement) -> tuple[str, str, str]:
    """Return the scope, the configurable and the parameter that a line of gin binds.

    Of a line that binds a macro they are the macro's name, `MACRO` and `value`.
    """
    scope, selector, parameter, _, _ = statement
    if parameter:
        return scope, selector, parameter
    return (f"{scope}/{selector}" if scope else selector), MACRO, "value"


_UNKNOWN_CONFIGURABLE = r"No configurable matching (?:reference )?'@?([^'()]+)"
_UNKNOWN_PARAMETER = r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'"
_UNKNOWN = re.compile(rf"{_UNKNOWN_CONFIGURABLE}|{_UNKNOWN_PARAMETER}")


def reference_name(parameter: str) -> str | None:
    """Return the name of the configurable that a parameter is bound to.

    Args:
      parameter: e.g. `inner_train_task.task`.

    Returns:
      `make_quad` where it is bound to `@make_quad()`, `@some_scope/make_quad()` or
      a macro of one; None if it is bound to anything else, or to nothing.
    """
    try:
        value = gin.query_parameter(parameter)
        while getattr(value, "selector", "").rpartition(".")[2] == "macro":
            value = gin.query_parameter(f"{value.scoped_selector}.value")
    except ValueError:
        return None
    selector = getattr(value, "selector", None)
    return None if selector is None else selector.rpartition(".")[2]


@contextmanager
def bound(bindings: Bindings) -> Iterator[None]:
    """Add bindings to the global configuration within a `with` block.

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
        with helpful_errors():
            gin.parse_config(before)
        bind(bindings)
        yield
    finally:
        gin.clear_config()
        gin.parse_config(before)


def bind(bindings: Bindings) -> None:
    """Add bindings within a block of `bound`, which takes them back.

    Args:
      bindings: as of `bound`.

    Raises:
      LoptError: if a configurable or parameter is unknown.
    """
    with helpful_errors():
        for parameter, value in bindings.items():
            is_reference = isinstance(value, str) and value[:1] in ("@", "%")
            value = gin_config.parse_value(value) if is_reference else value
            gin.bind_parameter(parameter, value)


@contextmanager
def own_operative_config() -> Iterator[None]:
    """Let gin's operative configuration hold, in the block, what the block uses alone.

    Afterwards it holds that together with what was used before, as gin keeps it.
    The configuration is the process's: threads wait for each other's blocks.
    """
    # gin has no public way to forget what was used and keep what is bound.
    used, lock = gin_config._OPERATIVE_CONFIG, gin_config._OPERATIVE_CONFIG_LOCK
    with _ONE_AT_A_TIME:
        with lock:
            before = dict(used)
            used.clear()
        try:
            yield
        finally:
            with lock:
                for configurable, values in before.items():
                    used[configurable] = values | used.get(configurable, {})


def is_operative(parameter: str, text: str) -> bool:
    """Return whether gin supplied a parameter, by an operative configuration.

    Args:
      parameter: e.g. `Adam.learning_rate`. What a caller gave itself is not gin's.
      text: as of `gin.operative_config_str`.
    """
    line = rf"^([\w./]+[./])?{re.escape(parameter)} ="
    return re.search(line, text, re.MULTILINE) is not None


def bound_parameters() -> list[str]:
    """Return every parameter the global configuration binds, e.g. `Adam.beta1`."""
    lines = bound_text().splitlines()
    return [m[1] for line in lines if (m := re.match(r"([\w./]+) =", line))]


def bound_text() -> str:
    """Return the global configuration as gin writes it; empty if nothing is bound."""
    return gin.config_str().strip()


@contextmanager
def helpful_errors() -> Iterator[None]:
    """Turn what gin raises in the block into errors that help.

    Raises:
      LoptError: with the nearest names where a name is unknown.
    """
    try:
        yield
    except LoptError:
        raise
    except (RecursionError, MemoryError, OverflowError) as error:
        raise LoptError(
            "gin configuration: brackets are nested too deeply, or a number is too "
            "large."
        ) from error
    except (ValueError, SyntaxError, OSError, ImportError, TokenError) as error:
        raise LoptError(_explain(error)) from error


def _explain(error: Exception) -> str:
    text = said(error)
    first = text.partition("\n")[0]
    if match := re.match(_UNKNOWN_CONFIGURABLE, text):
        return _unknown("gin configurable", match[1], configurable_names())
    if match := re.match(_UNKNOWN_PARAMETER, text):
        if why := not_supported(match[1], match[2]):
            return f"{match[1]} has no parameter {match[2]!r}: {why}."
        parameters = _parameters_of(match[1])
        return _unknown(f"gin parameter of {match[1]}", match[2], parameters)
    looks = "a binding looks like Adam.learning_rate=0.001"
    return f"gin configuration: {first[:500]} ({looks})"


def not_supported(configurable: str, parameter: str) -> str | None:
    """Return why a configurable lacks a published parameter, None if it says nothing.

    Args:
      configurable: name of a gin configurable.
      parameter: name of the parameter.
    """
    reasons = getattr(gin.get_configurable(configurable), "not_supported", {})
    return reasons.get(parameter)


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = nearest_names(name, known)
    if near:
        return f"unknown {kind} {brief(name)}: did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return f"unknown {kind} {brief(name)}: known are {shown}."


def _parameters_of(configurable: str) -> list[str]:
    """Return the parameters of a gin configurable, in order."""
    signature = inspect.signature(gin.get_configurable(configurable))
    return [p for p in signature.parameters if p != "self"]


def call_bound(function: Callable[..., _R], name: str | None = None) -> _R:
    """Call a gin configurable with nothing but what gin has bound.

    Args:
      function: the configurable.
      name: the name gin knows it by; its own if None.

    Raises:
      LoptError: naming the arguments gin has no value for, or as raised by
        `function`.
    """
    name = name or function.__name__
    # By name: what gin knows may be wrapped once more.
    have = gin.get_bindings(name, resolve_references=False)
    missing = [
        f"{name}.{p.name}"
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.name not in have
    ]
    if missing:
        raise _unbound(missing)
    try:
        return function()
    except LoptError as error:
        raise LoptError(reason(error)) from error
    except TypeError as error:
        # Of a configurable that this one calls.
        if (match := _NOT_SUPPLIED.search(str(error))) is None:
            raise
        parameters = re.findall(r"'(\w+)'", match[2])
        raise _unbound([f"{match[1]}.{name}" for name in parameters]) from error
    except ValueError as error:
        if not _UNKNOWN.match(str(error)):
            raise
        # A reference to what `load` was told to skip, found where it is used.
        raise LoptError(_explain(error)) from error


_NOT_SUPPLIED = re.compile(
    r"(\w+)(?:\.__init__)?\(\) missing \d+ required [\w -]*arguments?: ([^\n]*)"
    r".*?\n  In call to configurable '(?:[\w.]+\.)?\1'",
    re.DOTALL,
)


def _unbound(parameters: Sequence[str]) -> LoptError:
    return LoptError(
        f"gin has no value for {', '.join(parameters)}: bind each, e.g. "
        f'--gin_bindings="{parameters[0]}=..."'
    )


def reason(error: Exception) -> str:
    """Return what an error says, without gin's lines about where it came from."""
    return said(error).partition("\n  In call to configurable")[0]
