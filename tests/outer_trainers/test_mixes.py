"""What meta-training trains on, by name."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.errors import UnknownNameError
from learned_optimization.outer_trainers.mixes import MIXES, families_of
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task, get_task_from_name
from tests.cli.running import TASK
from tests.tasks.conftest import quick_compilation  # noqa: F401


def test_fixed_tasks_are_families_of_their_own() -> None:
    [family] = families_of([TASK])
    assert family.name == TASK
    assert family.sample_task(key_of_seed(0)).name == TASK


def test_a_mix_comes_behind_the_tasks_named() -> None:
    alone = families_of([], "small_perceptrons")
    both = families_of([TASK], "small_perceptrons")
    assert [f.name for f in both] == [TASK, *(f.name for f in alone)]


def test_a_mix_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match="did you mean small_models"):
        families_of([], "small_model")


def test_small_perceptrons_differ() -> None:
    families: Any = families_of([], "small_perceptrons")
    assert [family.hidden for family in families] == [(32,), (16,) * 2, (16,) * 3]
    assert [family.datasets.batch_size for family in families] == [128, 32, 64]
    assert len({family.name for family in families}) == 3
    assert all(set(family.activations) == {"relu", "tanh"} for family in families)
    assert {loss for family in families for loss in family.losses} == {
        *("cross_entropy", "mse")
    }


def shapes(task: Task) -> Any:
    """Return the shapes of the parameters and of a batch: what a task is, mostly."""
    assert task.datasets is not None
    params, _ = jax.eval_shape(task.init_with_state, key_of_seed(0))
    return jax.tree.map(lambda x: x.shape, (params, task.datasets.abstract_batch))


@pytest.mark.parametrize("suite", ["laptop", "laptop_heldout"])
def test_small_models_are_none_of_those_that_optimizers_are_judged_by(
    suite: str,
) -> None:
    judged = [shapes(get_task_from_name(name)) for name in get_suite(suite).tasks]
    for family in families_of([], "small_models"):
        assert shapes(family.sample_task(key_of_seed(0))) not in judged


@pytest.mark.slow
@pytest.mark.parametrize("mix", MIXES)
def test_every_family_of_a_mix_has_tasks_that_begin_near_chance(mix: str) -> None:
    families = families_of([], mix)
    assert len({family.name for family in families}) == len(families)
    for family in families:
        task = family.sample_task(key_of_seed(0))
        assert task.datasets is not None
        key = key_of_seed(1)
        params, state = task.init_with_state(key)
        batch = next(task.datasets.train)
        loss, _ = jax.jit(task.loss_with_state)(params, state, key, batch)
        normalized = float(task.normalizer(loss))
        assert np.isfinite(float(loss)), family.name
        # Images of ten classes, pixels from 0 to 1, bytes of 256 kinds.
        assert 0 < normalized < 2 * np.log(256), family.name
