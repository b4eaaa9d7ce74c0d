"""The interface of a learned optimizer: settings, and theta, which is trained.

A learned optimizer is a dataclass of settings made by `@learned_optimizer`. With its
meta-parameters theta, a pytree of arrays that a checkpoint holds, it is an ordinary
`Optimizer`, of which theta is a hyper-parameter: one compiled program serves every
checkpoint of an architecture, and several are configurations of one grid.

    @learned_optimizer
    class ScaledSign(LearnedOptimizer):
        \"\"\"Steps along the sign of the gradient, as far as theta says.\"\"\"

        def init(self, key):
            return {"log_size": jnp.log(0.01)}

        def opt_init(self, theta, params, model_state, num_steps, key):
            return StatelessState(params, model_state)

        def opt_update(self, theta, opt_state, grad, *, model_state, **given):
            size = jnp.exp(theta["log_size"])
            move = lambda p, g: p - size * jnp.sign(g)
            params = jax.tree.map(move, opt_state.params, grad)
            return StatelessState(params, model_state)

Published programs override `opt_fn` instead, and return an optimizer of a class of
their own; that serves as well.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.configurable import configurable
from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    OptState,
    Params,
    PRNGKey,
    check_given,
)
from learned_optimization.optimizers.base import summary as summary
from learned_optimization.optimizers.fingerprint import fingerprint
from learned_optimization.optimizers.hparams import hparam as hparam
from learned_optimization.optimizers.hparams import (
    hparams_dataclass,
    name_with_hparams,
    pytree_field,
)
from learned_optimization.optimizers.hparams import static_field as static_field
from learned_optimization.registry import Registry

__all__ = [
    "LEARNED_OPTIMIZERS",
    "LearnedOptimizer",
    "MetaParams",
    "ModelState",
    "OptState",
    "Optimizer",
    "PRNGKey",
    "Params",
    "ThetaOptimizer",
    "all_learned_optimizers",
    "get_learned_optimizer",
    "hparam",
    "learned_optimizer",
    "one_minus_log",
    "static_field",
]

MetaParams = Any
"""Meta-parameters, theta: a pytree of float arrays, dicts of the published names."""

_T = TypeVar("_T", bound="type[LearnedOptimizer]")

LEARNED_OPTIMIZERS: Registry[type[LearnedOptimizer]] = Registry(
    "learned optimizer",
    "a learned optimizer",
    "learned_optimization.learned_optimizers",
)
"""Every learned optimizer."""


class LearnedOptimizer:
    """Makes an optimizer of meta-parameters.

    A subclass defines `init`, and either `opt_init` and `opt_update` or `opt_fn`.

    Attributes:
      needs: what its updates need besides gradients, as `Optimizer.needs`.
      learning_rate_setting: the setting that its users choose as they choose a
        learning rate; None if there is none.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    learning_rate_setting: ClassVar[str | None] = None

    if TYPE_CHECKING:
        # Which settings `type[LearnedOptimizer]` takes depends on the class.
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __post_init__(self) -> None:
        """Make tuples of lists: what decides a program can be told from others."""
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))

    def init(self, key: PRNGKey) -> MetaParams:
        """Return meta-parameters that nothing has trained yet.

        Args:
          key: PRNG key of all that is random in them.
        """
        raise NotImplementedError

    def opt_fn(self, theta: MetaParams, is_training: bool = False) -> Optimizer:
        """Return the optimizer that steps as some meta-parameters say.

        Args:
          theta: meta-parameters, structured like those of `init`.
          is_training: whether theta is being trained itself.
        """
        del is_training
        return ThetaOptimizer(theta, self)

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> OptState:
        """Return the optimizer's state before the first update.

        Args:
          theta: meta-parameters.
          params: initial parameters.
          model_state: initial model state.
          num_steps: length of the run, a number that may be traced; None where it is
            unknown and not among `needs`.
          key: PRNG key.

        Returns:
          The state: it has the fields `params` and `state`, the model state.
        """
        raise NotImplementedError

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: OptState,
        grad: Gradient,
        *,
        loss: jax.Array | None,
        model_state: ModelState,
        is_valid: bool,
        key: PRNGKey | None,
    ) -> OptState:
        """Return the optimizer's state after one step.

        Args:
          theta: meta-parameters.
          opt_state: the state before.
          grad: the gradient.
          loss: the loss it belongs to, a scalar; None where it is not among `needs`.
          model_state: the model state after the loss was computed.
          is_valid: whether the loss is of validation data.
          key: PRNG key.
        """
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The class name, followed by every setting that is not the default."""
        if not dataclasses.is_dataclass(self):
            return name_with_hparams(self)
        return name_with_hparams(self, leave_out_defaults=True)


@hparams_dataclass
class ThetaOptimizer(Optimizer):
    """The optimizer that a learned optimizer makes of its meta-parameters.

    Attributes:
      theta: the meta-parameters, arrays that may be traced.
      lopt: the learned optimizer.
    """

    theta: MetaParams = pytree_field()
    lopt: LearnedOptimizer = pytree_field()

    def __post_init__(self) -> None:
        """Make arrays of numbers in theta: arrays are arguments of a program."""
        object.__setattr__(self, "theta", jax.tree.map(_as_array, self.theta))

    @property
    def needs(self) -> frozenset[str]:
        """What the learned optimizer needs."""
        return self.lopt.needs

    @property
    def defined_by(self) -> type:
        """The class of the learned optimizer, whose code steps."""
        return type(self.lopt)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptState:
        """Return the state before the first update; see `Optimizer.init`.

        Raises:
          LoptError: if the number of steps is needed and not given.
        """
        check_given(self, num_steps=num_steps)
        return self.lopt.opt_init(self.theta, params, model_state, num_steps, key)

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
        """Return the state after one step; see `Optimizer.update`.

        Raises:
          LoptError: if the loss is needed and not given.
        """
        del loss_fn, extra
        check_given(self, loss=loss)
        return self.lopt.opt_update(
            self.theta,
            opt_state,
            grad,
            loss=loss,
            model_state=model_state,
            is_valid=is_valid,
            key=key,
        )

    @property
    def name(self) -> str:
        """The learned optimizer's name, and ten digits that tell theta from others."""
        return f"{self.lopt.name}_theta{digest_of(self.theta)}"


def _as_array(leaf: Any) -> Any:
    if isinstance(leaf, (float, np.floating)):
        return np.asarray(leaf, np.float32)
    return leaf


def digest_of(theta: MetaParams) -> str:
    """Return ten hexadecimal digits that tell meta-parameters from others."""
    leaves = jax.tree_util.tree_leaves_with_path(theta)
    return fingerprint(
        [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves]
    )


def one_minus_log(x: jax.Array | float) -> jax.Array:
    """Return `log(1 - x)`, how decays near 1 are held in meta-parameters."""
    return jnp.log(1 - jnp.asarray(x, jnp.float32))


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(hparam, static_field)
)
def learned_optimizer(cls: _T) -> _T:
    """Make and register a learned optimizer, as the decorator of its class.

    The class becomes a frozen dataclass of its settings and a gin configurable, by
    whose name `config.gin` of a checkpoint calls it; `lopt lopts` and the shared test
    suite find it. Numeric settings are `hparam`; those that decide the structure of
    the program, such as a size or a flag, are `static_field`.

    Args:
      cls: a subclass of `LearnedOptimizer`.

    Returns:
      The class.

    Raises:
      LoptError: if another module has a learned optimizer of that name.
    """
    made = hparams_dataclass(cls)
    LEARNED_OPTIMIZERS.check(cls.__name__, cls.__module__)
    registered = configurable(cls.__module__, redefine=True)(made)
    LEARNED_OPTIMIZERS.add(cls.__name__, registered, cls.__module__)
    return registered


def all_learned_optimizers() -> dict[str, type[LearnedOptimizer]]:
    """Return every learned optimizer by name, in alphabetical order."""
    return LEARNED_OPTIMIZERS.all()


def get_learned_optimizer(name: str) -> type[LearnedOptimizer]:
    """Return the learned optimizer of that name.

    Raises:
      NotRegisteredError: with the nearest names, if there is none.
    """
    return LEARNED_OPTIMIZERS.get(name)


# The published interface has them here; their modules import this one.
_ELSEWHERE = {
    "LearnableSGD": "learnable",
    "LearnableSGDM": "learnable",
    "LearnableAdam": "learnable",
    "SumOptimizer": "combined",
    "SumLearnedOptimizer": "combined",
    "learned_optimizer_from_opt": "combined",
    "wrap_learned_opt": "combined",
}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        home = f"learned_optimization.learned_optimizers.{_ELSEWHERE[name]}"
        return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
