"""Optimizers made of optax gradient transformations.

`@optax_optimizer` turns a function that makes a transformation into an
optimizer, here or in a file of your own:

    @optax_optimizer
    def Lion(learning_rate=1e-3, beta1=0.9, beta2=0.99):
        \"\"\"Lion (Chen et al. 2023, arXiv:2302.06675).\"\"\"
        return optax.lion(learning_rate, b1=beta1, b2=beta2)

An optimizer that does more than that is a subclass of `OptaxOptimizer`. Where no
hyper-parameters are to be varied, `OptaxOptimizer(optax.adam(1e-3))` is one as well.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, overload

import flax.struct
import jax
import jax.numpy as jnp
import optax

from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers.base import (
    NEEDS,
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    Params,
    PRNGKey,
    Scalar,
    check_given,
    hparam,
    optimizer,
    static_field,
)
from learned_optimization.optimizers.learning_rate_schedules import Schedule
from learned_optimization.optimizers.leaves import narrowed, widened
from learned_optimization.text import brief

__all__ = [
    "OptaxOptimizer",
    "OptaxState",
    "Scalar",
    "ScalarOrSchedule",
    "optax_optimizer",
]

ScalarOrSchedule = Scalar | Schedule
"""A number, or one for each step."""

P = ParamSpec("P")
Factory = Callable[P, optax.GradientTransformation]

# How common hyper-parameters are written in `Optimizer.name`.
SHORT_NAMES = {
    "learning_rate": "lr",
    "beta1": "b1",
    "beta2": "b2",
    "beta3": "b3",
    "epsilon": "eps",
    "epsilon_root": "epsroot",
    "momentum": "m",
    "weight_decay": "wd",
}
_NOTHING: Mapping[str, str] = MappingProxyType({})


@flax.struct.dataclass
class OptaxState:
    """State of an `OptaxOptimizer`.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
      optax_opt_state: the state of the gradient transformation.
      iteration: int32 scalar, the number of updates done.
    """

    params: Any
    state: Any
    optax_opt_state: Any
    iteration: jax.Array


class OptaxOptimizer(Optimizer):
    """An optimizer whose update is an optax gradient transformation.

    The transformation sees parameters, gradients and losses of 16 bits as float32, and
    None in place of an empty array (`leaves`); so does its state.

    Args:
      opt: the transformation. What it holds is no hyper-parameter: each such
        optimizer has a program of its own. Its `name` ends with the transformation's
        `fingerprint`.

    Raises:
      LoptError: if it is no transformation.
    """

    def __init__(self, opt: optax.GradientTransformation):
        if not isinstance(opt, optax.GradientTransformation):
            raise LoptError(
                "OptaxOptimizer takes an optax.GradientTransformation, e.g. "
                f"optax.adam(1e-3), got {opt!r}."
            )
        self.opt = opt

    if TYPE_CHECKING:
        # The hyper-parameters of what `@optax_optimizer` makes.
        def __getattr__(self, name: str) -> Any: ...

    def transformation(self) -> optax.GradientTransformation:
        """Return the transformation given, or that these hyper-parameters make.

        Its update is given `value` (the loss) and `grad` if the optimizer needs
        the loss, `value_fn` if it needs the loss function, and `key` if it needs
        random numbers: the names optax's own transformations use.
        """
        return self.opt

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptaxState:
        """Return the state before the first update; see `Optimizer.init`.

        Raises:
          LoptError: if it asks for the loss as a function, and the parameters hold no
            number for that to be one of; or as raised by `check_given`.
        """
        check_given(self, num_steps=num_steps)
        del key
        if "loss_fn" in self.needs:
            _check_not_empty(type(self).__name__, params)
        return OptaxState(
            params=params,
            state=model_state,
            optax_opt_state=self.transformation().init(widened(params)),
            iteration=jnp.zeros([], jnp.int32),
        )

    def update(
        self,
        opt_state: OptaxState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> OptaxState:
        """Return the state after one step; see `Optimizer.update`."""
        del is_valid, extra
        check_given(self, loss=loss, key=key, loss_fn=loss_fn)
        before, grad = opt_state.params, widened(grad)
        params = widened(before)
        known: dict[str, Any] = {}
        if "loss" in self.needs:
            known |= {"value": widened(loss), "grad": grad}
        if "loss_fn" in self.needs:
            known["value_fn"] = loss_fn if params is before else _wide(loss_fn, before)
        if "key" in self.needs:
            known["key"] = key
        transformation = optax.with_extra_args_support(self.transformation())
        updates, optax_opt_state = transformation.update(
            grad, opt_state.optax_opt_state, params, **known
        )
        return OptaxState(
            params=narrowed(optax.apply_updates(params, updates), before),
            state=model_state,
            optax_opt_state=optax_opt_state,
            iteration=opt_state.iteration + 1,
        )


def _check_not_empty(name: str, params: Params) -> None:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]
    if not any(map(math.prod, shapes)):
        raise LoptError(
            f"{name} has nothing to optimize: it asks for the loss as a function of "
            "the parameters, and they hold no number. Their arrays have the shapes "
            f"{brief(shapes)}; with another optimizer they stay as they are."
        )


@overload
def optax_optimizer(factory: Factory[P]) -> Callable[P, OptaxOptimizer]: ...
@overload
def optax_optimizer(
    *,
    needs: Iterable[str] = (),
    base: type[OptaxOptimizer] = OptaxOptimizer,
    not_supported: Mapping[str, str] = ...,
) -> Callable[[Factory[P]], Callable[P, OptaxOptimizer]]: ...
def optax_optimizer(
    factory: Factory | None = None,
    *,
    needs: Iterable[str] = (),
    base: type[OptaxOptimizer] = OptaxOptimizer,
    not_supported: Mapping[str, str] = _NOTHING,
) -> Any:
    """Make and register an optimizer from an optax factory, as a decorator.

    The function's name and docstring become the optimizer's, its parameters the
    hyper-parameters. One whose default is a float or None may be traced, so that
    one program trains with many values; one whose default is a bool, a whole
    number or text decides the program (say `hparam(default=3)` or
    `static_field(default=0.5)` for the other way, and `hparam(default=0.9,
    short="d")` for how it is written in `Optimizer.name`). A parameter named
    `learning_rate`, or annotated `ScalarOrSchedule`, takes schedules too.

    Args:
      factory: from hyper-parameters to an `optax.GradientTransformation`.
      needs: what the transformation needs besides gradients; see `NEEDS`.
      base: the class to derive from, where an optimizer does more than update.
      not_supported: see `Optimizer.not_supported`.

    Returns:
      The optimizer class, or a decorator if `factory` is left out.

    Raises:
      LoptError: if a parameter has no default, or one that cannot be a
        hyper-parameter, or the name is taken.
      UnknownNameError: if there is no such need.
    """
    needs = frozenset(needs)
    for need in needs:
        if need not in NEEDS:
            raise UnknownNameError("need of an optimizer", need, NEEDS)

    def decorate(factory: Factory) -> type[OptaxOptimizer]:
        members = _hyperparameters(factory)
        parameters = list(inspect.signature(factory).parameters)

        def transformation(self: Any) -> optax.GradientTransformation:
            made = factory(**{p: getattr(self, p) for p in parameters})
            if not isinstance(made, optax.GradientTransformation):
                raise LoptError(
                    f"{factory.__name__} must return an optax.GradientTransformation, "
                    f"e.g. optax.sgd(learning_rate), got {made!r}."
                )
            return made

        members |= {
            "__doc__": factory.__doc__,
            "__module__": factory.__module__,
            "needs": property(lambda self: needs),
            "transformation": transformation,
        }
        if not_supported:
            members["not_supported"] = not_supported
        return optimizer(type(factory.__name__, (base,), members))

    return decorate if factory is None else decorate(factory)


def _hyperparameters(factory: Factory) -> dict[str, Any]:
    """Return the fields that a factory's parameters become, and their annotations."""
    fields: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        fields[name] = _field(factory.__name__, parameter)
        annotations[name] = parameter.annotation
        if name == "learning_rate":
            annotations[name] = "ScalarOrSchedule"
        elif parameter.annotation is parameter.empty:
            annotations[name] = "Scalar | None"
    return {"__annotations__": annotations, **fields}


def _field(owner: str, parameter: inspect.Parameter) -> Any:
    default, short = parameter.default, SHORT_NAMES.get(parameter.name, parameter.name)
    if isinstance(default, Field):
        return default
    if isinstance(default, float) or default is None:
        return hparam(default=default, short=short)
    if isinstance(default, (bool, int, str)):
        return static_field(default=default, short=short)
    what = "no default" if default is parameter.empty else f"the default {default!r}"
    raise LoptError(
        f"{owner}.{parameter.name} has {what}: a hyper-parameter needs a number, "
        "None, True, False or text as its default."
    )


def _wide(loss_fn: LossFn | None, like: Params) -> LossFn:
    assert loss_fn is not None
    return lambda params: widened(loss_fn(narrowed(params, like)))


def scalars_as_vectors(
    transformation: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """Return a transformation that sees each scalar as a vector of length one."""

    def vectors(tree: Any) -> Any:
        return jax.tree.map(jnp.atleast_1d, tree)

    def init(params: Any) -> Any:
        return transformation.init(vectors(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        new, state = transformation.update(vectors(updates), state, vectors(params))
        return jax.tree.map(lambda v, u: v.reshape(jnp.shape(u)), new, updates), state

    return optax.GradientTransformation(init, update)
