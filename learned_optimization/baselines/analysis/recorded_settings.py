"""Reads the two forms in which a trial records the setting of its optimizer."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gin
from gin import config_parser

# Characters of what is read. A name is a folder's, of 255 at most with what is left
# out of it; gin text has some thousand.
_MAX_NAME = 4_000
_MAX_GIN = 200_000
# What gin's parser raises of a text that is none.
_UNREADABLE = (ValueError, SyntaxError, TypeError, tokenize.TokenError)
_UNREADABLE += (RecursionError, MemoryError)


class _UnreadableError(Exception):
    """A recorded setting does not say what it should."""


def read_setting(text: str) -> dict[str, Any] | None:
    """Return the hyper-parameters of a setting as `Optimizer.name` writes it.

    Args:
      text: such as `Adam_lr0.001_b10.9_b20.999_eps1e-08_epsroot1e-08`: the class,
        then every field in order. What is inside is written in parentheses.

    Returns:
      Name to value; None if the optimizer is not known in this process, or writes
      its name in its own way.
    """
    # Not at the top: what exports known sets does not need jax.
    from learned_optimization.optimizers.base import all_optimizers

    all_optimizers()
    if len(text) > _MAX_NAME:
        return None
    try:
        return _read_configurable(text, is_inside=False)
    except (_UnreadableError, RecursionError):
        return None


def _read_configurable(text: str, is_inside: bool) -> dict[str, Any]:
    ends = [i for i, character in enumerate(text) if character == "_"]
    for end in [*ends, len(text)]:
        fields = _fields(text[:end])
        if fields is None:
            continue
        shorts = [_short(field) for field in fields]
        # A name may be cut in more ways than can be counted: two are too many.
        ways = list(itertools.islice(_values(text[end:], shorts), 2))
        if len(ways) == 1:
            prefix = f"{text[:end]}." if is_inside else ""
            return _merged(
                _read_field(prefix, field, value)
                for field, value in zip(fields, ways[0], strict=True)
            )
    raise _UnreadableError(text)


def _fields(name: str) -> tuple[dataclasses.Field, ...] | None:
    """Return the fields of an optimizer or a schedule; None if there is none."""
    try:
        configurable: Any = gin.get_configurable(name)
    except ValueError:
        return None
    is_dataclass = dataclasses.is_dataclass(configurable)
    return dataclasses.fields(configurable) if is_dataclass else None


def _short(field: dataclasses.Field) -> str:
    return field.metadata.get("short", field.name)


def _values(text: str, shorts: Sequence[str]) -> Iterator[list[str]]:
    """Yield every way to cut `_lr0.1_b10.9` into values of `lr` and `b1`."""
    if not shorts:
        if not text:
            yield []
        return
    start = f"_{shorts[0]}"
    if not text.startswith(start):
        return
    text = text[len(start) :]
    if len(shorts) == 1:
        yield [text]
        return
    depth = 0
    for end, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and text.startswith(f"_{shorts[1]}", end):
            for others in _values(text[end:], shorts[1:]):
                yield [text[:end], *others]


def _read_field(prefix: str, field: dataclasses.Field, text: str) -> dict[str, Any]:
    if text.startswith("(") and text.endswith(")"):
        try:
            return _read_configurable(text[1:-1], is_inside=True)
        except _UnreadableError:
            # The fingerprint of something that has no name.
            return {prefix + field.name: text}
    try:
        return {prefix + field.name: ast.literal_eval(text)}
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        if isinstance(field.default, (bool, int, float)):
            raise _UnreadableError(text) from None
        return {prefix + field.name: text}


def _merged(parts: Iterator[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            # Two of one class: which of them a name means cannot be told.
            if merged.setdefault(name, value) != value:
                raise _UnreadableError(name)
    return merged


@dataclass(frozen=True)
class _Reference:
    name: str


@dataclass(frozen=True)
class _Macro:
    name: str


class _References(config_parser.ParserDelegate):
    """Keeps gin's references as they are written: nothing has to be registered."""

    def configurable_reference(
        self, scoped_configurable_name: str, evaluate: bool
    ) -> Any:
        del evaluate
        return _Reference(_last_part(scoped_configurable_name))

    def macro(self, macro_name: str) -> Any:
        return _Macro(macro_name)


def read_gin(text: str) -> dict[str, Any] | None:
    """Return the hyper-parameters in the gin text that a trial records.

    Args:
      text: gin's operative configuration.

    Returns:
      Name to value, of the optimizer that `inner_train_task` was given and of what is
      inside it; None if the text does not say which that is.
    """
    bindings: dict[str, dict[str, Any]] = {}
    if len(text) > _MAX_GIN:
        return None
    try:
        for statement in config_parser.ConfigParser(text, _References()):
            if isinstance(statement, config_parser.BindingStatement):
                scope = f"{statement.scope}/" if statement.scope else ""
                owner = bindings.setdefault(_last_part(scope + statement.selector), {})
                owner[statement.arg_name] = statement.value
    except _UNREADABLE:
        return None
    optimizer = bindings.get("inner_train_task", {}).get("opt")
    if not isinstance(optimizer, _Reference):
        return None
    try:
        return _reached(bindings, optimizer.name, "")
    except RecursionError:
        # What is inside an optimizer is that optimizer again.
        return None


def _last_part(selector: str) -> str:
    """Return a selector without its modules, `scope/Adam`."""
    scope, slash, name = selector.rpartition("/")
    return f"{scope}{slash}{name.rpartition('.')[2]}"


def _reached(
    bindings: Mapping[str, Mapping[str, Any]], owner: str, prefix: str
) -> dict[str, Any]:
    reached: dict[str, Any] = {}
    for name, value in bindings.get(owner, {}).items():
        if isinstance(value, _Macro):
            value = bindings.get(value.name, {}).get("")
        if isinstance(value, _Reference):
            reached |= _reached(bindings, value.name, f"{value.name}.")
        else:
            reached[prefix + name] = value
    return reached
