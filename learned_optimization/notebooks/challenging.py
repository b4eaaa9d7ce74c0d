"""`challenge()`: is an optimizer of one's own better than what there is?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.report.build import analyse
from learned_optimization.baselines.report.challenge import (
    said_by_itself,
    sentence,
    what_would_decide,
)
from learned_optimization.baselines.results.archives import list_hparam_sets_for_task
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.race_words import count
from learned_optimization.baselines.suites.challengers import (
    BASELINES,
    baseline_sets,
    sets_of_name,
)
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.errors import UnknownNameError
from learned_optimization.notebooks.reporting import Report
from learned_optimization.notebooks.sweeping import prepare, train_and_archive
from learned_optimization.optimizers.base import Optimizer


def challenge(
    challenger: str | type[Optimizer] | HParamSet,
    *,
    suite: str = "laptop",
    only: Iterable[str] = (),
    against: Iterable[str] = BASELINES,
    seeds: int | None = None,
    tolerance: float = TOLERANCE,
    retrain: bool = False,
) -> Report:
    """Compare an optimizer with the baselines, on a suite of small tasks.

    It is trained with 14 learning rates on every task, and so are baselines that have
    no archive yet. Interrupting it saves where it is, and the same call goes on.

    Args:
      challenger: an optimizer or its name, or a set or its name.
      suite: name of the suite.
      only: tasks of the suite, for a first minute; all of them if empty.
      against: names of optimizers, with `Cosine` or `Linear` at the end on a schedule.
      seeds: of every configuration, in place of the suite's.
      tolerance: share of what Adam improves that does not matter.
      retrain: as of `sweep`.

    Returns:
      The report, whose last sentences are the answer.

    Raises:
      LoptError: as `sweep`.
    """
    chosen = get_suite(suite)
    chosen = replace(chosen, seeds=seeds or chosen.seeds)
    only = [only] if isinstance(only, str) else list(only)
    for task in only:
        if task not in chosen.tasks:
            raise UnknownNameError(f"task of suite {suite}", task, chosen.tasks)
    tasks = [task for task in chosen.tasks if not only or task in only]
    name = (
        challenger
        if isinstance(challenger, str)
        else getattr(
            challenger, "name" if isinstance(challenger, HParamSet) else "__name__"
        )
    )
    [own] = sets_of_name(name, chosen)
    others = [s for s in baseline_sets(chosen, against) if s.name != own.name]
    prepare(tasks, [own, *others], retrain)
    sets = {s.name: s for s in [own, *others]}
    groups: dict[tuple[str, ...], list[str]] = {}
    for task in tasks:
        there = list_hparam_sets_for_task(task)
        lacking = tuple(n for n in sets if n == own.name or n not in there)
        groups.setdefault(lacking, []).append(task)
    for lacking, of_tasks in groups.items():
        train_and_archive(of_tasks, [sets[name] for name in lacking])
    set_names = [own.name, *(s.name for s in others)]
    results, verdict = analyse(tasks, set_names, tolerance=tolerance)
    said = [
        what_would_decide(verdict, own.name),
        said_by_itself(verdict, own.name),
        sentence(results, verdict, own.name),
    ]
    title = f"{own.name} against {count(len(others), 'baseline')}"
    return Report(results, verdict, title, {"The challenge": [s for s in said if s]})
