"""Define a task of your own, with data of your own, and train it."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.optimizers.optax_opts import SGDM, Adam
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.datasets.base import Datasets

WEIGHTS, NOISE = np.array([1.0, -2.0, 0.5]), 0.1


def batches(split, seed):
    """Give 32 noisy examples of a line at a time, others for each split and seed."""
    rng = np.random.default_rng([split, seed])
    while True:
        x = rng.standard_normal((32, 3))
        yield {"x": x, "y": x @ WEIGHTS + NOISE * rng.standard_normal(32)}


train, inner_valid, outer_valid, test = (partial(batches, i) for i in range(4))
DATA = Datasets(train, inner_valid, outer_valid, test)


@dataclass(frozen=True)
class LinearRegression(Task):
    """Find the weights."""

    datasets: Datasets | None = DATA

    def init(self, key):
        return jax.random.normal(key, (3,))

    def loss(self, params, key, data):
        return jnp.mean((data["x"] @ params - data["y"]) ** 2)


for opt in (SGDM(0.01), Adam(0.01)):
    key = jax.random.PRNGKey(0)
    curves = single_task_training_curves(LinearRegression(), opt, 500, key)
    first, last = curves["eval/test/loss"][[0, -1]]
    print(f"{opt.name}: test loss {first:.3f} -> {last:.4f}; noise {NOISE**2:.4f}")
