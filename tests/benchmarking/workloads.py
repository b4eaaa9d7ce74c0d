"""Small tasks, and optimizers whose cost is known."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.optimizers.base import Optimizer, StatelessState
from learned_optimization.tasks.base import Task


@dataclass(frozen=True)
class Layer(Task):
    """A matrix and a vector; needs no data, and its loss depends on no step."""

    rows: int = 200
    columns: int = 150

    def init(self, key: jax.Array) -> Any:
        matrix = jax.random.normal(key, (self.rows, self.columns)) / self.rows
        return {"kernel": matrix, "bias": jnp.zeros(self.columns)}

    def loss(self, params: Any, key: jax.Array, data: Any) -> jax.Array:
        product = params["kernel"].T @ params["kernel"]
        return jnp.sum(product**2) + jnp.sum((params["bias"] - 1) ** 2)

    @property
    def num_params(self) -> int:
        return self.rows * self.columns + self.columns


class Chain(Optimizer):
    """Multiplies matrices of `size`, one after another, before a gradient step."""

    def __init__(self, products: int, size: int = 64):
        self.products, self.size = products, size

    @property
    def flops(self) -> int:
        return self.products * 2 * self.size**3

    def init(self, params, model_state=None, num_steps=None, key=None):
        return StatelessState(params, model_state)

    def update(
        self,
        opt_state,
        grad,
        loss=None,
        model_state=None,
        is_valid=False,
        key=None,
        loss_fn=None,
        **extra,
    ):
        # Nothing that could be computed beforehand, or without products.
        numbers = jnp.arange(self.size**2, dtype=jnp.float32)
        start = jnp.sin(numbers + grad["bias"][0]).reshape(self.size, self.size)
        product = start
        for _ in range(self.products):
            product = product @ start / self.size
        new = jax.tree.map(
            lambda p, g: p - 1e-3 * g - 1e-9 * jnp.tanh(product.sum()),
            opt_state.params,
            grad,
        )
        return StatelessState(new, model_state)


class Broken(Chain):
    """Cannot make an update."""

    def update(self, opt_state, grad, *args, **kwargs):
        raise RuntimeError("no second-order information\nto be had")


class Exploding(Chain):
    """Has no finite parameters."""

    def update(self, opt_state, grad, *args, **kwargs):
        return StatelessState(
            jax.tree.map(lambda p: p * jnp.inf, opt_state.params), None
        )
