"""What a step and the state of each set's optimizer cost, where that was measured.

`lopt bench --optimizers` measures an optimizer alone, one trial on this machine, and
`benchmarking.optimizer_cost` keeps it. Here a set finds its measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.recorded_settings import read_setting
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.benchmarking.optimizer_cost import OptimizerCost

_RATE = "learning_rate"


@dataclass(frozen=True, eq=False)
class SecondsOverTasks:
    """Seconds to the target over those of the fastest set.

    Attributes:
      task_names: tasks with a target on which every set's cost was measured.
      ratios: float64 `[num_sets, num_tasks]`, in the order of `Verdict.overall`.
    """

    task_names: tuple[str, ...] = ()
    ratios: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def with_costs(
    results: Sequence[Sequence[SetResult]], costs: Sequence[OptimizerCost]
) -> list[list[SetResult]]:
    """Return results with what was measured of their optimizers.

    A measurement is of a set if it was made of the set on the same task, by its name;
    or else of an optimizer that differs from the set's best configuration in nothing
    but the learning rate.

    Args:
      results: for each task one result per set.
      costs: measurements of one machine.
    """
    return [
        [replace(result, cost=_cost_of(result, costs)) for result in row]
        for row in results
    ]


def seconds_over_tasks(
    results: Sequence[Sequence[SetResult]], verdict: Verdict
) -> SecondsOverTasks:
    """Return how much longer than the fastest each set takes to the targets.

    Args:
      results: for each task one result per set.
      verdict: the verdict on them.
    """
    names = [o.set_name for o in verdict.overall]
    seconds: dict[str, list[float]] = {}
    for row, task in zip(results, verdict.tasks, strict=True):
        by_name = {result.set_name: result for result in row}
        if task.task_name not in verdict.over_tasks.timed:
            continue
        if all(by_name[name].cost for name in names):
            seconds[task.task_name] = [
                by_name[name].seconds_alone(task.standing(name).steps) for name in names
            ]
    if not seconds:
        return SecondsOverTasks()
    ratios = stats.performance_ratios(np.asarray(list(seconds.values())).T)
    return SecondsOverTasks(tuple(seconds), ratios)


def _cost_of(result: SetResult, costs: Sequence[OptimizerCost]) -> OptimizerCost | None:
    on_task = [cost for cost in costs if cost.task == result.task_name]
    found = [cost for cost in on_task if cost.name == result.set_name]
    found = found or [cost for cost in on_task if _is_like(result, cost.setting)]
    return max(found, key=lambda cost: cost.measured, default=None)


def _is_like(result: SetResult, setting: str) -> bool:
    """Return whether a setting differs from the best in no more than the rate."""
    rows, best = result.curves.hparams.rows, result.best.index
    if not rows or _class_of(setting) != _class_of(result.curves.opt_names[best]):
        return False
    values = read_setting(setting)
    return values is not None and _without_rate(values) == _without_rate(rows[best])


def _class_of(name: str) -> str:
    return name.partition("_")[0]


def _without_rate(values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != _RATE}
