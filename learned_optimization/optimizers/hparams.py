"""Hyper-parameters: declared as fields, pytree leaves, and part of a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

from learned_optimization.optimizers.fingerprint import fingerprint

Scalar = float | jax.Array
"""A number, which may be traced."""

_T = TypeVar("_T", bound=type)


def hparam(*, default: Any = dataclasses.MISSING, short: str | None = None) -> Any:
    """Return a numeric hyper-parameter, which may be a traced array.

    Args:
      default: the default value.
      short: how the hyper-parameter is written in `Optimizer.name`.
    """
    metadata = {} if short is None else {"short": short}
    return dataclasses.field(default=default, metadata=metadata)


def static_field(
    *, default: Any = dataclasses.MISSING, short: str | None = None
) -> Any:
    """Return a hyper-parameter that shapes the program: hashable, never traced.

    Args:
      default: the default value.
      short: how the hyper-parameter is written in `Optimizer.name`.
    """
    metadata: dict[str, Any] = {"static": True}
    if short is not None:
        metadata["short"] = short
    return dataclasses.field(default=default, metadata=metadata)


def pytree_field() -> Any:
    """Return a field that holds a pytree of arrays and numbers, which may be traced.

    What it may hold is checked by whoever makes the pytree.
    """
    return dataclasses.field(metadata={"pytree": True})


@dataclass_transform(
    frozen_default=True,
    eq_default=False,
    field_specifiers=(hparam, static_field, pytree_field),
)
def hparams_dataclass(cls: _T) -> _T:
    """Make a class a frozen dataclass and a pytree of its hyper-parameters."""
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(cls)
    traced = [f.name for f in fields if not f.metadata.get("static")]
    static = [f.name for f in fields if f.metadata.get("static")]

    def flatten(value: Any) -> tuple[list[Any], tuple[Any, ...]]:
        leaves = [getattr(value, name) for name in traced]
        return leaves, tuple(getattr(value, name) for name in static)

    def flatten_with_keys(value: Any) -> tuple[list[Any], tuple[Any, ...]]:
        leaves, aux = flatten(value)
        return [
            (jax.tree_util.GetAttrKey(n), leaf)
            for n, leaf in zip(traced, leaves, strict=True)
        ], aux

    def unflatten(aux: tuple[Any, ...], leaves: Iterable[Any]) -> Any:
        # Past `__init__`, which gin may bind and which jax does not mean to call.
        value = object.__new__(cls)
        for name, leaf in zip(traced + static, (*leaves, *aux), strict=True):
            object.__setattr__(value, name, leaf)
        return value

    # Not `jax.tree_util.register_dataclass`: for jaxlib (0.10 at least) the structures
    # of two classes that it registered are equal where they have as many fields, so
    # that `jax.jit` at times runs Adam's program for Lars.
    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def name_with_hparams(value: Any, leave_out_defaults: bool = False) -> str:
    """Return the name of a class, followed by every hyper-parameter of the instance.

    Those of a class that is no dataclass are what the instance holds; they are named
    by their `fingerprint`.

    Args:
      value: the instance.
      leave_out_defaults: whether those that have their default value are left out.

    Raises:
      LoptError: if an instance of such a class holds something without a fingerprint.
    """
    if not dataclasses.is_dataclass(value):
        held = vars(value)
        return "_".join([type(value).__name__, *([fingerprint(held)] * bool(held))])
    parts = [
        f"_{f.metadata.get('short', f.name)}{_text(getattr(value, f.name))}"
        for f in dataclasses.fields(value)
        if not leave_out_defaults or getattr(value, f.name) != f.default
    ]
    return type(value).__name__ + "".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        value = np.asarray(value)
        # The shortest text that reads back as the same float32.
        return str(value[()]) if value.ndim == 0 else str(value.tolist())
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    name = getattr(value, "name", None)
    if name is not None:
        return f"({name})"
    return f"({fingerprint(value)})" if callable(value) else str(value)
