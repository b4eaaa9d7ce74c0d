"""VeLO ready to use, as an optimizer and as a gradient transformation of optax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.core import Tracer

from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    OptState,
    Params,
    PRNGKey,
    static_field,
)
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.hparams import hparams_dataclass, pytree_field
from learned_optimization.optimizers.opt_to_optax import opt_to_optax_opt
from learned_optimization.optimizers.optimizer_wrappers import WeightDecayWrapper
from learned_optimization.optimizers.wrapped import WrappedOptimizer
from learned_optimization.prng import key_of_seed
from learned_optimization.research.general_lopt.pretrained_optimizers import VeLO

__all__ = ["LearnedOptimizer", "optax_lopt"]


@hparams_dataclass
class LearnedOptimizer(WrappedOptimizer):
    """A pretrained learned optimizer for a run of known length.

    Runs longer than it was meta-trained for accumulate gradients, so that it steps at
    most `max_training_steps` times.

    Args:
      num_training_steps: length of the run.
      weight_decay: multiple of the parameters that is added to gradients, and of their
        squared norm that is added to the loss; see `WeightDecayWrapper`.
      max_training_steps: the most steps that the learned optimizer takes.
      base_lopt_fn: returns the learned optimizer; VeLO, which is fetched.

    Raises:
      LoptError: if a number of steps is not above 0, or the checkpoint cannot be
        fetched.
    """

    opt: Optimizer = pytree_field()
    num_training_steps: int = static_field()

    def __init__(
        self,
        num_training_steps: int,
        weight_decay: float = 0.0,
        max_training_steps: int = 150_000,
        base_lopt_fn: Callable[[], Optimizer] = VeLO,
    ):
        check_at_least("num_training_steps", num_training_steps, 1)
        check_at_least("max_training_steps", max_training_steps, 1)
        opt = base_lopt_fn()
        if num_training_steps > max_training_steps:
            number = math.ceil(num_training_steps / max_training_steps)
            opt = GradientAccumulator(opt, number)
        if weight_decay > 0:
            opt = WeightDecayWrapper(opt, weight_decay)
        object.__setattr__(self, "opt", opt)
        object.__setattr__(self, "num_training_steps", num_training_steps)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptState:
        """Return the state before the first update; see `Optimizer.init`.

        Args:
          params: initial parameters.
          model_state: initial model state.
          num_steps: length of the run, which is known: it may be left out.
          key: PRNG key; that of the seed 0 if None.

        Raises:
          LoptError: if `num_steps` is another number.
        """
        given = self.num_training_steps if num_steps is None else num_steps
        # One that is traced is not known yet.
        is_known = not isinstance(given, Tracer)
        if is_known and int(given) != self.num_training_steps:
            raise LoptError(
                f"num_steps is {num_steps}, and this LearnedOptimizer was made for "
                f"num_training_steps={self.num_training_steps}: give the same."
            )
        return self.opt.init(params, model_state, self.num_training_steps, _key(key))

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
        """Return the state after one step; see `Optimizer.update`."""
        return self.pass_on(
            opt_state, grad, loss, model_state, is_valid, _key(key), loss_fn, **extra
        )


def _key(key: PRNGKey | None) -> PRNGKey:
    return key_of_seed(0) if key is None else key


def optax_lopt(
    num_steps: int,
    weight_decay: float = 0.0,
    max_training_steps: int = 150_000,
    base_lopt_fn: Callable[[], Optimizer] = VeLO,
) -> optax.GradientTransformationExtraArgs:
    """Return a pretrained learned optimizer as a gradient transformation of optax.

    `update` needs the parameters and the loss, see `opt_to_optax_opt`.

    Args:
      num_steps: length of the run.
      weight_decay: as of `LearnedOptimizer`, and so are the others.
      max_training_steps: the most steps that the learned optimizer takes.
      base_lopt_fn: returns the learned optimizer.

    Raises:
      LoptError: as of `LearnedOptimizer`.
    """
    opt = LearnedOptimizer(num_steps, weight_decay, max_training_steps, base_lopt_fn)
    return opt_to_optax_opt(opt, num_steps)
