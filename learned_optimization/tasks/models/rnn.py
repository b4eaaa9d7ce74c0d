"""Recurrent language models: four cells under one unrolled model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from learned_optimization.tasks.models.init import (
    corrected_fan_in,
    linear,
    truncated_fan_in,
    truncated_unit,
)
from learned_optimization.tasks.models.products import product

CellName = Literal["VanillaRNN", "IRNN", "LSTM", "GRU"]
State = tuple[jax.Array, ...]
# What a cell does with its state and one position of its projected inputs.
Step = Callable[[State, jax.Array], State]


class RNNLanguageModel(nn.Module):
    """An embedding, a recurrent cell, a linear layer to the vocabulary.

    The state before the first token is learned; it starts at zero.

    Attributes:
      cell: one of `CELLS`.
      hidden: width of each leaf of the cell's state.
      embedding: width of a token's embedding.
      vocab_size: number of tokens.
    """

    cell: CellName
    hidden: int
    embedding: int
    vocab_size: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map tokens int `[batch, length]` to logits `[batch, length, vocab_size]`.

        The logits at a position are those of the token after it.
        """
        table = self.param(
            "embedding", truncated_unit, (self.vocab_size, self.embedding)
        )
        make_cell, num_leaves = CELLS[self.cell]
        projected, step = make_cell(self, table[tokens])
        state = tuple(
            jnp.broadcast_to(
                self.param(f"state_{i}", nn.initializers.zeros, (self.hidden,)),
                (tokens.shape[0], self.hidden),
            )
            for i in range(num_leaves)
        )

        def position(state: State, projected: jax.Array) -> tuple[State, jax.Array]:
            state = step(state, projected)
            return state, state[0]

        _, outputs = lax.scan(position, state, projected.swapaxes(0, 1))
        return linear(self.vocab_size)(outputs.swapaxes(0, 1))

    def affine(
        self, name: str, inputs: int, outputs: int, kernel_init: Any = truncated_fan_in
    ) -> tuple[jax.Array, jax.Array]:
        """Make a kernel `[inputs, outputs]` and a bias `[outputs]` of zeros."""
        kernel = self.param(f"{name}_kernel", kernel_init, (inputs, outputs))
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (outputs,))
        return kernel, bias


# Each cell maps the embedded inputs `[batch, length, width]` to what its steps
# read of them, for all positions in one matrix product, and gives the step. The
# first leaf of its state is its output.


def _vanilla_rnn(
    model: RNNLanguageModel, x: jax.Array, hidden_init: Any = truncated_fan_in
) -> tuple[jax.Array, Step]:
    """Make the cell `h' = relu(W x + b + U h + c)`."""
    w, b = model.affine("input", x.shape[-1], model.hidden)
    u, c = model.affine("hidden", model.hidden, model.hidden, hidden_init)
    return product(x, w) + b, lambda state, wx: (nn.relu(wx + state[0] @ u + c),)


def _irnn(model: RNNLanguageModel, x: jax.Array) -> tuple[jax.Array, Step]:
    """Make a `_vanilla_rnn` whose `U` starts as the identity (Le et al. 2015)."""
    return _vanilla_rnn(model, x, lambda key, shape: jnp.eye(*shape))


def _lstm(model: RNNLanguageModel, x: jax.Array) -> tuple[jax.Array, Step]:
    """Make the cell of Hochreiter and Schmidhuber 1997, its forget gate plus 1.

    One matrix maps input and state to the gates input, candidate, forget, output.
    """
    width = x.shape[-1]
    kernel, bias = model.affine("gates", width + model.hidden, 4 * model.hidden)
    w, u = kernel[:width], kernel[width:]

    def step(state: State, wx: jax.Array) -> State:
        h, c = state
        i, g, f, o = jnp.split(wx + h @ u, 4, axis=-1)
        c = nn.sigmoid(f + 1) * c + nn.sigmoid(i) * jnp.tanh(g)
        return nn.sigmoid(o) * jnp.tanh(c), c

    return product(x, w) + bias, step


def _gru(model: RNNLanguageModel, x: jax.Array) -> tuple[jax.Array, Step]:
    """Make the cell of Cho et al. 2014 (arXiv:1406.1078): update, reset, candidate.

    The reset gate multiplies the state before the matrix of the candidate does.
    """
    n = model.hidden
    w, bias = model.affine("input", x.shape[-1], 3 * n, corrected_fan_in)
    u = model.param("hidden_kernel", corrected_fan_in, (n, 3 * n))

    def step(state: State, wx: jax.Array) -> State:
        (h,) = state
        gates = nn.sigmoid(wx[..., : 2 * n] + h @ u[:, : 2 * n])
        update, reset = jnp.split(gates, 2, axis=-1)
        candidate = jnp.tanh(wx[..., 2 * n :] + (reset * h) @ u[:, 2 * n :])
        return ((1 - update) * h + update * candidate,)

    return product(x, w) + bias, step


CELLS: dict[
    str, tuple[Callable[[RNNLanguageModel, jax.Array], tuple[jax.Array, Step]], int]
] = {
    "VanillaRNN": (_vanilla_rnn, 1),
    "IRNN": (_irnn, 1),
    "LSTM": (_lstm, 2),
    "GRU": (_gru, 1),
}
