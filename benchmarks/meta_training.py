"""How fast learned optimizers are meta-trained.

    python benchmarks/meta_training.py [--table] [--seconds 5]

MLPLOpt with 16 hidden units on ImageMLP_FashionMnist8_Relu32, by PES with 16 pairs and
truncations of 50: meta-steps per second of the compiled program; the ratio to a Python
loop that dispatches one compiled truncation, with its data and the outer step outside,
per meta-step, in the same process; and the share of the peak of matrix products on all
cores. `--table` adds the growth with pairs, hidden units and tasks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax

from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.eval_training import keep_compiled, use_all_cores
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

TASK, TRUNCATION = "ImageMLP_FashionMnist8_Relu32", 50
PUBLISHED = 4.8
"""Meta-steps per second of the published system, same settings, 2 idle cores."""


def estimator(lopt: MLPLOpt, pairs: int, at_once: int | None) -> TruncatedPES:
    """Return PES on the task."""
    step = VectorizedLOptTruncatedStep(
        single_task_to_family(get_task_from_name(TASK)),
        lopt,
        LogUniformLengthSchedule(100, 10_000),
        pairs,
        random_initial_iteration_offset=10_000,
        tasks_at_once=at_once,
    )
    return TruncatedPES(step, TRUNCATION)


def rate(do: Callable[[int], Any], seconds: float) -> float:
    """Return meta-steps per second of a function that does some."""
    do(1)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        do(10)
        done += 10
    return done / (time.perf_counter() - start)


def program_rate(hidden: int, pairs: int, tasks: int, seconds: float) -> float:
    """Return meta-steps per second of the compiled program."""
    lopt = MLPLOpt(hidden_size=hidden)
    estimators = [estimator(lopt, pairs, None) for _ in range(tasks)]
    program = MetaProgram(lopt, estimators, Adam(1e-3), 10_000)
    return rate(MetaRunner(program, jax.local_devices(), room=10).advance, seconds)


def loop_rate(hidden: int, pairs: int, seconds: float) -> float:
    """Return meta-steps per second of a loop that dispatches each truncation."""
    lopt = MLPLOpt(hidden_size=hidden)
    learner = SingleMachineGradientLearner(
        lopt, [estimator(lopt, pairs, pairs)], Adam(1e-3)
    )
    state = learner.init(key_of_seed(0))

    def do(count: int) -> None:
        nonlocal state
        for _ in range(count):
            state, loss, _ = learner.update(state, key_of_seed(state.outer_iteration))
            float(loss)

    return rate(do, seconds)


def flops(hidden: int, pairs: int) -> float:
    """Return operations of matrix products in a meta-step."""
    size = cost(get_task_from_name(TASK))
    features = 2 + len(DECAYS)
    network = 2 * size.num_params * (features * hidden + hidden**2 + 2 * hidden)
    return 2 * pairs * TRUNCATION * (size.flops + network)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    use_all_cores()
    keep_compiled()
    peak = matmul_peak()
    ours = program_rate(16, 16, 1, args.seconds)
    loop = loop_rate(16, 16, args.seconds)
    print(f"compiled program      {ours:6.1f} meta-steps per second")
    print(f"loop of truncations   {loop:6.1f}, ratio {ours / loop:.2f}")
    print(f"published system      {PUBLISHED:6.1f}, ratio {ours / PUBLISHED:.2f}")
    share = ours * flops(16, 16) / peak
    print(f"share of the peak of matrix products, {peak / 1e9:.0f} GF/s: {share:.0%}")
    if not args.table:
        return
    print("hidden  pairs  tasks  meta-steps/s")
    for hidden, pairs, tasks in (
        (16, 4, 1),
        (16, 16, 1),
        (16, 64, 1),
        (4, 16, 1),
        (32, 16, 1),
        (16, 16, 2),
        (16, 16, 4),
    ):
        made = program_rate(hidden, pairs, tasks, args.seconds)
        print(f"{hidden:6}  {pairs:5}  {tasks:5}  {made:12.1f}")


if __name__ == "__main__":
    main()
