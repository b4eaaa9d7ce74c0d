"""The board: every optimizer of a release on a suite, in groups that compare alike.

What it says is of `analysis` and `stats`; here it is put in rows. `page` makes
the page of them, `figures` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.costs import with_costs
from learned_optimization.baselines.analysis.overall import Overall
from learned_optimization.baselines.analysis.set_results import SetResult, of_set
from learned_optimization.baselines.analysis.verdicts import Verdict, compare
from learned_optimization.baselines.analysis.verdicts import load_results as load
from learned_optimization.baselines.board.tuning import (
    ForAllTasks,
    after_tries,
    for_all_tasks,
)
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.sets.checkpoint_sets import split_set_name
from learned_optimization.baselines.sets.hparam_set import SCHEDULES
from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.benchmarking.optimizer_cost import OptimizerCost
from learned_optimization.errors import LoptError

CONSTANT, SCHEDULED, OTHERS = "constant", "scheduled", "others"
LEARNED = "learned"
"""The groups: a learning rate that stays, one that falls, learned optimizers, and other
searches."""

TITLES = {
    CONSTANT: "At a constant learning rate",
    SCHEDULED: "On a schedule",
    LEARNED: "Meta-trained, and not tuned",
    OTHERS: "Other searches",
}
"""What the groups are called, in their order on the page."""

_TARGET_SHARE = 0.95
"""Less than in a report: all seeds of the reference get there, so that only a set that
does not has no more than a bound."""


@dataclass(frozen=True, eq=False)
class Line:
    """One optimizer of a group.

    Attributes:
      set_name: its set.
      label: what the board calls it.
      place: from 1, the highest score first.
      overall: how it stands over tasks.
      outcome: against the first of its group; None of the first itself.
      for_all: score with one configuration for all tasks.
      tries: expected score after each of `tuning.TRIES`, as far as the set has so
        many.
      at_edge: tasks whose best configuration is at the edge of the search.
      decades: how wide the range of good learning rates is, median over tasks; NaN
        where no learning rate is varied.
      is_wider: that range reaches the edge of the search on so many tasks that the
        median may be larger.
      diverged: share of all its trials that end with no finite loss.
      cost: what was measured of it, median over tasks; None if nothing.
      fails_on: tasks on which it has less than half of the reference's improvement.
    """

    set_name: str
    label: str
    place: int
    overall: Overall
    outcome: stats.PairOutcome | None
    for_all: ForAllTasks
    tries: tuple[float, ...]
    at_edge: int
    decades: float
    is_wider: bool
    diverged: float
    cost: OptimizerCost | None
    fails_on: tuple[str, ...]

    @property
    def keeps_up(self) -> bool:
        """Whether the first is not better beyond chance, the two by themselves."""
        return self.outcome is not stats.PairOutcome.BETTER


@dataclass(frozen=True, eq=False)
class Group:
    """Sets that are compared with each other.

    Attributes:
      name: one of `TITLES`.
      lines: the highest score first; the reference is among them.
      equivalent: labels of lines that are all equivalent to each other, at least two.
      verdict: of them.
      results: that it is of, for each task one per set.
    """

    name: str
    lines: tuple[Line, ...]
    equivalent: tuple[tuple[str, ...], ...]
    verdict: Verdict
    results: list[list[SetResult]]

    @property
    def own(self) -> tuple[Line, ...]:
        """The lines of its kind; the others stand beside them to be compared with."""
        return tuple(x for x in self.lines if kind_of(x.set_name) == self.name)

    @property
    def num_seeds(self) -> int:
        """Seeds of every set."""
        return self.results[0][0].num_seeds


def kind_of(set_name: str) -> str:
    """Return the group that a set belongs to."""
    if split_set_name(set_name) is not None:
        return LEARNED
    known = all_hparam_sets().get(set_name)
    family = known.family if known is not None and known.family else set_name
    if family.partition("LR_")[0].endswith(tuple(SCHEDULES)):
        return SCHEDULED
    is_of_rates = "LR_" in set_name and (known is None or _varies_rate(set_name))
    return CONSTANT if is_of_rates else OTHERS


def _varies_rate(set_name: str) -> bool:
    hparams = all_hparam_sets()[set_name].hparams
    return all(any(k.endswith("learning_rate") for k in setting) for setting in hparams)


def group(
    name: str,
    task_names: Sequence[str],
    set_names: Sequence[str],
    reference: str,
    costs: Sequence[OptimizerCost] = (),
) -> Group:
    """Compare the sets of one group on all tasks.

    Args:
      name: one of `TITLES`.
      task_names: the tasks.
      set_names: the sets, archived on all of them.
      reference: the set that scores refer to, which is added if it is not among them.
      costs: what was measured of optimizers.

    Raises:
      LoptError: if the sets cannot be compared on all of the tasks.
    """
    names = list(dict.fromkeys([reference, *set_names]))
    results = load(task_names, names, "outer_valid", "test", None)
    results = with_costs(results, costs)
    verdict = compare(results, reference, target_share=_TARGET_SHARE)
    missing = set(names) - {o.set_name for o in verdict.overall}
    if missing or len(verdict.over_tasks.task_names) < len(task_names):
        reasons = "; ".join(map(str, verdict.left_out))
        raise LoptError(f"a board needs every set on every task: {reasons}.")
    labels = _labels(names)
    ranked = sorted(verdict.overall, key=lambda o: -o.score.estimate)
    first = ranked[0].set_name
    lines = [
        _line(place, overall, first, labels[overall.set_name], results, verdict)
        for place, overall in enumerate(ranked, start=1)
    ]
    return Group(name, tuple(lines), _equivalent(lines, verdict), verdict, results)


def _labels(set_names: Sequence[str]) -> dict[str, str]:
    """Return what sets are called, alike in groups that share different endings."""
    labels = short_labels(set_names).of
    return {n: label.removesuffix("LR").rstrip("_") for n, label in labels.items()}


def _line(
    place: int,
    overall: Overall,
    first: str,
    label: str,
    results: Sequence[Sequence[SetResult]],
    verdict: Verdict,
) -> Line:
    name = overall.set_name
    own = [of_set(row, name) for row in results]
    widths = [r.sensitivity for r in own if r.sensitivity is not None]
    has_widths = len(widths) == len(own)
    comparison = verdict.over_tasks.comparison
    outcome = None
    if comparison is not None and name != first:
        outcome = comparison.pair(name, first).outcome
    failures = verdict.over_tasks.failures
    return Line(
        set_name=name,
        label=label,
        place=place,
        overall=overall,
        outcome=outcome,
        for_all=for_all_tasks(results, name, verdict.reference),
        tries=after_tries(results, name, verdict.reference),
        at_edge=sum(r.best.at_edge for r in own),
        decades=float(np.median([w.decades for w in widths]))
        if has_widths
        else float("nan"),
        is_wider=has_widths and _is_bound(widths),
        diverged=sum(r.best.num_diverged for r in own)
        / sum(r.best.num_trials for r in own),
        cost=_cost(own),
        fails_on=tuple(f.task_name for f in failures if f.set_name == name),
    )


def _is_bound(widths: Sequence[stats.Sensitivity]) -> bool:
    """Return whether the median of widths is no more than a bound of the true one."""
    decades = [w.decades for w in widths]
    middle = float(np.quantile(decades, 0.5, method="higher"))
    return any(w.at_edge and w.decades <= middle for w in widths)


def _cost(own: Sequence[SetResult]) -> OptimizerCost | None:
    """Return the measurement whose step is the median one of those there are."""
    costs = [r.cost for r in own if r.cost is not None]
    costs.sort(key=lambda cost: cost.step_ratio.median)
    return costs[len(costs) // 2] if costs else None


def _equivalent(lines: Sequence[Line], verdict: Verdict) -> tuple[tuple[str, ...], ...]:
    """Return sets of which every two are equivalent, each in the first that it fits."""
    comparison = verdict.over_tasks.comparison
    if comparison is None:
        return ()
    groups: list[list[Line]] = []
    for line in lines:
        for members in groups:
            pairs = [comparison.pair(line.set_name, m.set_name) for m in members]
            if all(p.outcome is stats.PairOutcome.EQUIVALENT for p in pairs):
                members.append(line)
                break
        else:
            groups.append([line])
    return tuple(
        tuple(line.label for line in members) for members in groups if len(members) > 1
    )
