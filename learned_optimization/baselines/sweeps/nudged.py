"""The same trial, several times over, with nothing changed but how numbers are rounded.

Training amplifies rounding: near the largest learning rate that trains, trials that
differ in the last bit of a parameter go apart exponentially. How far the same trial
comes to be from itself so says which differences of two results mean something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.replay import prepared_trial_of
from learned_optimization.eval_training import Strategy
from learned_optimization.optimizers.base import (
    ModelState,
    Optimizer,
    OptState,
    Params,
    PRNGKey,
    hparam,
    hparams_dataclass,
)
from learned_optimization.optimizers.wrapped import WrappedOptimizer
from learned_optimization.prng import key_of_seed

MOST = 16
"""Times a trial is trained again at most."""

_BESIDE = 4


@hparams_dataclass
class Nudged(WrappedOptimizer):
    """Steps an optimizer from parameters of which each is one bit off.

    Attributes:
      opt: the optimizer inside.
      nudge: decides which parameters are larger, and which smaller.
    """

    opt: Optimizer = hparam()
    nudge: Any = hparam(default=0)

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> OptState:
        """Return the state before the first update; see `Optimizer.init`."""
        return self.opt.init(self.nudged(params), model_state, num_steps, key)

    def nudged(self, params: Params) -> Params:
        """Return parameters that are the next larger numbers, or the next smaller."""
        leaves, structure = jax.tree.flatten(params)
        key = jax.random.fold_in(key_of_seed(0), self.nudge)
        keys = jax.random.split(key, len(leaves))
        return jax.tree.unflatten(structure, map(_nudged, leaves, keys))

    update = WrappedOptimizer.pass_on


def _nudged(values: jax.Array, key: jax.Array) -> jax.Array:
    if not jnp.issubdtype(values.dtype, jnp.floating):
        return values
    is_larger = jax.random.bernoulli(key, shape=values.shape)
    return jnp.nextafter(values, jnp.where(is_larger, jnp.inf, -jnp.inf))


def train_nudged(path: str, stored: Result) -> Iterator[Result]:
    """Train the trial of a result again, `MOST` times, or until no more are asked for.

    Each starts from parameters that are one bit off, and beside some others; half of
    them are computed by other kernels of a CPU than the result records. Nothing is
    written. The global gin configuration is replaced.

    Args:
      path: where the result is from, for messages.
      stored: what it holds, of one trial; it records its strategy.

    Yields:
      New results, none for an optimizer that jax cannot compile.

    Raises:
      LoptError: if the trial cannot be made.
    """
    trial = prepared_trial_of(path, stored)
    if not trial.opt.is_traceable:
        return
    kernels = Strategy.parse(str(stored["strategy"])).library_kernels
    for first in range(0, MOST, _BESIDE):
        nudges = range(first, first + _BESIDE)
        grid = TrialGrid([[replace(trial, opt=Nudged(trial.opt, n))] for n in nudges])
        strategy = Strategy(_BESIDE, kernels)
        yield from (result for _, result in grid.run(strategy=strategy))
        kernels = not kernels
