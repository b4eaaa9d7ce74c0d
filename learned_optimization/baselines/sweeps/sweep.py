"""Runs all trials of some sets on a task, skipping those that have results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from learned_optimization import configuration
from learned_optimization.baselines.sets.hparam_set import Configuration, HParamSet
from learned_optimization.baselines.sweeps.grids import make_grids
from learned_optimization.baselines.sweeps.inner_training import configured_trial
from learned_optimization.baselines.sweeps.missing import (
    missing_trials as missing_trials,
)
from learned_optimization.baselines.sweeps.observing import (
    Observer,
    SilentObserver,
    SweepSummary,
)
from learned_optimization.baselines.sweeps.running import SweepRun
from learned_optimization.baselines.sweeps.running import check_data as check_data
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.side_by_side import (
    SideBySide,
    num_processes,
)
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import Strategy

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
    configurations, _ = hparam_set(task_name)
    return _configured(hparam_set, configurations)


def set_trials_of(
    task_name: str, hparam_set: HParamSet, places: Iterable[tuple[int, int]]
) -> list[Trial]:
    """Return trials of a set on a task that may have other seeds than its own.

    Args:
      task_name: name of a fixed task.
      hparam_set: the set.
      places: place of the configuration in the set, and seed, of each trial.

    Raises:
      LoptError: as `set_trials`.
    """
    configurations, _ = hparam_set(task_name)
    # Those of the first repetition come first, in the order of the set.
    wanted = [
        {**configurations[place], "inner_train_task.seed": seed}
        for place, seed in places
    ]
    return _configured(hparam_set, wanted)


def _configured(
    hparam_set: HParamSet, configurations: Iterable[Configuration]
) -> list[Trial]:
    changes = [p for p in configuration.bound_parameters() if p not in _FREE_PARAMETERS]
    if changes:
        raise LoptError(
            f"{', '.join(changes)} would change what {hparam_set.name} stands for, "
            "and its results are stored under the set's own names. Train single "
            "trials with inner_train_task, or define a set of your own."
        )
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
    killed, a sweep goes on from there when it is called again. Grids are claimed:
    sweeps that run at the same time train each trial once between them.

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
    how = (observer or SilentObserver(), should_stop, strategy, deadline)
    stepped = [trial for trial in trials if not trial.opt.is_traceable]
    processes = num_processes(stepped) if stepped else 1
    if processes == 1:
        return SweepRun(trials, *how).run()
    others = [trial for trial in trials if trial.opt.is_traceable]
    summary = SweepRun(others, *how).run() if others else SweepSummary()
    summary.add(SideBySide(stepped, *how).run(processes))
    return summary
