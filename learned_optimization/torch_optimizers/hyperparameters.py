"""Hyper-parameters of a torch optimizer: the arguments of what makes it.

They keep their names, but for two: `lr` is `learning_rate`, as in every set, and of a
tuple of numbers each is one of its own, so that it can be tuned: `betas` becomes
`beta1` and `beta2`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass
from typing import Any

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import hparam, static_field
from learned_optimization.optimizers.optax_optimizer import SHORT_NAMES

NUM_STEPS = "num_steps"
"""An argument that is given the length of the run."""

_RENAMED = {"lr": "learning_rate"}


@dataclass(frozen=True)
class Argument:
    """An argument of what makes an optimizer.

    Attributes:
      name: as it is called.
      fields: names of the hyper-parameters that it is made of.
      is_tuple: whether it is a tuple of them.
    """

    name: str
    fields: tuple[str, ...]
    is_tuple: bool = False

    def value(self, hparams: Any) -> Any:
        """Return the argument from an object that has the hyper-parameters."""
        values = tuple(getattr(hparams, field) for field in self.fields)
        return values if self.is_tuple else values[0]


def arguments_of(
    make: Callable[..., Any], name: str, *, is_own: bool
) -> tuple[list[Argument], dict[str, Any]]:
    """Return what can be set of the arguments behind the parameters.

    Args:
      make: the function or class.
      name: what it is called in messages.
      is_own: whether an argument that cannot be set is a mistake; of a library's
        class, it is left at its default.

    Returns:
      The arguments, and the fields of the hyper-parameters with their annotations, as
      members of a class.

    Raises:
      LoptError: if there is no first argument for the parameters, or as `is_own` says.
    """
    signature = list(inspect.signature(make).parameters.values())
    if not signature or signature[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise LoptError(
            f"{name} must take the parameters as its first argument, e.g. "
            "lambda params, learning_rate=0.001: torch.optim.SGD(params, learning_rate)"
        )
    arguments: list[Argument] = []
    fields: dict[str, Any] = {}
    for parameter in signature[1:]:
        is_many = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_many or (parameter.name == NUM_STEPS and is_own):
            continue
        made = _fields(parameter)
        if made is None and is_own:
            raise LoptError(
                f"{name} has the argument {parameter.name} with the default "
                f"{parameter.default!r}: a hyper-parameter is a number, text, True, "
                "False, None or a tuple of numbers."
            )
        if made:
            is_tuple = isinstance(parameter.default, (tuple, list))
            arguments.append(Argument(parameter.name, tuple(made), is_tuple))
            fields |= made
    # Those that must be given come first, as dataclasses want it.
    required = {n: f for n, f in fields.items() if _is_required(f)}
    fields = {**required, **fields}
    return arguments, {"__annotations__": dict.fromkeys(fields, "Any"), **fields}


def renamed(arguments: list[Argument]) -> Mapping[str, str]:
    """Return what to say of arguments that are called otherwise here."""
    return {
        argument.name: f"it is called {' and '.join(argument.fields)} here"
        for argument in arguments
        if (argument.name,) != argument.fields
    }


def _fields(parameter: inspect.Parameter) -> dict[str, Any] | None:
    name = _RENAMED.get(parameter.name, parameter.name)
    default = parameter.default
    if isinstance(default, (tuple, list)):
        if not default or not all(_is_number(value) for value in default):
            return None
        stem = name.removesuffix("s") if name == "betas" else name
        names = [f"{stem}{place}" for place, _ in enumerate(default, start=1)]
        return {n: _field(n, v) for n, v in zip(names, default, strict=True)}
    if isinstance(default, Field):
        return {name: default}
    if default is parameter.empty:
        return {name: hparam(short=SHORT_NAMES.get(name, name))}
    if default is None or isinstance(default, (bool, int, float, str)):
        return {name: _field(name, default)}
    return None


def _field(name: str, default: Any) -> Any:
    short = SHORT_NAMES.get(name, name)
    # Nothing is traced, and numbers of torch's defaults, as `weight_decay=0`, may be
    # set to others with a fraction.
    make = hparam if _is_number(default) else static_field
    return make(default=default, short=short)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_required(field: Any) -> bool:
    return isinstance(field, Field) and field.default is MISSING
