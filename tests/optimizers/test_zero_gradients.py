"""Which optimizers make NaN of gradients that are exactly zero."""

import jax
import optax
import pytest

from learned_optimization.optimizers.optax_optimizer import OptaxOptimizer
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.optimizers.zero_gradients import makes_nan_of_zero_gradients


def normalized(epsilon):
    def update(updates, state, params=None):
        norm = optax.tree.norm(updates) + epsilon
        return jax.tree.map(lambda u: -0.1 * u / norm, updates), state

    return OptaxOptimizer(
        optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    )


@pytest.mark.parametrize(
    ("opt", "is_so"),
    [
        (normalized(0.0), True),
        (normalized(1e-8), False),
        (SGD(0.1), False),
        (Adam(0.1), False),
        (Adam(0.1, epsilon=0.0), False),
    ],
)
def test_zero_gradients(opt, is_so):
    assert makes_nan_of_zero_gradients(opt, 10) == is_so


def test_one_that_cannot_be_tried():
    def refuse(params):
        raise KeyError("needs its own task's parameters")

    opt = OptaxOptimizer(optax.GradientTransformation(refuse, optax.sgd(0.1).update))
    assert not makes_nan_of_zero_gradients(opt, 10)
