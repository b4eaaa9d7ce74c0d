"""Keys of random numbers, of one named kind whatever jax's default is.

`jax.random.PRNGKey` makes keys of the kind that `jax_default_prng_impl` names, from the
seed plus `jax_random_seed_offset`: a process that sets either would draw other numbers
for the same seed. Every key of this package is made here.
"""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.numerics import PINNED

IMPL: str = PINNED["jax_default_prng_impl"]
"""The kind of every key."""

NUM_SEEDS = 1 << 32
"""Seeds there are: jax keeps the lowest 32 bits of one."""

_NUM_WORDS = 2


def seed_words(seed: int) -> np.ndarray:
    """Return the words of a seed's key, uint32 `[2]`: those of `jax.random.key(seed)`.

    Args:
      seed: a whole number, of which the lowest 32 bits count, as in jax.
    """
    return np.asarray([0, operator.index(seed) % NUM_SEEDS], np.uint32)


def key_of_words(words: Any) -> jax.Array:
    """Return the key of some words, uint32 `[..., 2]`, which may be traced."""
    return jax.random.wrap_key_data(words, impl=IMPL)


def key_of_seed(seed: int) -> jax.Array:
    """Return the key of a seed, as `jax.random.key(seed)` makes it by default."""
    return key_of_words(seed_words(seed))


def key_words(key: Any) -> np.ndarray:
    """Return the words of a key, new or old style, uint32 `[2]`.

    Raises:
      LoptError: if it is no key, or of another kind than `IMPL`.
    """
    if not isinstance(key, (jax.Array, np.ndarray)):
        raise LoptError(
            f"a key must be a jax PRNG key, e.g. jax.random.key(0), got {key!r}."
        )
    kind = "of unknown kind"
    if is_key(key):
        kind = str(jax.random.key_impl(key))
        key = jax.random.key_data(key)
    words = np.asarray(key)
    if words.shape != (_NUM_WORDS,) or words.dtype != np.uint32:
        raise LoptError(
            f"a key must be one of the kind {IMPL}, whatever jax's default is: "
            f"jax.random.key(0, impl={IMPL!r}). Got one {kind}, {words.dtype} "
            f"{list(words.shape)}."
        )
    return words


def as_numbers(leaf: Any) -> np.ndarray:
    """Return an array as numpy has it; of typed keys, their words `[..., words]`."""
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def from_numbers(numbers: np.ndarray, like: Any) -> Any:
    """Return what `as_numbers` was given: keys where `like` is keys, of their kind."""
    if not is_key(like):
        return numbers
    words = jnp.asarray(numbers)
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(like))


def is_key(leaf: Any) -> bool:
    """Return whether something is an array of typed keys."""
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
