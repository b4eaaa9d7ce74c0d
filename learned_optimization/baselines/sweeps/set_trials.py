"""The trials of sets on tasks, and which of them have no result yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from learned_optimization import configuration
from learned_optimization.baselines.results.matching import check_setting, fill, scan
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.grids import make_grids
from learned_optimization.baselines.sweeps.inner_training import configured_trial
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import LoptError
from learned_optimization.tasks.base import Task

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
            "trials with `lopt train`, or define a set of your own."
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
      ResultError: if there is a result of another setting under a trial's name.
    """
    by_folder: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_folder[trial.save_dir].append(trial)
    entries_of = scan(by_folder)
    missing, unreadable = [], []
    for folder, group in by_folder.items():
        entries = entries_of[folder]
        check_setting(folder, entries, group[0].opt.name)
        filled = fill(entries, [t.seed for t in group], group[0].is_synthetic)
        missing += [trial for trial in group if trial.seed not in filled]
        unreadable += [entry.path for entry in entries if entry.status == "bad"]
    return missing, unreadable


def check_data(tasks: Iterable[Task]) -> None:
    """Load the data of every task, so that what is missing is known at once."""
    for datasets in {id(t.datasets): t.datasets for t in tasks}.values():
        if datasets is not None:
            datasets.load()
