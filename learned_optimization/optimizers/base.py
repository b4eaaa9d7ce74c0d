"""The interface of an optimizer: a pytree of hyper-parameters with pure functions.

An optimizer is a dataclass made by `@optimizer`. Its numeric fields are pytree
leaves, so an optimizer may cross `jax.jit` and `jax.vmap` like any array: one
compiled program then trains with many learning rates at once. Fields that
decide the structure of the program (an integer block size, a flag) are marked
`static_field`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

import flax.struct
import jax

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.hparams import Scalar as Scalar
from learned_optimization.optimizers.hparams import hparam as hparam
from learned_optimization.optimizers.hparams import (
    hparams_dataclass as hparams_dataclass,
)
from learned_optimization.optimizers.hparams import name_with_hparams
from learned_optimization.optimizers.hparams import static_field as static_field
from learned_optimization.optimizers.one_update import check_definition
from learned_optimization.registry import Registry

__all__ = [
    "NEEDS",
    "OPTIMIZERS",
    "Gradient",
    "LossFn",
    "ModelState",
    "OptState",
    "Optimizer",
    "PRNGKey",
    "Params",
    "Scalar",
    "StatelessState",
    "all_optimizers",
    "get_optimizer",
    "hparam",
    "optimizer",
    "static_field",
    "summary",
]

Params = Any
"""Parameters: a pytree of float arrays."""
ModelState = Any
"""What a model carries besides its parameters: a pytree of arrays, or None."""
OptState = Any
"""The state of an optimizer: a pytree that holds parameters and model state."""
Gradient = Any
"""A gradient: a pytree of the structure of the parameters."""
PRNGKey = jax.Array
"""A key of `jax.random`."""
LossFn = Callable[[Params], jax.Array]
"""The loss of one batch as a function of the parameters."""

_T = TypeVar("_T", bound="type[Optimizer]")

OPTIMIZERS: Registry[type[Optimizer]] = Registry(
    "optimizer",
    "an optimizer",
    "learned_optimization.optimizers",
)
"""Every optimizer."""

NEEDS = {
    "num_steps": "the length of the run: pass num_steps= to init",
    "loss": "the loss of every step: pass loss= to update",
    "loss_fn": "the loss as a function of the parameters: pass loss_fn= to update",
    "key": "random numbers: pass key= to update",
}
"""What an optimizer may need besides gradients, and how it is given."""


@flax.struct.dataclass
class StatelessState:
    """State of an optimizer without memory.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
    """

    params: Any
    state: Any


class Optimizer:
    """Turns gradients into new parameters.

    All methods are pure: they return a new state and change nothing.

    Attributes:
      not_supported: parameters of the published optimizer of this name that this
        one does not have, each with a sentence for the person who sets it.
      is_traceable: whether jax can compile `init` and `update`; what cannot be
        compiled is a `SteppedOptimizer`.
    """

    not_supported: ClassVar[Mapping[str, str]] = {}
    is_traceable: ClassVar[bool] = True

    if TYPE_CHECKING:
        # Which hyper-parameters `type[Optimizer]` takes depends on the class.
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @property
    def needs(self) -> frozenset[str]:
        """What this optimizer cannot do without: some of the keys of `NEEDS`."""
        return frozenset()

    @property
    def defined_by(self) -> type:
        """The class whose code steps, which messages name."""
        return type(self)

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose code steps, besides those that every result records."""
        return ()

    def prepare(self) -> None:
        """Fetch and check what the optimizer reads from elsewhere.

        Called before anything is trained with it.

        Raises:
          LoptError: if the optimizer cannot train, and why.
        """

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptState:
        """Return the state before the first update.

        Args:
          params: initial parameters, a pytree of arrays.
          model_state: initial model state, carried along with the parameters.
          num_steps: length of the run, for optimizers that depend on it.
          key: PRNG key, for optimizers that draw random numbers.
        """
        raise NotImplementedError

    def update(
        self,
        opt_state: OptState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> OptState:
        """Return the state after one step.

        Args:
          opt_state: the state before the step.
          grad: gradient of the loss, structured like the parameters.
          loss: the loss the gradient belongs to, a scalar.
          model_state: the model state after the loss was computed.
          is_valid: whether `loss` was computed on validation data.
          key: PRNG key, for optimizers that draw random numbers.
          loss_fn: the loss of this step's batch as a function of the parameters,
            with the random numbers of `loss`; given to optimizers that need it.
          **extra: arguments that only some optimizers know. As in the published
            interface, the others ignore them, and those that step another optimizer
            pass them on.
        """
        raise NotImplementedError

    def get_eval_params(self, opt_state: OptState) -> Params:
        """Return the parameters to evaluate and to use after training.

        They differ from `get_params`, where gradients are taken, for optimizers
        that average their iterates.
        """
        return self.get_params(opt_state)

    def get_params(self, opt_state: OptState) -> Params:
        """Return the parameters held by a state."""
        return opt_state.params

    def get_state(self, opt_state: OptState) -> ModelState:
        """Return the model state held by a state."""
        return opt_state.state

    def get_params_state(self, opt_state: OptState) -> tuple[Params, ModelState]:
        """Return the parameters and the model state held by a state."""
        return self.get_params(opt_state), self.get_state(opt_state)

    def set_params(self, opt_state: OptState, params: Params) -> OptState:
        """Return the same state with other parameters."""
        return opt_state.replace(params=params)

    @property
    def name(self) -> str:
        """The class name followed by every hyper-parameter.

        `Adam_lr0.001_b10.9_b20.999_eps1e-08_epsroot1e-08`, say. Two different
        settings never share a name: values are written so that they read back
        as the same number. Needs concrete hyper-parameters.

        The settings of a class that `@optimizer` did not make are what its
        instances hold; they are named by their `fingerprint`.

        Raises:
          LoptError: if an instance of such a class holds something that has no
            fingerprint, which a `name` of its own would have to describe.
        """
        return name_with_hparams(self)


def check_given(opt: Optimizer, **given: Any) -> None:
    """Refuse a call that leaves out what an optimizer needs.

    Args:
      opt: the optimizer.
      **given: the arguments got, by the keys of `NEEDS`.

    Raises:
      LoptError: naming what is missing and how to pass it.
    """
    for name, value in given.items():
        if value is None and name in opt.needs:
            raise LoptError(f"{opt.defined_by.__name__} needs {NEEDS[name]}.")


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(hparam, static_field)
)
def optimizer(cls: _T) -> _T:
    """Make and register an optimizer, as the decorator of its class.

    The class becomes a frozen dataclass, a pytree of its hyper-parameters and a
    gin configurable; `lopt optimizers`, error messages and the shared test
    suite find it by its name. The same class defined again, as by a notebook cell
    that runs again, replaces the one before.

    Args:
      cls: a subclass of `Optimizer`; its fields are `hparam` or `static_field`.

    Returns:
      The class.

    Raises:
      LoptError: if another module has an optimizer of that name, or one update
        with the default hyper-parameters shows that it cannot train: nothing is
        registered then.
    """
    made = hparams_dataclass(cls)
    OPTIMIZERS.check(cls.__name__, cls.__module__)
    check_definition(made)
    # gin has schedules under the same module, and refuses a name of theirs.
    registered = configurable(OPTIMIZERS.home, redefine=True)(made)
    OPTIMIZERS.add(cls.__name__, registered, cls.__module__)
    return registered


def all_optimizers() -> dict[str, type[Optimizer]]:
    """Return every optimizer class by name, in alphabetical order."""
    return OPTIMIZERS.all()


def get_optimizer(name: str) -> type[Optimizer]:
    """Return the optimizer class of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    return OPTIMIZERS.get(name)


def summary(cls: type) -> str:
    """Return the first line of the documentation of an optimizer's class."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


# Names that can be imported from here too, and the modules they are in: the published
# interface has them here, and calls them deprecated; `check_hparams` was here.
_MOVED = {
    "check_hparams": "hparam_checks",
    "SGD": "optax_opts",
    "SGDM": "optax_opts",
    "RMSProp": "optax_opts",
    "Adam": "optax_opts",
    "PiecewiseLinearAdam": "optax_opts",
    "piecewise_linear": "optax_opts",
    "OptaxOptimizer": "optax_optimizer",
    "OptaxState": "optax_optimizer",
    "GradientClipOptimizer": "gradient_clip",
    "GraftedOptimizer": "grafting",
}


def __getattr__(name: str) -> Any:
    # On demand, because those modules import this one.
    if name in _MOVED:
        module = import_module(f"learned_optimization.optimizers.{_MOVED[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
