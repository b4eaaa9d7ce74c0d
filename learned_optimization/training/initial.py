"""Initial parameters and the keys they are drawn with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from learned_optimization.prng import key_of_words
from learned_optimization.tasks.base import Task
from learned_optimization.training.program import INIT_KEY


def _initializer(task: Task) -> Callable[[np.ndarray], Any]:
    """Draw parameters and model state from the words of a key."""

    def draw(words: jax.Array) -> Any:
        key = key_of_words(words)
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
