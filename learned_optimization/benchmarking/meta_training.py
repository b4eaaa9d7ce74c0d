"""How fast learned optimizers are meta-trained.

MLPLOpt on one task, by PES: the compiled program, and a Python loop that dispatches one
compiled truncation for each meta-step, with data and outer step outside of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

from learned_optimization.learned_optimizers.mlp_lopt import DECAYS, MLPLOpt
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.outer_trainers.gradient_learner import (
    SingleMachineGradientLearner,
)
from learned_optimization.outer_trainers.lopt_truncated_step import (
    VectorizedLOptTruncatedStep,
)
from learned_optimization.outer_trainers.program import MetaProgram, MetaRunner
from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
from learned_optimization.outer_trainers.truncation_schedule import (
    LogUniformLengthSchedule,
)
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import get_task_from_name, single_task_to_family
from learned_optimization.tasks.cost import cost

TASK = "ImageMLP_FashionMnist8_Relu32"
TRUNCATION, PAIRS, HIDDEN = 50, 16, 16
_AT_ONCE = 10


def program_rate(
    seconds: float, hidden: int = HIDDEN, pairs: int = PAIRS, tasks: int = 1
) -> tuple[float, float]:
    """Measure the compiled program.

    Args:
      seconds: how long it is measured, after it is compiled.
      hidden: hidden units of the learned optimizer.
      pairs: of perturbations, opposite to each other.
      tasks: how many estimators, each with the task for itself.

    Returns:
      Meta-steps per second, and seconds of compilation.
    """
    lopt = MLPLOpt(hidden_size=hidden)
    estimators = [_estimator(lopt, pairs, None) for _ in range(tasks)]
    program = MetaProgram(lopt, estimators, Adam(1e-3), num_steps=10_000)
    runner = MetaRunner(program, jax.local_devices(), room=_AT_ONCE)
    return _rate(runner.advance, seconds)


def loop_rate(
    seconds: float, hidden: int = HIDDEN, pairs: int = PAIRS
) -> tuple[float, float]:
    """Measure a loop that dispatches every truncation; see `program_rate`."""
    lopt = MLPLOpt(hidden_size=hidden)
    learner = SingleMachineGradientLearner(
        lopt, [_estimator(lopt, pairs, pairs)], Adam(1e-3)
    )
    state = learner.init(key_of_seed(0))

    def do(count: int) -> None:
        nonlocal state
        for _ in range(count):
            state, loss, _ = learner.update(state, key_of_seed(state.outer_iteration))
            float(loss)

    return _rate(do, seconds)


def meta_step_flops(hidden: int = HIDDEN, pairs: int = PAIRS) -> float:
    """Return the operations of matrix products in a meta-step.

    Args:
      hidden: hidden units of the learned optimizer.
      pairs: of perturbations.
    """
    size = cost(get_task_from_name(TASK))
    features = 2 + len(DECAYS)
    network = 2 * size.num_params * (features * hidden + hidden**2 + 2 * hidden)
    return inner_steps(pairs) * (size.flops + network)


def inner_steps(pairs: int = PAIRS) -> int:
    """Return the updates of the task in a meta-step: of both of each pair."""
    return 2 * pairs * TRUNCATION


def _estimator(lopt: MLPLOpt, pairs: int, at_once: int | None) -> TruncatedPES:
    step = VectorizedLOptTruncatedStep(
        single_task_to_family(get_task_from_name(TASK)),
        lopt,
        LogUniformLengthSchedule(100, 10_000),
        pairs,
        random_initial_iteration_offset=10_000,
        tasks_at_once=at_once,
    )
    return TruncatedPES(step, TRUNCATION)


def _rate(do: Callable[[int], Any], seconds: float) -> tuple[float, float]:
    start = time.perf_counter()
    do(1)
    compiled = time.perf_counter()
    done = 0
    while done == 0 or time.perf_counter() - compiled < seconds:
        do(_AT_ONCE)
        done += _AT_ONCE
    end = time.perf_counter()
    each = (end - compiled) / done
    return 1.0 / each, max(0.0, compiled - start - each)
