"""Trains a grid of trials: lays it out, chooses a strategy, runs it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import jax

from learned_optimization.numerics import pinned
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.prng import key_words
from learned_optimization.tasks.base import Task
from learned_optimization.training.backend import local_devices
from learned_optimization.training.checkpoint import Checkpoint
from learned_optimization.training.feed import max_blocks
from learned_optimization.training.grid import Device, Layout, stack_hparams
from learned_optimization.training.grid_runner import GridRunner
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.pools import pool_of
from learned_optimization.training.program import TrialProgram
from learned_optimization.training.results import GridResult, Measurement, Progress
from learned_optimization.training.stepped import SteppedRunner
from learned_optimization.training.strategy import (
    Strategy,
    default_strategy,
    other_strategies,
)
from learned_optimization.training.strategy_choice import (
    MEASURED_SECONDS,
    Remembered,
    fastest,
    is_out_of_memory,
)


class OutOfMemoryWarning(UserWarning):
    """A run did not fit and goes on with fewer trials side by side."""


@pinned()
def run_grid(
    task: Task,
    opts: Sequence[Optimizer],
    keys: Sequence[jax.Array],
    plan: RunPlan,
    *,
    eval_task: Task | None = None,
    devices: Sequence[Device] | None = None,
    strategy: Strategy | None = None,
    similar_runs: float = 1.0,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> GridResult:
    """Train every optimizer with every key.

    Args:
      task: the task trained on.
      opts: one optimizer per configuration, differing in numeric
        hyper-parameters only.
      keys: one PRNG key per seed; it decides initial parameters, the order of the
        data and every other random number, the same for each configuration.
      plan: number of steps and evaluations.
      eval_task: the task evaluated; `task` if None.
      devices: devices to run on; all local ones if None.
      strategy: how a device computes its share; if None, that of the checkpoint
        or, if there is none, the fastest known, see `training.strategy_choice`.
      similar_runs: the work of this and of coming runs that will use the
        strategy, in runs like this one. Strategies are measured only where that
        takes a small share of it.
      on_progress: called after every chunk.
      checkpoint: where to go on from and to save to, now and then and when told
        to stop; the caller removes it once the result is kept.

    Returns:
      The curves, and how long they took.

    Raises:
      DataNotFoundError: if the task's data is not available.
      LoptError: if the optimizers cannot run in one program.
      RunStoppedError: if the checkpoint says to stop; what was done is saved.
    """
    layout, start, can_restart = _prepare(
        task, eval_task or task, opts, keys, plan, devices
    )
    on_progress = on_progress or (lambda progress: None)
    should_stop = checkpoint.should_stop if checkpoint else (lambda: False)
    remembered = Remembered.of(task, layout)
    saved = checkpoint if can_restart else None
    is_traceable = opts[0].is_traceable
    known = strategy or (saved and saved.strategy()) or remembered.load()

    def run(strategy: Strategy) -> GridResult:
        runner = start(strategy)
        if saved:
            runner.resume(saved)
        if known is None and can_restart and is_traceable:
            runner.advance(MEASURED_SECONDS, on_progress, checkpoint)
            starts = [
                partial(start, other)
                for other in other_strategies(
                    strategy, layout.trials_per_device, layout.platform
                )
            ]
            runner = fastest(runner, starts, remembered, similar_runs, should_stop)
        runner.advance(on_progress=on_progress, checkpoint=checkpoint)
        runner.evaluate_whole_splits(checkpoint)
        return runner.result()

    default = _default_strategy(task, layout)
    if not (can_restart and is_traceable):
        # What is drawn from an iterator is gone: one attempt, and none to measure. Nor
        # is there another way to run a trial that is stepped in Python.
        return run(known or default)
    return _while_it_fits(run, known or default, layout.trials_per_device)


@pinned()
def measure_grid(
    task: Task,
    opts: Sequence[Optimizer],
    keys: Sequence[jax.Array],
    plan: RunPlan,
    seconds: float,
    *,
    devices: Sequence[Device] | None = None,
    strategy: Strategy | None = None,
    at_end: bool = True,
) -> Measurement:
    """Run the beginning of a grid to learn how fast it goes; keeps nothing.

    Args:
      task: as in `run_grid`.
      opts: as in `run_grid`.
      keys: as in `run_grid`.
      plan: as in `run_grid`.
      seconds: how long to measure, compilation apart.
      devices: as in `run_grid`.
      strategy: as in `run_grid`, but nothing else is tried: the one remembered,
        or else the default, if None.
      at_end: whether to measure the evaluation of whole splits too, whose time does
        not depend on the optimizer.

    Returns:
      What was measured. The first block is left out of it where there are more.
    """
    layout, start, _ = _prepare(task, task, opts, keys, plan, devices)
    strategy = (
        strategy
        or Remembered.of(task, layout).load()
        or _default_strategy(task, layout)
    )
    runner = start(strategy)
    runner.advance(1e-9)
    blocks, spent = runner.blocks_left, runner.run_seconds
    runner.advance(seconds)
    done, spent = blocks - runner.blocks_left, runner.run_seconds - spent
    seconds_at_end = runner.measure_whole_splits(seconds) if at_end else 0.0
    return Measurement(
        strategy=strategy,
        seconds_per_block=spent / done if done else runner.seconds_per_block,
        trial_steps_per_block=runner.steps_per_block,
        seconds_at_end=seconds_at_end,
        compile_seconds=runner.compile_seconds,
    )


def _prepare(
    task: Task,
    eval_task: Task,
    opts: Sequence[Optimizer],
    keys: Sequence[jax.Array],
    plan: RunPlan,
    devices: Sequence[Device] | None,
) -> tuple[Layout, Callable[[Strategy], GridRunner], bool]:
    """Return where a grid runs, what starts it, and whether that may start it again."""
    train_pool = eval_pool = pool_of(task.datasets)
    if eval_task.datasets != task.datasets:
        eval_pool = pool_of(eval_task.datasets)
    hparams, make_optimizer = stack_hparams(opts)
    layout = Layout.choose(len(keys), len(opts), list(devices or local_devices()))
    program = TrialProgram(
        task=task,
        eval_task=eval_task,
        make_optimizer=make_optimizer,
        train_pool=train_pool,
        eval_pool=eval_pool,
        num_steps=plan.num_steps,
        block_updates=plan.block_updates,
        max_blocks=max_blocks(plan, train_pool, eval_pool, len(keys)),
    )
    words = [key_words(key) for key in keys]
    runner = GridRunner if opts[0].is_traceable else SteppedRunner
    start = partial(runner, program, layout, plan, hparams, words)
    return layout, start, train_pool.can_restart and eval_pool.can_restart


def _default_strategy(task: Task, layout: Layout) -> Strategy:
    return default_strategy(
        task, layout.trials_per_device, layout.platform, layout.leaves_idle
    )


def _while_it_fits(
    run: Callable[[Strategy], GridResult], strategy: Strategy, trials_per_device: int
) -> GridResult:
    """Run with ever fewer trials side by side until memory is enough."""
    while True:
        try:
            return run(strategy)
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error) or strategy.trials_at_once == 1:
                raise
            strategy = strategy.halved(trials_per_device)
            warnings.warn(
                f"out of memory; goes on with {strategy.trials_at_once} trials "
                "side by side on a device",
                OutOfMemoryWarning,
                stacklevel=2,
            )
