"""Runs all trials of some sets on a task, skipping those that have results."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from learned_optimization import configuration, filesystem, numerics
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.files import write_baseline_result
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.results.matching import (
    check_jax_config,
    check_setting,
    fill,
    scan,
)
from learned_optimization.baselines.results.run_notes import forget_finished, noted
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.checkpoints import (
    checkpoint_of,
    grid_name,
    remove_finished,
)
from learned_optimization.baselines.sweeps.grids import TrialGrid, make_grids
from learned_optimization.baselines.sweeps.inner_training import configured_trial
from learned_optimization.baselines.sweeps.observing import (
    Observer,
    SilentObserver,
    SweepSummary,
)
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import LoptError, ResultError, RunStoppedError
from learned_optimization.eval_training import Strategy
from learned_optimization.tasks.base import Task

__all__ = [
    "Observer",
    "SilentObserver",
    "SweepSummary",
    "run_sweep",
]


# How a trial is run, not what it is.
_FREE_PARAMETERS = ("inner_train_task.device",)


def set_trials(task_name: str, hparam_set: HParamSet) -> list[Trial]:
    """Return the trials of one set on one task, without running any.

    Of the global gin configuration, only `inner_train_task.device` may be
    bound: anything else would store other settings under the set's names.

    Raises:
      LoptError: if the set's configurations are not valid, or the global
        configuration would change them.
    """
    changes = [p for p in configuration.bound_parameters() if p not in _FREE_PARAMETERS]
    if changes:
        raise LoptError(
            f"{', '.join(changes)} would change what {hparam_set.name} stands for, "
            "and its results are stored under the set's own names. Train single "
            "trials with inner_train_task, or define a set of your own."
        )
    configurations, _ = hparam_set(task_name)
    trials = []
    for bindings in configurations:
        with configuration.bound(bindings):
            trials.append(configured_trial())
    return trials


def sweep_trials(
    task_names: Sequence[str], hparam_sets: Sequence[HParamSet]
) -> list[Trial]:
    """Return the trials of the sets on the tasks, each once though sets may share it.

    Raises:
      LoptError: as `set_trials`.
    """
    trials = [
        trial
        for task in task_names
        for s in hparam_sets
        for trial in set_trials(task, s)
    ]
    return [trial for grid in make_grids(trials) for trial in grid.trials]


def missing_trials(trials: Iterable[Trial]) -> tuple[list[Trial], list[str]]:
    """Return those trials that have no readable result yet.

    A result on synthetic data stands in only for a trial on synthetic data.

    Returns:
      The trials, and the paths of the result files that could not be read.

    Raises:
      ResultError: if there is a result of another setting, or under another
        configuration of jax, under a trial's name.
    """
    by_folder: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_folder[trial.save_dir].append(trial)
    entries_of, jax_config = scan(by_folder), numerics.record()
    missing, unreadable = [], []
    for folder, group in by_folder.items():
        entries = entries_of[folder]
        check_setting(folder, entries, group[0].opt.name)
        check_jax_config(folder, entries, jax_config)
        filled = fill(entries, [t.seed for t in group], group[0].is_synthetic)
        missing += [trial for trial in group if trial.seed not in filled]
        unreadable += [entry.path for entry in entries if entry.status == "bad"]
    return missing, unreadable


def run_sweep(
    task_names: Sequence[str],
    hparam_sets: Sequence[HParamSet],
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    strategy: Strategy | None = None,
    shard: Shard | None = None,
    deadline: float = math.inf,
) -> SweepSummary:
    """Train every trial of the sets on the tasks that has no result yet.

    Results are written grid by grid, and the grid in progress is saved every minute:
    killed, a sweep goes on from there when it is called again.

    Args:
      task_names: names of fixed tasks.
      hparam_sets: the sets.
      observer: told how it goes.
      should_stop: asked now and then; a sweep that is to stop saves where it is.
      strategy: how devices compute their shares; if None, the fastest known.
      shard: the part of the trials to train; all of them if None.
      deadline: when to save and stop, as `time.monotonic` counts.

    Returns:
      Counts and times. Trials that raise an exception are counted and noted, and
      the others go on.

    Raises:
      LoptError: if a name or setting is wrong, data is not available, or the
        result directory cannot be written; before anything is trained.
      RunStoppedError: if it was told to stop.
    """
    trials = sweep_trials(task_names, hparam_sets)
    if shard is not None:
        trials = shard.of(trials)
    return run_trials(trials, observer, should_stop, strategy, deadline)


def run_trials(
    trials: Sequence[Trial],
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    strategy: Strategy | None = None,
    deadline: float = math.inf,
) -> SweepSummary:
    """Train those trials of a sweep, or of a part of one, that have no result yet.

    Arguments, result and errors are those of `run_sweep`.
    """
    observer = observer or SilentObserver()
    summary = SweepSummary()
    missing, summary.unreadable = missing_trials(trials)
    summary.num_trials = len(trials)
    summary.num_skipped = len(trials) - len(missing)
    grids = make_grids(missing)
    if grids:
        filesystem.check_writable(get_root_baseline_dir())
        check_data(trial.task for trial in missing)
        for trial in missing:
            trial.opt.prepare()
    updates_of_task: dict[str, int] = defaultdict(int)
    for grid in grids:
        updates_of_task[grid.task_name] += grid.num_updates
    observer.started(
        summary.num_trials, summary.num_skipped, sum(updates_of_task.values())
    )
    failed: list[Trial] = []
    for grid in grids:
        similar_runs = updates_of_task[grid.task_name] / grid.num_updates
        updates_of_task[grid.task_name] -= grid.num_updates
        train = partial(grid.run, strategy=strategy, similar_runs=similar_runs)
        if not _train_and_keep(grid, train, observer, summary, should_stop, deadline):
            failed += grid.trials
    finished = [trial for trial in trials if trial not in failed]
    remove_finished(finished)
    forget_finished((trial.save_dir, trial.seed) for trial in finished)
    return summary


def _train_and_keep(
    grid: TrialGrid,
    train: Callable[..., list[tuple[Trial, Result]]],
    observer: Observer,
    summary: SweepSummary,
    should_stop: Callable[[], bool],
    deadline: float,
) -> bool:
    """Train a grid and write its results; keep a note of its state until then.

    Returns:
      Whether it has results now. If its program fails, that is counted and noted.
    """

    def is_late() -> bool:
        return time.monotonic() >= deadline

    checkpoint = checkpoint_of(grid, lambda: should_stop() or is_late())
    try:
        with noted(grid_name(grid), grid.places, is_late):
            results = train(partial(observer.progressed, grid), checkpoint)
            _keep(grid, results, observer, summary)
    except (ResultError, RunStoppedError):
        # Where results cannot be written, no other grid's can.
        raise
    except Exception as error:
        # That one grid's program fails does not mean that another's will.
        text = f"{type(grid.first.opt).__name__}: {type(error).__name__}: {error}"
        summary.failures += [text] if text not in summary.failures else []
        summary.num_failed += len(grid.trials)
        observer.failed(grid, error)
        return False
    checkpoint.remove()
    return True


def check_data(tasks: Iterable[Task]) -> None:
    """Load the data of every task, so that what is missing is known at once."""
    for datasets in {id(t.datasets): t.datasets for t in tasks}.values():
        if datasets is not None:
            datasets.load()


def _keep(
    grid: TrialGrid,
    results: Sequence[tuple[Trial, Result]],
    observer: Observer,
    summary: SweepSummary,
) -> None:
    for _, result in results:
        write_baseline_result(result)
    num_diverged = sum(str(result["status"]) == "diverged" for _, result in results)
    first = results[0][1]
    summary.num_diverged += num_diverged
    summary.trial_steps += grid.num_updates
    summary.run_seconds += float(first["timing/run_seconds"])
    summary.compile_seconds += float(first["timing/compile_seconds"])
    observer.finished(grid, num_diverged)
