"""What a hyper-parameter may be: a number, a schedule, an optimizer, a flag."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer

_NUMBERS = (int, float, np.generic, np.ndarray, jax.Array)


def check_hparams(opt: Any) -> None:
    """Refuse hyper-parameters of the wrong kind, also of what is inside.

    A numeric field holds one number, or a tuple of them, a schedule or an optimizer
    where its annotation names one, or None where that is its default; a static field
    holds a value of its default's type.

    Args:
      opt: an optimizer or a schedule.

    Raises:
      LoptError: naming the field, what it may hold, and the value got.
    """
    if not dataclasses.is_dataclass(opt):
        return
    for field in dataclasses.fields(opt):
        value = getattr(opt, field.name)
        if field.metadata.get("pytree") or (value is None and field.default is None):
            continue
        if field.metadata.get("static"):
            wanted = type(field.default).__name__
            allowed = field.default is None or _is_a(value, type(field.default))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            inside = "Optimizer" if isinstance(value, Optimizer) else "Schedule"
            wanted = _kinds(field)
            allowed = inside in str(field.type)
            check_hparams(value)
        elif "Optimizer" in str(field.type):
            wanted = _kinds(field)
            allowed = isinstance(value, Optimizer)
        elif "tuple" in str(field.type):
            wanted = _kinds(field)
            allowed = isinstance(value, tuple) and all(map(_is_number, value))
        else:
            wanted = _kinds(field)
            allowed = _is_number(value)
        if not allowed:
            raise LoptError(
                f"{type(opt).__name__}.{field.name} must be {wanted}, got {value!r}."
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, _NUMBERS) and np.ndim(value) == 0


def _kinds(field: dataclasses.Field) -> str:
    if "Optimizer" in str(field.type):
        return "an optimizer, e.g. @Adam() in gin"
    if "tuple" in str(field.type):
        return "a list of numbers"
    return "a number" + " or a schedule" * ("Schedule" in str(field.type))


def _is_a(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
