"""The machine's best: float32 matrix products, with all of its cores."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp

_SIZE, _PRODUCTS, _REPEATS = 2048, 4, 6


def matmul_peak() -> float:
    """Return the most float32 operations per second of products of large matrices.

    A multiplication and an addition count two. The best of several tries, on
    jax's default device.
    """
    a = jnp.full((_SIZE, _SIZE), 1 / _SIZE)
    product = jax.jit(lambda x: x @ a @ a @ a @ a)
    product(a).block_until_ready()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        product(a).block_until_ready()
        times.append(time.perf_counter() - start)
    return _PRODUCTS * 2 * _SIZE**3 / min(times)
