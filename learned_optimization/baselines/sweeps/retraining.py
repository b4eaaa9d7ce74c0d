"""Forgetting what a set has trained on a task, so that it is trained again."""

from __future__ import annotations

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_baseline_archive_path
from learned_optimization.baselines.results.files import delete_saved_task_data
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.checkpoints import remove_finished
from learned_optimization.baselines.sweeps.sweep import set_trials


def forget(task_name: str, hparam_set: HParamSet) -> int:
    """Delete results, curves, checkpoints and the archive of a set on a task.

    Args:
      task_name: the task.
      hparam_set: the set. Other sets that share its settings lose their results too.

    Returns:
      How many results and archives there were.

    Raises:
      ResultError: if something cannot be deleted.
    """
    deleted: list[str] = []
    plan = hparam_set.plan
    for opt_name in hparam_set.opt_names:
        deleted += delete_saved_task_data(task_name, opt_name, **plan.as_keys())
    remove_finished(set_trials(task_name, hparam_set))
    archive = get_baseline_archive_path(task_name, hparam_set.name)
    if filesystem.exists(archive):
        filesystem.remove_file(archive)
        deleted.append(archive)
    return len(deleted)
