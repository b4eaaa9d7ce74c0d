"""How long inner problems are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.outer_trainers.gradient_learner import OuterState
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
    LogUniformLengthSchedule,
    NeverEndingTruncationSchedule,
    ScheduledTruncationSchedule,
)
from learned_optimization.prng import key_of_seed

OUTER = OuterState(jnp.asarray(30, jnp.int32))


def test_constant() -> None:
    schedule = ConstantTruncationSchedule(7)
    state = schedule.init(key_of_seed(0), OUTER)
    done = [
        bool(schedule.next_state(state, step, key_of_seed(0), OUTER)[1])
        for step in (6, 7, 8)
    ]
    assert done == [False, True, True]


def test_the_longest_is_said_where_it_is_known() -> None:
    assert ConstantTruncationSchedule(7).longest == 7
    assert LogUniformLengthSchedule(3, 9.0).longest == 9
    for schedule in (
        LogUniformLengthSchedule(3, lambda done: done),
        NeverEndingTruncationSchedule(),
        ScheduledTruncationSchedule(lambda done: done),
    ):
        with pytest.raises(LoptError, match=type(schedule).__name__):
            _ = schedule.longest


def test_logarithms_are_uniform() -> None:
    schedule = LogUniformLengthSchedule(100, lambda done: 1000 * jnp.exp(done * 0.1))
    keys = jax.random.split(key_of_seed(0), 4000)
    drawn = jax.vmap(lambda key: schedule.init(key, OUTER).length)(keys)
    logs, end = np.log(np.asarray(drawn, np.float64)), np.log(1000) + 3
    assert logs.min() >= np.log(99)
    assert logs.max() <= end
    # Mean and deviation of the uniform distribution, within four standard errors.
    width = end - np.log(100)
    np.testing.assert_allclose(logs.mean(), np.log(100) + width / 2, atol=0.09)
    np.testing.assert_allclose(logs.std(), width / np.sqrt(12), atol=0.05)


def test_one_that_does_not_end() -> None:
    schedule = NeverEndingTruncationSchedule()
    state = schedule.init(key_of_seed(0), OUTER)
    assert not schedule.next_state(state, 1 << 30, key_of_seed(0), OUTER)[1]


def test_scheduled() -> None:
    exact = ScheduledTruncationSchedule(lambda done: 2 * done)
    assert int(exact.init(key_of_seed(0), OUTER).length) == 60
    spread = ScheduledTruncationSchedule(lambda done: 2 * done, std=40, min_length=10)
    keys = jax.random.split(key_of_seed(0), 2000)
    drawn = np.asarray(jax.vmap(lambda key: spread.init(key, OUTER).length)(keys))
    assert drawn.min() == 10
    assert 100 < drawn.max() < 260
    told = ScheduledTruncationSchedule(lambda done, max_steps: max_steps, max_steps=5)
    assert int(told.init(key_of_seed(0), OUTER).length) == 5


def test_bounds_that_cannot_be_are_refused() -> None:
    with pytest.raises(LoptError, match="min_length"):
        LogUniformLengthSchedule(100, 10)
    with pytest.raises(LoptError, match="total_length"):
        ConstantTruncationSchedule(0)
