"""The report at the end of a race: what it has left, on all its seeds.

A race trains some configurations on more seeds than others. The page shows those that
the race had left, of a set that is out before the look that put it out, with all seeds
of these; whether the best is at the edge is told of the whole set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from learned_optimization.baselines.analysis import verdicts
from learned_optimization.baselines.analysis.costs import with_costs
from learned_optimization.baselines.analysis.hyperparameters import of_set
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    comparable,
    load_set_result,
)
from learned_optimization.baselines.report.build import files_of_report
from learned_optimization.baselines.results.stacking import stack
from learned_optimization.baselines.stats.race_rows import configs_at_end
from learned_optimization.baselines.sweeps.missing import found_results
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.baselines.sweeps.sweep import set_trials_of
from learned_optimization.benchmarking.optimizer_cost import load_costs
from learned_optimization.errors import LoptError


def files_of_race(standing: RaceStanding) -> Mapping[str, str]:
    """Return the report's files, name to text: those of `files_of_report`.

    Args:
      standing: of a race with at least one seed.

    Raises:
      LoptError: if there are no losses yet, or the results cannot be compared.
      ResultError: if results cannot be read.
    """
    if not standing.result.num_seeds:
        raise LoptError("a race has no report before it has losses of a seed.")
    results = [_results_on(standing, q) for q in range(len(standing.tasks))]
    results = with_costs(results, load_costs())
    tasks = standing.task_names
    where = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    return files_of_report(
        results,
        verdicts.compare(results),
        title=f"Race of {len(standing.sets)} sets on {where}",
        progress=notes(standing),
    )


def notes(standing: RaceStanding) -> list[str]:
    """Return what the page says above all: the verdict, and what else it shows."""
    return [
        standing.sentence(),
        *standing.remarks(),
        "Below are the configurations that the race has left, of a set that is out "
        "those before it went, on all their seeds. P values and bounds are those of "
        "one look at them, and do not allow for the looks before: the verdict is the "
        "one above. Tuning and sensitivity are of these configurations alone.",
    ]


def _results_on(standing: RaceStanding, task: int) -> list[SetResult]:
    num_sets = len(standing.sets)
    row = comparable([_result(standing, task, a) for a in range(num_sets)])
    return [_with_edges(standing, task, a, result) for a, result in enumerate(row)]


def _result(standing: RaceStanding, task: int, a: int) -> SetResult:
    hparam_set, name = standing.sets[a], standing.task_names[task]
    configs, num_seeds = configs_at_end(standing.result, a, task)
    seeds = range(standing.first_seed, standing.first_seed + num_seeds)
    places = [(b, seed) for b in configs for seed in seeds]
    trials = iter(set_trials_of(name, hparam_set, places))
    rows = [[next(trials) for _ in seeds] for _ in configs]
    found, _ = found_results(trial for row in rows for trial in row)
    arrays = stack(
        [[found[trial].path for trial in row] for row in rows],
        {
            "task_name": [name] * len(configs),
            "opt_name": [hparam_set.opt_names[b] for b in configs],
        },
    )
    return load_set_result(name, hparam_set.name, arrays=arrays)


def _with_edges(
    standing: RaceStanding, task: int, a: int, result: SetResult
) -> SetResult:
    configs, _ = configs_at_end(standing.result, a, task)
    edges = of_set(standing.sets[a]).edges(configs[result.best.index])
    return replace(result, best=replace(result.best, edges=edges), sensitivity=None)
