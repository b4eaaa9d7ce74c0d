"""The report at the end of a race: what it has left, on all its seeds.

A race trains some configurations on more seeds than others. The page shows those that
the race had left, of a set that is out before the look that put it out, with all seeds
of these; whether the best is at the edge is told of the whole set.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis import verdicts
from learned_optimization.baselines.analysis.costs import with_costs
from learned_optimization.baselines.analysis.hyperparameters import of_set
from learned_optimization.baselines.analysis.scores import find_reference, improvement
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
    reference = find_reference(results)
    share = _tolerance(standing, results, reference)
    said = _of_tolerance(standing, share, reference)
    return files_of_report(
        results,
        verdicts.compare(results, reference, tolerance=share),
        title=f"Race of {len(standing.sets)} sets on {where}",
        command=command_of(standing),
        notes={"Verdict of the race": [*notes(standing), *said]},
    )


def notes(standing: RaceStanding) -> list[str]:
    """Return what the page says above all: the verdict, and what else it shows."""
    return [
        standing.sentence(),
        *standing.remarks(),
        "Below are the configurations that the race has left, of a set that is out "
        "those before it went, on all their seeds. P values and bounds are those of "
        "one look at them, and do not allow for the looks before: the race's verdict "
        "is this one. Tuning and sensitivity are of these configurations alone.",
    ]


def command_of(standing: RaceStanding) -> str:
    """Return the command of a race; files that define its sets are not known here."""
    rules = standing.result.rules
    default = stats.RaceRules(rules.tolerance)
    words = ["lopt", "race", *standing.task_names, *standing.names]
    words += ["--tolerance", f"{rules.tolerance:.12g}"]
    if rules.alpha != default.alpha:
        words += ["--alpha", f"{rules.alpha:.12g}"]
    if rules.max_seeds != default.max_seeds:
        words += ["--max-seeds", str(rules.max_seeds)]
    if rules.max_trials is not None:
        words += ["--max-trials", str(rules.max_trials)]
    if rules.until != default.until:
        words += ["--until", rules.until]
    if isinstance(rules.evidence, stats.EProcess):
        words.append("--anytime")
    if standing.first_seed:
        words += ["--seed-offset", str(standing.first_seed)]
    return shlex.join(words)


def _tolerance(
    standing: RaceStanding,
    results: Sequence[Sequence[SetResult]],
    reference: str | None,
) -> float:
    """Return the race's tolerance as a share of what the reference improves.

    On one task it is the same difference in loss. On several, where a race counts in
    improvements of the best configuration, it is the same share of the reference's.
    """
    tolerance = standing.result.rules.tolerance
    if reference is None or len(results) > 1:
        return tolerance
    gained = improvement(results[0], reference)
    return tolerance / gained if gained else tolerance


def _of_tolerance(
    standing: RaceStanding, share: float, reference: str | None
) -> list[str]:
    tolerance = standing.result.rules.tolerance
    if reference is None or not tolerance:
        return []
    of_share = f"{100 * share:.3g}% of the improvement of {reference}"
    if len(standing.tasks) == 1:
        return [
            "Sets that are called equivalent below differ by less than the race's "
            f"tolerance of {tolerance:g}, which is {of_share}."
        ]
    return [
        f"Sets that are called equivalent below differ by less than {of_share} on the "
        f"task, or in the mean over tasks. The race's tolerance of {tolerance:g} is in "
        "its own units, in which 1 is the improvement of a task's best configuration."
    ]


def _results_on(standing: RaceStanding, task: int) -> list[SetResult]:
    num_sets = len(standing.sets)
    row = comparable([_result(standing, task, a) for a in range(num_sets)])
    if standing.num_without_whole[task]:
        # The race has looked at trials that are no longer left.
        row = [result.of_last_evaluation() for result in row]
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
