"""Problems whose meta-gradients are known in closed form."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.outer_trainers.gradient_learner import (
    OuterState,
    WorkerWeights,
)
from learned_optimization.outer_trainers.lopt_truncated_step import (
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.truncated_step import (
    TruncatedStep,
    TruncatedUnrollOut,
)
from learned_optimization.outer_trainers.truncation_schedule import TruncationSchedule
from learned_optimization.tasks.base import Task, single_task_to_family

SLOPE, PERIOD = 0.3, 20


class SumOfTheta(TruncatedStep):
    """The state adds theta up; its loss is linear in it, so that nothing is smoothed.

    It begins again within the first update of the next run, so that a period is so many
    updates.
    """

    def outer_init(self, key: jax.Array) -> Any:
        del key
        return {"theta": jnp.zeros([])}

    def init_step_state(self, theta: Any, outer_state: Any, key: jax.Array) -> Any:
        del theta, outer_state, key
        return jnp.zeros([]), jnp.zeros([], jnp.int32)

    def unroll_step(
        self, theta: Any, unroll_state: Any, key: Any, data: Any, outer_state: Any
    ) -> Any:
        del key, data, outer_state
        is_done = unroll_state[1] >= PERIOD
        total, step = jax.tree.map(lambda x: jnp.where(is_done, 0, x), unroll_state)
        total, step = total + theta["theta"], step + 1
        out = TruncatedUnrollOut(
            loss=SLOPE * total + 1,
            is_done=is_done,
            task_param=None,
            iteration=step,
            mask=jnp.ones([], bool),
        )
        return (total, step), out

    def get_batch(self, steps: int | None = None) -> Any:
        return np.zeros(() if steps is None else (steps,))


class ReportedAsPublished(SumOfTheta):
    """The same, but a run's last update reports that it is over, as published."""

    def unroll_step(
        self, theta: Any, unroll_state: Any, key: Any, data: Any, outer_state: Any
    ) -> Any:
        state, out = super().unroll_step(theta, unroll_state, key, data, outer_state)
        return state, dataclasses.replace(out, is_done=state[1] >= PERIOD)


@dataclass(frozen=True)
class SumOfSquares(Task):
    """The sum of squares of ten parameters, which begin as normal numbers."""

    def init(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (10,))

    def loss(self, params: jax.Array, key: jax.Array, data: Any) -> jax.Array:
        del key, data
        return jnp.sum(params**2)


LEARNING_RATE = 0.1


def sgd_on_squares(
    schedule: TruncationSchedule, num_tasks: int, **settings: Any
) -> VectorizedLOptTruncatedStep:
    return VectorizedLOptTruncatedStep(
        single_task_to_family(SumOfSquares()),
        LearnableSGD(initial_lr=LEARNING_RATE),
        schedule,
        num_tasks,
        **settings,
    )


def weights(theta: Any, iteration: int = 0) -> WorkerWeights:
    return WorkerWeights(theta, None, OuterState(jnp.asarray(iteration, jnp.int32)))


def losses_at(log_lr: Any, start: float, num_steps: int) -> np.ndarray:
    """Return the losses of gradient descent on a sum of squares before each step."""
    ratio = (1 - 2 * np.exp(np.asarray(log_lr)[..., None])) ** 2
    return start * ratio ** np.arange(num_steps)


def slopes_at(log_lr: float, start: float, num_steps: int) -> np.ndarray:
    """Return the derivatives of `losses_at` by the logarithm of the learning rate."""
    rate, t = np.exp(log_lr), np.arange(num_steps)
    return -4 * rate * t * (1 - 2 * rate) ** (2 * t - 1.0) * start


def smoothed_slopes_at(
    log_lr: float, start: float, num_steps: int, std: float
) -> np.ndarray:
    """Return derivatives of the losses' means over normal theta, by Gauss-Hermite."""
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(40)
    losses = losses_at(log_lr + std * nodes, start, num_steps)
    return (node_weights * nodes) @ losses / (std * node_weights.sum())
