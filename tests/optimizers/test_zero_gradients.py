"""Which optimizers make NaN of gradients that are exactly zero."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
import pytest

from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.baselines.results.status import how_it_diverged
from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.optimizers.optax_optimizer import OptaxOptimizer
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.optimizers.zero_gradients import (
    NOTE,
    makes_nan_of_zero_gradients,
)
from tests.tiny import TinyTask


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


@dataclass(frozen=True)
class FlatTask(TinyTask):
    """Its loss is 0 as long as the parameters are numbers."""

    def loss(self, params, key, data):
        return 0.0 * jnp.sum(params["w"])


@pytest.mark.parametrize(("rate", "note"), [(0.0, NOTE), (1e-8, "")])
def test_it_is_noted_beside_diverged(rate, note):
    inner_train_task(FlatTask(), normalized(rate), 4, task_name="Flat")
    [entry] = trial_entries(get_root_baseline_dir())
    assert entry.status == ("diverged" if note else "done")
    assert entry.divergence_note == note
    if note:
        assert how_it_diverged(entry) == f"from step 1; {NOTE}"


def test_what_diverges_by_large_steps_has_no_note():
    inner_train_task(TinyTask(), SGD(1e6), 20, task_name="Tiny")
    [entry] = trial_entries(get_root_baseline_dir())
    assert (entry.status, entry.divergence_note) == ("diverged", "")
    assert how_it_diverged(entry) == f"from step {entry.diverged_from}"
