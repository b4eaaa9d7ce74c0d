"""Meta-training as one program does what it does step by step."""

from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.outer_trainers.full_es import FullES
from learned_optimization.outer_trainers.full_grad import FullGrad
from learned_optimization.outer_trainers.gradient_learner import (
    GradientEstimator,
    OuterState,
    WorkerWeights,
)
from learned_optimization.outer_trainers.lopt_truncated_step import (
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.program import MetaProgram, MetaRunner
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.outer_trainers.truncation_schedule import (
    ConstantTruncationSchedule,
    LogUniformLengthSchedule,
    NeverEndingTruncationSchedule,
    TruncationSchedule,
)
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import single_task_to_family
from learned_optimization.tasks.quadratics import QuadraticTask
from tests.tiny import TinyTask

LOPT = MLPLOpt(hidden_size=4, hidden_layers=1, exp_mult=0.1, step_mult=0.05)

LENGTHS = LogUniformLengthSchedule(3, 9)


def pes_on(
    task: Any,
    num_tasks: int = 2,
    schedule: TruncationSchedule = LENGTHS,
) -> TruncatedPES:
    step = VectorizedLOptTruncatedStep(
        single_task_to_family(task), LOPT, schedule, num_tasks
    )
    return TruncatedPES(step, 4, std=0.05)


def program_of(num_estimators: int = 2, **settings: Any) -> MetaProgram:
    tasks = [TinyTask(), QuadraticTask(dim=3), TinyTask(noise=0.1)][:num_estimators]
    return MetaProgram(LOPT, [pes_on(t) for t in tasks], Adam(0.01), 9, **settings)


def leaves(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [None, 2])
def test_where_calls_are_cut_changes_no_bit(at_once: int | None) -> None:
    program = program_of(3, at_once=at_once)
    whole = MetaRunner(program, jax.devices(), room=8)
    losses = whole.advance(8)
    assert np.isfinite(losses).all()

    parts = MetaRunner(program, jax.devices(), room=8)
    first = parts.advance(3)
    saved = jax.tree.map(np.asarray, parts.state)
    resumed = MetaRunner(program, jax.devices(), room=8)
    resumed.restore(saved)
    rest = resumed.advance(5)

    np.testing.assert_array_equal(losses, np.concatenate([first, rest]))
    for a, b in zip(leaves(whole.state), leaves(resumed.state), strict=True):
        np.testing.assert_array_equal(a, b)


def full_es_on(task: Any) -> FullES:
    problems = pes_on(task, schedule=NeverEndingTruncationSchedule()).truncated_step
    return FullES(problems, LogUniformLengthSchedule(4, 13), 0.05, 4)


def full_grad_on(task: Any) -> FullGrad:
    problems = pes_on(task, schedule=ConstantTruncationSchedule(5)).truncated_step
    return FullGrad(problems, 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator_on", "dims"),
    [(pes_on, (3, 2)), (full_es_on, (3,)), (full_grad_on, (3,))],
)
def test_a_meta_step_is_the_mean_of_its_estimators(
    estimator_on: Any, dims: tuple[int, ...]
) -> None:
    estimators = [estimator_on(QuadraticTask(dim=dim)) for dim in dims]
    program = MetaProgram(LOPT, estimators, SGD(0.1), 5)
    runner = MetaRunner(program, jax.devices()[:1])
    begun = jax.tree.map(np.asarray, runner.state)
    (loss,) = runner.advance(1)
    # Stepped by hand: the same keys, each estimator by itself.
    theta = program.theta(begun)
    weights = WorkerWeights(theta, None, OuterState(begun.iteration))
    key = jax.random.fold_in(key_of_seed(0), 1)
    key = jax.random.fold_in(jax.random.fold_in(key, 0), 0)
    outs = [
        estimator.compute_gradient_estimate(
            weights, jax.random.fold_in(key, i), begun.problems[i]
        )[0]
        for i, estimator in enumerate(program.estimators)
    ]
    np.testing.assert_allclose(
        loss, np.mean([out.mean_loss for out in outs]), rtol=1e-5
    )
    expected = jax.tree.map(
        lambda t, *grads: t - 0.1 * np.clip(np.mean(grads, 0), -3, 3),
        theta,
        *[out.grad for out in outs],
    )
    for a, b in zip(leaves(program.theta(runner.state)), leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_estimators_take_turns() -> None:
    program = program_of(3, at_once=2)
    turns = [[bool(program.is_active(i, step)) for i in range(3)] for step in range(3)]
    assert np.sum(turns, 0).tolist() == [2, 2, 2]
    assert np.sum(turns, 1).tolist() == [2, 2, 2]
    assert program.updates_per_step == 2 * 2 * 4 * 2


def test_problems_are_split_over_as_many_devices_as_divide_them() -> None:
    program = MetaProgram(
        LOPT, [pes_on(QuadraticTask(), 6), pes_on(QuadraticTask(), 9)], SGD(0.1), 5
    )
    assert [program.num_devices(n) for n in (1, 2, 3, 8)] == [1, 1, 3, 3]


@pytest.mark.slow
def test_an_average_is_corrected_for_its_start() -> None:
    program = MetaProgram(LOPT, [pes_on(QuadraticTask(dim=3))], SGD(0.0), 5)
    runner = MetaRunner(program, jax.devices()[:1], room=2)
    runner.advance(2)
    for a, b in zip(
        leaves(program.averaged(runner.state)),
        leaves(program.theta(runner.state)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_what_one_program_cannot_do_is_refused() -> None:
    step = pes_on(QuadraticTask()).truncated_step

    class Own(GradientEstimator):
        truncated_step = step

    def program_with(estimator: Any) -> MetaProgram:
        return MetaProgram(LOPT, [estimator], SGD(0.1), 5)

    with pytest.raises(LoptError, match=r"TruncatedPES, .*FullGrad, of .* got Own"):
        program_with(Own())
    lengths = ConstantTruncationSchedule(10)
    with pytest.raises(LoptError, match="last_recompute"):
        program_with(FullES(step, lengths, loss_type="last_recompute"))
    with pytest.raises(LoptError, match="greatest length of Never"):
        program_with(FullES(step, NeverEndingTruncationSchedule()))
    with pytest.raises(LoptError, match="greatest length of LogUniform"):
        program_with(FullES(step, LogUniformLengthSchedule(1, lambda done: 9)))
    with pytest.raises(LoptError, match="num_updates must be"):
        program_with(FullGrad(step, 0))
    with pytest.raises(LoptError, match="at least one"):
        MetaProgram(LOPT, [], SGD(0.1), 5)
