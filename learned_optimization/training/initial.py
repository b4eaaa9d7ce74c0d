"""Initial parameters and the keys they are drawn with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.tasks.base import Task
from learned_optimization.training.program import INIT_KEY


def _initializer(task: Task) -> Callable[[np.ndarray], Any]:
    """Draw parameters and model state from the words of a key."""

    def draw(words: jax.Array) -> Any:
        key = jax.random.wrap_key_data(words)
        return task.init_with_state(jax.random.fold_in(key, INIT_KEY))

    return jax.jit(draw)


_cached_initializer = lru_cache(maxsize=8)(_initializer)


def initializer_of(task: Task) -> Callable[[np.ndarray], Any]:
    """Return a function from the words of a key to initial parameters and model state.

    It is compiled once for all sets on a task.
    """
    # Only a frozen dataclass is known to draw the same as one equal to it.
    params = getattr(task, "__dataclass_params__", None)
    frozen = params is not None and params.frozen
    return _cached_initializer(task) if frozen else _initializer(task)


def key_words(key: Any) -> np.ndarray:
    """Return the words of a PRNG key, new or old style."""
    if not isinstance(key, (jax.Array, np.ndarray)):
        raise LoptError(
            f"a key must be a jax PRNG key, e.g. jax.random.PRNGKey(0), got {key!r}."
        )
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        default = jax.random.key_impl(jax.random.key(0))
        if jax.random.key_impl(key) != default:
            raise LoptError(
                f"keys must be of jax's default kind, {default}, got "
                f"{jax.random.key_impl(key)}."
            )
        key = jax.random.key_data(key)
    return np.asarray(key)
