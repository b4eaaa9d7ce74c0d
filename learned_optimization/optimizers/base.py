"""The interface of an optimizer: a pytree of hyper-parameters with pure functions.

An optimizer is a dataclass made by `@optimizer`. Its numeric fields are pytree
leaves, so an optimizer may cross `jax.jit` and `jax.vmap` like any array: one
compiled program then trains with many learning rates at once. Fields that
decide the structure of the program (an integer block size, a flag) are marked
`static_field`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, ClassVar, TypeVar, dataclass_transform

import flax.struct
import jax
import numpy as np

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.fingerprint import fingerprint
from learned_optimization.registry import Registry

Params = Any
ModelState = Any
OptState = Any
Gradient = Any
PRNGKey = jax.Array
LossFn = Callable[[Params], jax.Array]
Scalar = float | jax.Array

_T = TypeVar("_T", bound=type)
_NUMBERS = (int, float, np.generic, np.ndarray, jax.Array)

OPTIMIZERS: Registry[type[Optimizer]] = Registry(
    "optimizer",
    "an optimizer",
    "learned_optimization.optimizers",
    "`lopt optimizers` lists them",
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
    """Hold what an optimizer without memory carries from step to step.

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
    """

    not_supported: ClassVar[Mapping[str, str]] = {}

    @property
    def needs(self) -> frozenset[str]:
        """What this optimizer cannot do without: some of the keys of `NEEDS`."""
        return frozenset()

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
          num_steps: length of the run, for optimizers that plan over it.
          key: PRNG key, for optimizers that draw.
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
          key: PRNG key, for optimizers that draw.
          loss_fn: the loss of this step's batch as a function of the parameters,
            with the random numbers of `loss`; given to optimizers that need it.
          **extra: what only some optimizers know. As in the published interface the
            others ignore it, and those that step another optimizer pass it on.
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
        if not dataclasses.is_dataclass(self):
            held = vars(self)
            return "_".join([type(self).__name__, *([fingerprint(held)] * bool(held))])
        parts = [
            f"_{f.metadata.get('short', f.name)}{_format(getattr(self, f.name))}"
            for f in dataclasses.fields(self)
        ]
        return type(self).__name__ + "".join(parts)


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
            raise LoptError(f"{type(opt).__name__} needs {NEEDS[name]}.")


def _format(value: Any) -> str:
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        value = np.asarray(value)
        # The shortest text that reads back as the same float32.
        return str(value[()]) if value.ndim == 0 else str(value.tolist())
    if isinstance(value, tuple):
        return ",".join(map(_format, value))
    name = getattr(value, "name", None)
    if name is not None:
        return f"({name})"
    return f"({fingerprint(value)})" if callable(value) else str(value)


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
    """Return a hyper-parameter that shapes the program: hashable, never traced."""
    metadata: dict[str, Any] = {"static": True}
    if short is not None:
        metadata["short"] = short
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(hparam, static_field)
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

    # Not `jax.tree_util.register_dataclass`: jaxlib (0.10 at least) takes the
    # structures of two classes it registered for equal where they have as many
    # fields, so that `jax.jit` at times runs Adam's program for Lars.
    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(hparam, static_field)
)
def optimizer(cls: _T) -> _T:
    """Return class decorator that makes and registers an optimizer.

    The class becomes a frozen dataclass, a pytree of its hyper-parameters and a
    gin configurable; `lopt optimizers`, error messages and the shared test
    suite find it by its name.
    """
    cls = OPTIMIZERS.add(cls.__name__, hparams_dataclass(cls), cls.__module__)
    return configurable(OPTIMIZERS.home, redefine=True)(cls)


def check_hparams(opt: Any) -> None:
    """Refuse hyper-parameters of the wrong kind, also of what is inside.

    A numeric field holds one number, or a tuple of them, a schedule or an optimizer
    where its annotation names one, or None where that is its default; a static field
    a value of its default's type.

    Raises:
      LoptError: naming the field and the value got.
    """
    if not dataclasses.is_dataclass(opt):
        return
    for field in dataclasses.fields(opt):
        value = getattr(opt, field.name)
        if value is None and field.default is None:
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


def all_optimizers() -> dict[str, type[Optimizer]]:
    """Return every optimizer class by name, in alphabetical order."""
    return OPTIMIZERS.all()


def get_optimizer(name: str) -> type[Optimizer]:
    """Return the optimizer class of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    return OPTIMIZERS.get(name)


def summary(cls: type[Optimizer]) -> str:
    """Return the first line of an optimizer's documentation."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


# Where the published interface has these, under names it calls deprecated.
_MOVED = {
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
