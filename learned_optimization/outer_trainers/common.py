"""What estimators of meta-gradients share: perturbations, and antithetic pairs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.outer_trainers.estimates import Pairs
from learned_optimization.outer_trainers.truncated_step import (
    TruncatedUnrollOut,
    VectorizedTruncatedStep,
)
from learned_optimization.tasks.base import Batch, PRNGKey

__all__ = [
    "sample_perturbations",
    "stack_batches",
    "truncated_unroll",
    "unroll_pairs",
    "vector_sample_perturbations",
]


def sample_perturbations(variables: MetaParams, rng: PRNGKey, std: float) -> MetaParams:
    """Return normal numbers of the shapes of a tree, each leaf with a key of its own.

    Args:
      variables: a tree of arrays.
      rng: PRNG key.
      std: standard deviation.
    """
    leaves, structure = jax.tree.flatten(variables)
    keys = jax.random.split(rng, max(len(leaves), 1))
    drawn = [
        std * jax.random.normal(key, jnp.shape(leaf), jnp.float32)
        for key, leaf in zip(keys, leaves, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)


def vector_sample_perturbations(
    theta: MetaParams, key: PRNGKey, std: float, num_samples: int
) -> tuple[MetaParams, MetaParams, MetaParams]:
    """Return perturbations, and theta plus and minus each: `[num_samples, ...]`.

    Args:
      theta: meta-parameters.
      key: PRNG key.
      std: standard deviation.
      num_samples: how many.
    """
    drawn = jax.vmap(lambda key: sample_perturbations(theta, key, std))(
        jax.random.split(key, num_samples)
    )
    positive = jax.tree.map(lambda t, e: t + e, theta, drawn)
    negative = jax.tree.map(lambda t, e: t - e, theta, drawn)
    return drawn, positive, negative


def stack_batches(datas_list: Any) -> Batch:
    """Return the data of several updates, `[steps, ...]`, of a list or stacked so."""
    if isinstance(datas_list, (list, tuple)) and len(datas_list):
        return jax.tree.map(lambda *x: jnp.stack(x), *datas_list)
    return datas_list


def truncated_unroll(
    truncated_step: VectorizedTruncatedStep,
    unroll_length: int,
    theta: MetaParams,
    unroll_state: Any,
    key: PRNGKey,
    data: Batch,
    outer_state: Any,
    theta_is_vector: bool = False,
) -> tuple[Any, TruncatedUnrollOut]:
    """Return the states after a truncation, and what its updates tell.

    Args:
      truncated_step: the inner problems.
      unroll_length: updates of each.
      theta: meta-parameters.
      unroll_state: the states before.
      key: PRNG key.
      data: of the updates, `[unroll_length, num_tasks, ...]`.
      outer_state: has `outer_iteration`, the meta-steps done.
      theta_is_vector: whether each problem has meta-parameters of its own.
    """
    return truncated_step.unroll(
        theta, unroll_state, key, data, outer_state, unroll_length, theta_is_vector
    )


def unroll_pairs(
    truncated_step: VectorizedTruncatedStep,
    unroll_length: int,
    thetas: tuple[MetaParams, MetaParams],
    states: tuple[Any, Any],
    key: PRNGKey,
    data: Batch,
    outer_state: Any,
) -> tuple[tuple[Any, Any], Pairs, TruncatedUnrollOut]:
    """Return both sides' states after a truncation, their losses, and the first's tale.

    Both sides are one program, and read the same data with the same keys.

    Args:
      truncated_step: the inner problems.
      unroll_length: updates of each.
      thetas: meta-parameters `[num_tasks, ...]` of both sides.
      states: both sides' states.
      key: PRNG key.
      data: of the updates, `[unroll_length, num_tasks, ...]`.
      outer_state: has `outer_iteration`, the meta-steps done.
    """

    def one(theta: MetaParams, state: Any) -> tuple[Any, TruncatedUnrollOut]:
        return truncated_unroll(
            truncated_step, unroll_length, theta, state, key, data, outer_state, True
        )

    theta, state = (
        jax.tree.map(lambda *sides: jnp.stack(sides), *pair)
        for pair in (thetas, states)
    )
    state, out = jax.vmap(one)(theta, state)
    positive, negative = (
        jax.tree.map(lambda x, i=i: x[i], (state, out)) for i in range(2)
    )
    pairs = Pairs(
        positive[1].loss, negative[1].loss, positive[1].mask, positive[1].is_done
    )
    return (positive[0], negative[0]), pairs, positive[1]
