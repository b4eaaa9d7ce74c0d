"""The recurrent part of VeLO and Celo: one row per tensor, which read each other.

Weights have the published names and shapes: `{"linear_1": {"w", "b"}, ...}`.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.learned_optimizers.network import init_weights

Weights = dict[str, Any]
"""Weights by published names: dicts of `w`, `[inputs, outputs]`, and `b`."""


@flax.struct.dataclass
class LSTMState:
    """The state of an LSTM.

    Attributes:
      hidden: what it told last, `[rows, hidden_size]`.
      cell: what it remembers, `[rows, hidden_size]`.
    """

    hidden: jax.Array
    cell: jax.Array


def init_linear(key: jax.Array, num_inputs: int, num_outputs: int) -> Weights:
    """Return weights of a linear layer that nothing has trained; biases are zero."""
    return {
        "w": init_weights(key, num_inputs, (num_inputs, num_outputs)),
        "b": jnp.zeros(num_outputs, jnp.float32),
    }


def init_lstm(key: jax.Array, num_inputs: int, hidden_size: int) -> Weights:
    """Return weights of an LSTM, one layer from inputs and hidden state to gates."""
    return init_linear(key, num_inputs + hidden_size, 4 * hidden_size)


def init_state(hidden_size: int) -> Weights:
    """Return the first state as part of meta-parameters: zeros `[1, hidden_size]`."""
    zeros = jnp.zeros((1, hidden_size), jnp.float32)
    return {"hidden": zeros, "cell": zeros}


def start(first: Weights, num_rows: int) -> LSTMState:
    """Return the state before the first update.

    Args:
      first: the meta-parameters `hidden` and `cell`, `[1, hidden_size]`.
      num_rows: number of rows, all of which start alike.
    """

    def rows(x: Any) -> jax.Array:
        return jnp.tile(jnp.asarray(x, jnp.float32), (num_rows, 1))

    return LSTMState(rows(first["hidden"]), rows(first["cell"]))


def linear(weights: Weights, x: jax.Array) -> jax.Array:
    """Return what a linear layer makes of rows `[rows, inputs]`."""
    product = jnp.matmul(x, weights["w"], precision=lax.Precision.HIGHEST)
    return product + weights["b"]


def lstm(weights: Weights, x: jax.Array, state: LSTMState) -> LSTMState:
    """Return the next state of an LSTM (Hochreiter & Schmidhuber 1997).

    The gate that forgets has 1 added to its bias.

    Args:
      weights: the layer, whose outputs are the gates in the order input, new content,
        forget, output.
      x: inputs, `[rows, inputs]`.
      state: the state before.
    """
    gates = linear(weights, jnp.concatenate([x, state.hidden], axis=1))
    enters, content, stays, leaves = jnp.split(gates, 4, axis=1)
    cell = jax.nn.sigmoid(stays + 1) * state.cell
    cell = cell + jax.nn.sigmoid(enters) * jnp.tanh(content)
    return LSTMState(jax.nn.sigmoid(leaves) * jnp.tanh(cell), cell)


def init_mixing(key: jax.Array, num_inputs: int, hidden_size: int) -> Weights:
    """Return weights of `mix`, and of `linear`, which published files have too."""
    names = ("linear", "linear_1", "linear_2")
    keys = jax.random.split(key, len(names))
    return {
        name: init_linear(key, num_inputs, hidden_size)
        for name, key in zip(names, keys, strict=True)
    }


def mix(weights: Weights, x: jax.Array) -> jax.Array:
    """Return a linear map of each row, plus the largest value that any row has to tell.

    Args:
      weights: `linear_1` makes what is told, `linear_2` the map of the row itself.
      x: inputs, `[rows, inputs]`.
    """
    told = jax.nn.relu(linear(weights["linear_1"], x))
    loudest = jnp.max(told, axis=0, keepdims=True, initial=0)
    return linear(weights["linear_2"], x) + loudest


def faded(state: LSTMState, share: Any) -> LSTMState:
    """Return a state of which some share is lost.

    Args:
      state: the state.
      share: how much is lost, a number that may be traced.
    """
    kept = 1 - jnp.asarray(share, jnp.float32)
    return LSTMState(kept * state.hidden, kept * state.cell)
