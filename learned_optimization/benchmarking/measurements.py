"""Single measurements, each in a process of its own.

    python -m learned_optimization.benchmarking.measurements loop TASK SECONDS

prints one JSON object. A process of its own makes its peak memory its own, and
leaves no compiled program or warm cache to the next.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from learned_optimization.baselines.sets.hparam_set import LEARNING_RATES
from learned_optimization.benchmarking import meta_training
from learned_optimization.benchmarking.memory import peak_mib
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.benchmarking.step_profile import step_profile
from learned_optimization.eval_training import EVAL_SPLITS, RunPlan, use_all_cores
from learned_optimization.learned_optimizers.base import (
    all_learned_optimizers,
    get_learned_optimizer,
)
from learned_optimization.optimizers.base import Optimizer, get_optimizer
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task, get_task_from_name
from learned_optimization.training.run import measure_grid
from learned_optimization.training.strategy import Strategy

PLAN = RunPlan(num_steps=10_000)
NUM_SEEDS = 5


def peak() -> dict[str, Any]:
    """Return the machine's matrix-product peak, in operations per second."""
    return {"flops_per_second": matmul_peak()}


def profile(task_name: str, seconds: str) -> dict[str, Any]:
    """Return where the time of a step goes on one core, see `step_profile`."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return step_profile(get_task_from_name(task_name), float(seconds))


def grid(
    task_name: str,
    num_trials: str,
    strategy: str,
    seconds: str,
    num_steps: str,
    optimizer: str = "Adam",
) -> dict[str, Any]:
    """Train an optimizer with several learning rates and seeds.

    Args:
      task_name: a fixed task.
      num_trials: trials: five seeds of as many learning rates as that takes, or
        one seed where they are no multiple of five.
      strategy: how it is computed; `default` for the one remembered, or else the rule
        of thumb.
      seconds: how long to measure.
      num_steps: length of the runs whose beginning is measured.
      optimizer: name of the optimizer; a learned one is as it begins, its setting
        repeated.
    """
    use_all_cores()
    seeds = 1 if int(num_trials) % NUM_SEEDS else NUM_SEEDS
    rates = itertools.islice(itertools.cycle(LEARNING_RATES), int(num_trials) // seeds)
    measured = measure_grid(
        get_task_from_name(task_name),
        _settings(optimizer, list(rates)),
        [key_of_seed(seed) for seed in range(seeds)],
        RunPlan(num_steps=int(num_steps)),
        float(seconds),
        strategy=None if strategy == "default" else Strategy.parse(strategy),
    )
    return {
        "strategy": str(measured.strategy),
        "trial_steps_per_second": measured.trial_steps_per_second,
        "seconds_at_end": measured.seconds_at_end,
        "compile_seconds": measured.compile_seconds,
        "peak_mib": peak_mib(),
    }


def _settings(name: str, rates: list[float]) -> list[Optimizer]:
    if name in all_learned_optimizers():
        lopt = get_learned_optimizer(name)()
        theta = lopt.init(key_of_seed(0))
        return [lopt.opt_fn(theta)] * len(rates)
    make: Callable[..., Optimizer] = get_optimizer(name)
    return [make(learning_rate=rate) for rate in rates]


def loop(task_name: str, seconds: str) -> dict[str, Any]:
    """Return the alternative: one trial as a Python loop of jitted steps fed by numpy.

    It does what the engine does: the same batches, the same evaluations, the
    same optimizer, every loss brought back to Python, those of an evaluation once
    it is all on its way.
    """
    task = get_task_from_name(task_name)
    opt = Adam(learning_rate=1e-3)
    key = key_of_seed(0)
    train, evals = _batches(task)

    @jax.jit
    def update(opt_state, batch, key):
        params, state = opt.get_params_state(opt_state)
        (loss, state), grad = jax.value_and_grad(task.loss_with_state, has_aux=True)(
            params, state, key, batch
        )
        return opt.update(opt_state, grad, loss=loss, model_state=state), loss

    @jax.jit
    def evaluate(opt_state, batch, key):
        params, state = opt.get_params_state(opt_state)
        loss, _, aux = task.loss_with_state_and_aux(params, state, key, batch)
        return loss, task.normalizer(loss), aux

    def block(opt_state):
        evaluations = [
            evaluate(opt_state, next(stream), key)
            for stream in evals
            for _ in range(PLAN.eval_batches)
        ]
        for _ in range(PLAN.eval_every):
            opt_state, loss = update(opt_state, next(train), key)
            float(loss)
        jax.device_get(evaluations)
        return opt_state

    params, state = task.init_with_state(key)
    opt_state = opt.init(params, model_state=state, num_steps=PLAN.num_steps)
    start = time.perf_counter()
    opt_state = block(opt_state)
    first = time.perf_counter() - start
    start, blocks = time.perf_counter(), 0
    while blocks == 0 or time.perf_counter() - start < float(seconds):
        opt_state = block(opt_state)
        blocks += 1
    each = (time.perf_counter() - start) / blocks
    return {
        "trial_steps_per_second": PLAN.eval_every / each,
        "compile_seconds": max(0.0, first - each),
        "peak_mib": peak_mib(),
    }


def meta(seconds: str) -> dict[str, Any]:
    """Return how fast the compiled program meta-trains, see `meta_training`."""
    use_all_cores()
    rate, compile_seconds = meta_training.program_rate(float(seconds))
    return {
        "meta_steps_per_second": rate,
        "compile_seconds": compile_seconds,
        "peak_mib": peak_mib(),
    }


def meta_loop(seconds: str) -> dict[str, Any]:
    """Return how fast a loop that dispatches each truncation meta-trains."""
    use_all_cores()
    return {"meta_steps_per_second": meta_training.loop_rate(float(seconds))[0]}


def _batches(task: Task) -> tuple[Iterator[Any], list[Iterator[Any]]]:
    data = task.datasets
    if data is None:
        nothing = itertools.repeat(None)
        return nothing, [nothing] * len(EVAL_SPLITS)
    return data.split("train", seed=1), [data.split(name) for name in EVAL_SPLITS]


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    kinds = (peak, grid, loop, profile, meta, meta_loop)
    [measurement] = [function for function in kinds if function.__name__ == kind]
    print(json.dumps(measurement(*arguments)))
