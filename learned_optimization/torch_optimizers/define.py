"""Makes optimizers of this package of those of PyTorch.

    TunedSGD = torch_optimizer(
        lambda params, learning_rate=1e-3: torch.optim.SGD(params, lr=learning_rate),
        name="TunedSGD",
    )

is an optimizer like any other: sweeps, sets and `inner_train_task` take it. So is
`torch_class("torch.optim.Adam")`, with the arguments of the class as hyper-parameters.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import packages_distributions
from types import ModuleType
from typing import Any, ClassVar, overload

import jax

from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.base import OPTIMIZERS, Params, optimizer
from learned_optimization.optimizers.stepped import SteppedOptimizer
from learned_optimization.text import brief, named
from learned_optimization.torch_optimizers.arrangement import TorchArrangement
from learned_optimization.torch_optimizers.hyperparameters import (
    NUM_STEPS,
    Argument,
    arguments_of,
    renamed,
)
from learned_optimization.torch_optimizers.parameters import Parameters

__all__ = [
    "TorchOptimizer",
    "recorded_torch_class",
    "torch_class",
    "torch_optimizer",
]

PREFIX = "torch:"
"""How the path of a class is told from the name of an optimizer."""

Factory = Callable[..., Any]
"""From parameters and hyper-parameters to a `torch.optim.Optimizer`."""


class TorchOptimizer(SteppedOptimizer):
    """An optimizer that a `torch.optim.Optimizer` steps.

    Its hyper-parameters are the arguments of what makes it. Several optimizers, and
    schedules of `torch.optim.lr_scheduler`, are stepped one after another.

    Attributes:
      factory: makes the optimizer, or a list of optimizers and schedules.
      arguments: what is given to it behind the parameters.
      takes_num_steps: whether it is given the length of the run too.
      with_closure: whether steps are given a closure though they do not demand one.
    """

    factory: ClassVar[Factory]
    arguments: ClassVar[Sequence[Argument]]
    takes_num_steps: ClassVar[bool]
    with_closure: ClassVar[bool]

    @property
    def packages(self) -> tuple[str, ...]:
        """PyTorch, and the distribution that the optimizer comes from."""
        root = str(self.factory.__module__).partition(".")[0]
        return tuple(dict.fromkeys(["torch", *_distributions().get(root, ())]))

    def prepare(self) -> None:
        """Check that PyTorch is installed.

        Raises:
          LoptError: saying how to install it, if it is not.
        """
        check_torch()

    def make(self, params: Parameters, num_steps: int) -> Any:
        """Return the optimizer, or the list, that the factory makes.

        Args:
          params: the parameters.
          num_steps: length of the run.
        """
        given = {argument.name: argument.value(self) for argument in self.arguments}
        if self.takes_num_steps:
            given[NUM_STEPS] = num_steps
        return type(self).factory(params, **given)

    def arrangement(self, params: Params) -> TorchArrangement:
        """Return how parameters are laid out; see `SteppedOptimizer.arrangement`."""
        return TorchArrangement.of(params)

    def start(
        self,
        arrangement: Any,
        arrays: Sequence[jax.Array],
        num_steps: int,
        seed: int,
    ) -> Any:
        """Return a `TorchStepper`; see `SteppedOptimizer.start`."""
        check_torch()
        from learned_optimization.torch_optimizers.stepper import TorchStepper

        return TorchStepper(
            functools.partial(self.make, num_steps=num_steps),
            arrangement.names,
            arrays,
            seed,
            self.with_closure,
        )


@overload
def torch_optimizer(
    factory: Factory, *, name: str | None = None, closure: bool = False
) -> type[TorchOptimizer]: ...
@overload
def torch_optimizer(
    factory: None = None, *, name: str | None = None, closure: bool = False
) -> Callable[[Factory], type[TorchOptimizer]]: ...
def torch_optimizer(
    factory: Factory | None = None, *, name: str | None = None, closure: bool = False
) -> Any:
    """Make and register an optimizer from what makes a `torch.optim.Optimizer`.

    The arguments behind the parameters become the hyper-parameters. An argument
    `num_steps` is given the length of the run instead. The parameters are a
    `Parameters`: a list, which also has them by name and kind, for groups.

    Args:
      factory: a function of parameters and hyper-parameters that returns an optimizer,
        or a list of optimizers and schedules, which are stepped in order.
      name: the optimizer's name; the function's if None, and for a lambda that of the
        class whose optimizer it makes.
      closure: whether the optimizer's step is given a closure though it does not
        demand one. Where it cannot do without, that is found by itself.

    Returns:
      The optimizer class, or a decorator if `factory` is left out.

    Raises:
      LoptError: if an argument cannot be a hyper-parameter, a lambda without a name
        cannot be tried, or the name is taken.
    """

    def decorate(factory: Factory) -> type[TorchOptimizer]:
        own_name = name or getattr(factory, "__name__", "")
        if not own_name.isidentifier():
            own_name = _class_name(factory)
        return _made(factory, own_name, factory.__module__, closure, is_own=True)

    return decorate if factory is None else decorate(factory)


def torch_class(path: str) -> type[TorchOptimizer]:
    """Return the optimizer of a class of PyTorch, or of a library for it.

    Args:
      path: the class as Python imports it, e.g. `torch.optim.Adam`, with or without
        `torch:` before it. The optimizer's name has `_` in place of the dots.

    Raises:
      LoptError: if PyTorch or the class cannot be imported, or it is no optimizer.
    """
    path = path.removeprefix(PREFIX)
    name = path.replace(".", "_")
    known = OPTIMIZERS.all().get(name)
    if known is not None and issubclass(known, TorchOptimizer):
        return known
    check_torch()
    from torch.optim import Optimizer

    factory = _imported(path)
    if not (inspect.isclass(factory) and issubclass(factory, Optimizer)):
        raise LoptError(f"{path} is no class of torch.optim.Optimizer.")
    return _made(factory, name, __name__, False, is_own=False, path=path)


def recorded_torch_class(path: str) -> type[TorchOptimizer]:
    """Return the optimizer of a class that a result file names, as `torch_class`.

    The file may be anybody's: no module is imported because it says so, but those of
    `torch.optim`.

    Args:
      path: the class as Python imports it.

    Raises:
      LoptError: as `torch_class`, or if the module of the class is not imported yet.
    """
    module = path.removeprefix(PREFIX).rpartition(".")[0]
    if not f"{module}.".startswith("torch.optim.") and module not in sys.modules:
        raise LoptError(
            f"its optimizer is {brief(path)}, and {brief(module)} is not imported here."
        )
    return torch_class(path)


def _class_name(factory: Factory) -> str:
    """Return the name of the class whose optimizer a function without a name makes."""
    check_torch()
    from learned_optimization.torch_optimizers.stepper import optimizers_of, zeros

    arguments = [NUM_STEPS] * _takes_num_steps(factory)
    try:
        made = factory(zeros(), **dict.fromkeys(arguments, 1))
    except Exception as error:  # whatever anyone's optimizer raises
        raise LoptError(
            f"a torch optimizer without a name cannot be made of two small arrays: "
            f"{named(error)}. Give it a name, as name=."
        ) from error
    return type(optimizers_of(made)[0]).__name__


def _takes_num_steps(factory: Factory) -> bool:
    return NUM_STEPS in inspect.signature(factory).parameters


def check_torch() -> None:
    """Raise `LoptError` unless PyTorch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise LoptError(
            "PyTorch is not installed: pip install 'optimizer-baselines[torch]'."
        )


def _made(
    factory: Factory,
    name: str,
    module: str,
    closure: bool,
    *,
    is_own: bool,
    path: str | None = None,
) -> type[TorchOptimizer]:
    arguments, members = arguments_of(factory, name, is_own=is_own)
    doc = inspect.getdoc(factory) if is_own else None
    members |= {
        "__doc__": doc or f"{name.replace('_', '.')}, stepped by PyTorch.",
        "__module__": module,
        "factory": staticmethod(factory),
        "arguments": tuple(arguments),
        "takes_num_steps": is_own and _takes_num_steps(factory),
        "with_closure": closure,
        "class_path": path,
        "not_supported": renamed(arguments),
    }
    return optimizer(type(name, (TorchOptimizer,), members))


def _imported(path: str) -> Any:
    """Import what a dotted path names: a module, and the attributes behind it."""
    parts = path.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise LoptError(
            f"{PREFIX}{path} names no class: write it as Python imports it, e.g. "
            f"{PREFIX}torch.optim.Adam."
        )
    module, name = _module(parts[:-1], path), parts[-1]
    if not hasattr(module, name):
        known = [n for n, v in vars(module).items() if inspect.isclass(v)]
        raise UnknownNameError(f"class of {module.__name__}", name, known)
    return getattr(module, name)


def _module(parts: Sequence[str], path: str) -> ModuleType:
    try:
        return importlib.import_module(".".join(parts))
    except Exception as error:  # whatever a library raises as it is imported
        raise LoptError(
            f"{PREFIX}{brief(path)} cannot be imported: {named(error)}. Install the "
            "package it is in, into the environment of this one."
        ) from error


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return {root: list(names) for root, names in packages_distributions().items()}
