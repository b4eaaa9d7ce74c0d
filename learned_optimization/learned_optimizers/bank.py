"""A bank of networks, and one network mixed from it for each tensor.

Arrays have the published names: the first layer is in blocks `w0__0`, `w0__1` and so
on, one per group of features; further layers are `w1`, `w2`; biases are `b0`, `b1`. All
have an axis in front, over the networks of the bank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.learned_optimizers import network
from learned_optimization.learned_optimizers.network import Layers

Bank = dict[str, jax.Array]
"""Weights of several networks by published names."""


def init(
    key: jax.Array,
    num_networks: int,
    widths: Sequence[int],
    hidden: Sequence[int],
    num_outputs: int,
) -> Bank:
    """Return networks that nothing has trained.

    Args:
      key: PRNG key.
      num_networks: how many.
      widths: number of features in each group.
      hidden: number of outputs of each layer but the last.
      num_outputs: number of outputs of the last layer.
    """
    ends = np.cumsum(widths)[:-1]

    def one(key: jax.Array) -> Bank:
        layers = network.init_layers(key, sum(widths), hidden, num_outputs)
        first, *others = layers.weights
        return {
            **{f"w0__{i}": block for i, block in enumerate(jnp.split(first, ends))},
            **{f"w{i}": weights for i, weights in enumerate(others, 1)},
            **{f"b{i}": bias for i, bias in enumerate(layers.biases)},
        }

    return jax.vmap(one)(jax.random.split(key, num_networks))


def mixed(bank: Bank, controls: jax.Array) -> list[Layers]:
    """Return one network per row: sums of the bank's, weighted by the controls.

    Args:
      bank: the networks.
      controls: weights `[rows, networks]`.
    """
    num_blocks = sum(name.startswith("w0__") for name in bank)
    num_layers = sum(name.startswith("b") for name in bank)
    # By number, as `w0__10` is before `w0__2` in the order of names.
    first = jnp.concatenate([bank[f"w0__{i}"] for i in range(num_blocks)], axis=1)
    arrays = [first, *(bank[f"w{i}"] for i in range(1, num_layers))]
    arrays += [bank[f"b{i}"] for i in range(num_layers)]
    # One product for all rows and arrays.
    flat = jnp.concatenate([x.reshape(x.shape[0], -1) for x in arrays], axis=1)
    rows = jnp.matmul(controls, flat, precision=jax.lax.Precision.HIGHEST)
    ends = np.cumsum([math.prod(x.shape[1:]) for x in arrays])[:-1]

    def layers(row: jax.Array) -> Layers:
        parts = zip(jnp.split(row, ends), arrays, strict=True)
        found = [part.reshape(x.shape[1:]) for part, x in parts]
        return Layers(found[:num_layers], found[num_layers:])

    # Rows are cut here, so that tensors of one shape have one program.
    return [layers(row) for row in jax.lax.optimization_barrier(list(rows))]
