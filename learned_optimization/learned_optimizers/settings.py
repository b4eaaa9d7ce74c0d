"""A learned optimizer from a name and literals that a foreign file may hold.

The name is looked up among the registered classes, and nothing else is called. Every
literal is of the kind of the setting's default, and no size is beyond what the
checkpoint's arrays allow: meta-parameters of a thousand layers are not even planned.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from learned_optimization.errors import (
    LoptError,
    NotRegisteredError,
    UnknownNameError,
)
from learned_optimization.learned_optimizers.array_trees import leaves_of
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    get_learned_optimizer,
)
from learned_optimization.learned_optimizers.checkpoints import ParameterCheckpoint
from learned_optimization.learned_optimizers.combined import SumLearnedOptimizer
from learned_optimization.learned_optimizers.config_gin import (
    Binding,
    Bindings,
    Reference,
)
from learned_optimization.text import brief, said

__all__ = ["make"]

_MAX_DEPTH = 4
_MAX_INSIDE = 16


def make(
    value: Any,
    at: Binding,
    given: Bindings,
    checkpoint: ParameterCheckpoint,
    depth: int = 0,
) -> LearnedOptimizer:
    """Return the learned optimizer that a reference names, with its settings.

    Args:
      value: what `run_train.lopt` is bound to, or an entry of a setting.
      at: where.
      given: every binding.
      checkpoint: what the meta-parameters are, which bounds the sizes.
      depth: how many learned optimizers it is within.

    Raises:
      LoptError: naming file and line, if it is no reference to a learned optimizer, or
        a setting is unknown or not of its kind.
    """
    if not isinstance(value, Reference):
        raise at.error(f"it must be a reference such as @HyperV2(), got {brief(value)}")
    if depth > _MAX_DEPTH:
        raise at.error("learned optimizers are nested too deeply")
    cls = _class(value, at)
    signature = inspect.signature(cls)
    settings: dict[str, Any] = {}
    for name, binding in given.of(value.name, value.scopes).items():
        if name not in signature.parameters:
            unknown = UnknownNameError(
                f"setting of {value.name}", name, signature.parameters
            )
            raise binding.error(str(unknown).rstrip("."))
        literal = given.resolved(binding)
        if _has_references(literal):
            settings[name] = _inside(literal, binding, given, checkpoint, depth)
        else:
            default = signature.parameters[name].default
            settings[name] = _checked(literal, default, binding, checkpoint)
    try:
        return cls(**settings)
    except LoptError as error:
        raise at.error(said(error).rstrip(".")) from error
    # gin's and Python's, of a setting without a default.
    except TypeError as error:
        raise at.error(said(error).partition("\n")[0].rstrip(".")) from error


def _class(reference: Reference, at: Binding) -> type[LearnedOptimizer]:
    if reference.name == SumLearnedOptimizer.__name__:
        return SumLearnedOptimizer
    try:
        return get_learned_optimizer(reference.name)
    except NotRegisteredError as error:
        raise at.error(
            f"{said(error).rstrip('.?')} (@{reference.full_name}; if it is your own, "
            "import the module that defines it first)"
        ) from error


def _has_references(literal: Any) -> bool:
    if isinstance(literal, (list, tuple)):
        return any(map(_has_references, literal))
    return isinstance(literal, Reference)


def _inside(
    literal: Any,
    at: Binding,
    given: Bindings,
    checkpoint: ParameterCheckpoint,
    depth: int,
) -> Any:
    if not isinstance(literal, (list, tuple)):
        return make(literal, at, given, checkpoint, depth + 1)
    if len(literal) > _MAX_INSIDE:
        raise at.error(f"it has more than {_MAX_INSIDE} learned optimizers")
    return tuple(make(x, at, given, checkpoint, depth + 1) for x in literal)


def _checked(
    literal: Any, default: Any, at: Binding, checkpoint: ParameterCheckpoint
) -> Any:
    """Return a literal that is of the kind of a setting's default."""
    problem = _problem(literal, default)
    if problem:
        raise at.error(
            f"{at.configurable}.{at.parameter} must be {problem}, got {brief(literal)}"
        )
    if isinstance(literal, int) and not isinstance(literal, bool):
        _check_size(literal, at, checkpoint)
    # Settings are hashed.
    return tuple(literal) if isinstance(literal, list) else literal


def _problem(literal: Any, default: Any) -> str | None:
    """Return what a setting must be, if a literal is not."""
    if isinstance(default, bool):
        return None if isinstance(literal, bool) else "True or False"
    if isinstance(default, str):
        return None if isinstance(literal, str) else "text"
    if isinstance(default, (list, tuple)):
        return None if _is_numbers(literal) else "a list of numbers"
    if isinstance(default, int):
        is_whole = isinstance(literal, int) and not isinstance(literal, bool)
        return None if is_whole else "a whole number"
    if isinstance(default, float):
        return None if _is_number(literal) else "a finite number"
    # None by default, or without one: what it is is the class's to say.
    is_plain = literal is None or isinstance(literal, (bool, str))
    is_plain = is_plain or _is_number(literal) or _is_numbers(literal)
    return None if is_plain else "a finite number, or a list of them"


def _is_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _check_size(value: int, at: Binding, checkpoint: ParameterCheckpoint) -> None:
    arrays = [leaf for _, leaf in leaves_of(checkpoint.params)]
    is_layers = "layer" in at.parameter
    most = len(arrays) if is_layers else max((leaf.size for leaf in arrays), default=0)
    if value > most:
        what = f"{most:,} arrays" if is_layers else f"at most {most:,} numbers an array"
        raise at.error(
            f"{at.configurable}.{at.parameter} is {value:,}, and the checkpoint has "
            f"{what}"
        )
