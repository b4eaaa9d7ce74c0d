"""What meta-training is made of, by the settings of a recipe."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.outer_trainers.full_es import FullES
from learned_optimization.outer_trainers.full_grad import FullGrad
from learned_optimization.outer_trainers.meta_losses import (
    META_LOSSES,
    log_loss,
    normalized_loss,
)
from learned_optimization.outer_trainers.recipe import ESTIMATORS, Recipe
from learned_optimization.outer_trainers.truncated_es import TruncatedES
from learned_optimization.outer_trainers.truncated_grad import TruncatedGrad
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
    LogUniformLengthSchedule,
    NeverEndingTruncationSchedule,
)
from learned_optimization.tasks.base import get_task_from_name, single_task_to_family
from learned_optimization.tasks.quadratics import QuadraticTask
from learned_optimization.tasks.task_augmentation import ReparamWeightsFamily
from tests.cli.running import TASK

QUADRATIC = single_task_to_family(QuadraticTask())


def program_of(families: Any = (QUADRATIC,), **settings: Any) -> Any:
    return Recipe(**settings).program(LearnableSGD(0.1), families)


def estimator_of(**settings: Any) -> Any:
    [estimator] = program_of(**settings).estimators
    return estimator


@pytest.mark.parametrize(
    ("name", "kind", "updates"),
    [
        ("pes", TruncatedPES, 7),
        ("es", TruncatedES, 7),
        ("grad", TruncatedGrad, 7),
        ("full_es", FullES, 30),
        ("full_grad", FullGrad, 30),
    ],
)
def test_estimators_have_their_names(name: str, kind: type, updates: int) -> None:
    made = estimator_of(
        estimator=name, min_length=30, max_length=30, truncation=7, num_tasks=6, std=0.2
    )
    assert type(made) is kind
    assert made.num_updates == updates
    assert made.truncated_step.num_tasks == 6
    assert getattr(made, "std", 0.2) == 0.2


def test_every_estimator_is_tested() -> None:
    assert set(ESTIMATORS) == {"pes", "es", "grad", "full_es", "full_grad"}


def test_lengths_are_those_that_are_given() -> None:
    drawn = estimator_of(min_length=5, max_length=9).truncated_step
    assert drawn.trunc_sched == LogUniformLengthSchedule(5, 9)
    # So that problems do not all begin again at once.
    assert drawn.truncated_step.random_initial_iteration_offset == 9
    same = estimator_of(min_length=9, max_length=9).truncated_step
    assert same.trunc_sched == ConstantTruncationSchedule(9)


@pytest.mark.parametrize(
    ("shortest", "longest", "block"),
    [(200, 2000, 10), (25, 25, 5), (12, 30, 6), (7, 7, 7), (11, 13, 1)],
)
def test_whole_runs_are_cut_into_blocks_that_keep_their_lengths(
    shortest: int, longest: int, block: int
) -> None:
    made = estimator_of(estimator="full_es", min_length=shortest, max_length=longest)
    assert (made.steps_per_jit, made.num_updates) == (block, longest)
    assert made.truncated_step.trunc_sched == NeverEndingTruncationSchedule()
    assert made.truncated_step.truncated_step.random_initial_iteration_offset == 0


def test_the_outer_rate_falls_along_half_a_cosine_to_a_tenth() -> None:
    schedule = program_of(num_steps=40, learning_rate=0.5).theta_opt.learning_rate
    done = np.asarray([0, 10, 20, 40])
    cosine = (1 + np.cos(np.pi * done / 40)) / 2
    expected = 0.5 * (0.1 + 0.9 * cosine)
    got = [float(schedule(int(step))) for step in done]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_lateness_is_that_of_the_inner_problems() -> None:
    assert estimator_of().truncated_step.truncated_step.lateness == 0
    late = estimator_of(lateness=1.5).truncated_step
    assert late.truncated_step.lateness == 1.5


def test_tasks_are_measured_in_other_units_where_that_is_asked() -> None:
    def family_of(factor: float) -> Any:
        return estimator_of(reparametrize=factor).truncated_step.task_family

    assert family_of(1.0) is QUADRATIC
    changed = family_of(8.0)
    assert isinstance(changed, ReparamWeightsFamily)
    assert changed.param_scale_range == (1 / 8, 8.0)


def test_meta_losses() -> None:
    task = get_task_from_name(TASK)
    worst = 1.5 * np.log(10)
    for loss, counted in ((0.3, 0.3), (50.0, worst), (np.nan, worst)):
        given = jnp.asarray(loss)
        np.testing.assert_allclose(normalized_loss(task, given), counted, rtol=1e-6)
        expected = np.log(counted + 0.02)
        np.testing.assert_allclose(log_loss(task, given), expected, rtol=1e-5)
    for name, function in META_LOSSES.items():
        step = estimator_of(meta_loss=name).truncated_step.truncated_step
        assert step.meta_loss is function
