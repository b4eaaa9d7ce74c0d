"""Short names for values that have none of their own, such as functions.

An optax transformation is a pair of functions that hold their hyper-parameters in
closures. Its fingerprint covers all of that: where the functions were defined,
their code, defaults and closures, and the constants of their module that they read,
so that two transformations that step differently have two fingerprints. It is the
same in every process that runs the same versions of the code.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import jax
import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.prng import as_numbers, is_key

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
_DIGITS = 10


def fingerprint(value: Any) -> str:
    """Return ten hexadecimal digits that tell a value from others.

    Args:
      value: plain values, arrays, containers, dataclasses, functions and objects
        made of these.

    Raises:
      LoptError: naming the type of what cannot be told from others of its type.
    """
    digest = hashlib.sha256()
    for piece in _pieces(value, ()):
        # Sizes keep ("ab", "c") and ("a", "bc") apart.
        digest.update(f"{len(piece)}:".encode() + piece)
    return digest.hexdigest()[:_DIGITS]


def _pieces(value: Any, inside: tuple[int, ...]) -> Iterator[bytes]:
    """Describe a value, a piece for each of its parts.

    Args:
      value: the value.
      inside: ids of the values this one is part of, outermost first.
    """
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}".encode()
        return
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        if is_key(value):
            yield f"keys {jax.random.key_impl(cast('jax.Array', value))}".encode()
        array = as_numbers(value)
        yield f"array {array.dtype} {array.shape}".encode()
        yield array.tobytes()
        return
    if isinstance(value, (type, np.dtype, types.ModuleType)):
        name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
        yield f"{getattr(value, '__module__', '')} {name or value}".encode()
        return
    if id(value) in inside:
        # A function may hold itself: how far out it is says which one is meant.
        yield f"again {inside[::-1].index(id(value))}".encode()
        return
    inside = (*inside, id(value))
    kind, parts = _parts(value)
    yield f"{kind} {len(parts)}".encode()
    for part in parts:
        yield from _pieces(part, inside)


def _parts(value: Any) -> tuple[str, list[Any]]:
    """Return what kind of thing a value is, and everything it is made of."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, (tuple, list)):
        return kind, list(value)
    if isinstance(value, (set, frozenset)):
        return kind, sorted(value, key=fingerprint)
    if isinstance(value, Mapping):
        return kind, [part for item in value.items() for part in item]
    if isinstance(value, types.CodeType):
        return kind, [value.co_code, value.co_consts, value.co_names]
    if isinstance(value, types.FunctionType):
        return kind, _parts_of_function(value)
    if isinstance(value, types.MethodType):
        return kind, [value.__func__, value.__self__]
    if isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
        return kind, [getattr(value, "__module__", None), value.__name__]
    if isinstance(value, functools.partial):
        return kind, [value.func, value.args, value.keywords]
    if callable(wrapped := getattr(value, "__wrapped__", None)):
        return kind, [wrapped]
    if dataclasses.is_dataclass(value):
        return kind, [
            part
            for field in dataclasses.fields(value)
            for part in (field.name, getattr(value, field.name))
        ]
    if type(value).__repr__ is object.__repr__ and hasattr(value, "__dict__"):
        return kind, [vars(value)]
    raise LoptError(
        f"a value of type {kind} cannot be told from others of its type, so what "
        "holds it cannot be named: give the optimizer a property `name` that says "
        "how it differs."
    )


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    closure = [_content(cell) for cell in function.__closure__ or ()]
    return [
        function.__module__,
        function.__qualname__,
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        closure,
        _constants(function),
    ]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _constants(function: Callable[..., Any]) -> list[Any]:
    """Return the plain values and arrays of its module that a function reads."""
    code: Any = getattr(function, "__code__", None)
    values = getattr(function, "__globals__", {})
    return [
        (name, values[name])
        for name in code.co_names
        if name in values
        and isinstance(values[name], (*_PLAIN, np.ndarray, np.generic, jax.Array))
    ]
