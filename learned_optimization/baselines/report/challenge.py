"""What a verdict says of one set among all: where it wins and loses, in a sentence."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import LEVEL, Comparison
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.standings import TaskVerdict
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.report.verdict_words import (
    more_seeds,
    tuned_unequally,
)
from learned_optimization.baselines.report.words import within
from learned_optimization.baselines.stats.race_words import count, listed


class Outcome(enum.Enum):
    """How the challenger stands against another set; the value says it of the other."""

    BETTER = "better than"
    EQUIVALENT = "equivalent to"
    UNDECIDED = "not told apart from"
    WORSE = "worse than"
    TOO_FEW_SEEDS = "of too few seeds to compare it with"


_TOLD = (Outcome.BETTER, Outcome.WORSE)


@dataclass(frozen=True)
class OnTask:
    """How the challenger stands on one task.

    Attributes:
      task_name: the task.
      loss: its loss, with the interval.
      rank: its place among the sets, 1 for the first.
      rival: the best of the other sets; empty if there is none.
      rival_loss: the loss of that.
      outcome: how the challenger stands against it; None if there is none.
    """

    task_name: str
    loss: stats.Interval
    rank: int
    rival: str
    rival_loss: stats.Interval | None
    outcome: Outcome | None


def against_each(comparison: Comparison, challenger: str) -> dict[str, Outcome]:
    """Return how the challenger stands against every other set.

    Who is better is claimed of all pairs together (Holm); equivalence of each pair.

    Args:
      comparison: a look at all sets.
      challenger: one of them.
    """
    others = [name for name in comparison.set_names if name != challenger]
    pairs = [comparison.pair(challenger, name) for name in others]
    adjusted = stats.holm(np.nan_to_num([p.p_value for p in pairs], nan=1.0))
    outcomes = {}
    for name, pair, p_value in zip(others, pairs, adjusted, strict=True):
        outcome = _of_pair(pair, comparison, challenger)
        if outcome in _TOLD and p_value >= 1 - LEVEL:
            outcome = Outcome.UNDECIDED
        outcomes[name] = outcome
    return outcomes


def by_itself(comparison: Comparison, challenger: str) -> dict[str, Outcome]:
    """Return how the challenger stands against sets that only their own pair tells.

    Args:
      comparison: a look at all sets.
      challenger: one of them.

    Returns:
      Better or worse, at 5% of that pair alone, of sets that `against_each` does not
      tell apart.
    """
    alone = {
        name: _of_pair(comparison.pair(challenger, name), comparison, challenger)
        for name, outcome in against_each(comparison, challenger).items()
        if outcome is Outcome.UNDECIDED
    }
    return {name: outcome for name, outcome in alone.items() if outcome in _TOLD}


def on_tasks(verdict: Verdict, challenger: str) -> list[OnTask]:
    """Return how the challenger stands on each task, against the best other set."""
    return [
        _on_task(task, challenger)
        for task in verdict.tasks
        if challenger in {s.set_name for s in task.standings}
    ]


def _on_task(task: TaskVerdict, challenger: str) -> OnTask:
    own = task.standing(challenger)
    names = [s.set_name for s in task.standings]
    others = [s for s in task.standings if s is not own and s.has_loss]
    rival = others[0] if others else None
    outcome = None
    if rival and task.comparison and own.has_loss:
        pair = task.comparison.pair(challenger, rival.set_name)
        outcome = _of_pair(pair, task.comparison, challenger)
    return OnTask(
        task.task_name,
        own.loss,
        names.index(challenger) + 1,
        rival.set_name if rival else "",
        rival.loss if rival else None,
        outcome,
    )


def _of_pair(
    pair: stats.PairVerdict, comparison: Comparison, challenger: str
) -> Outcome:
    if pair.outcome is stats.PairOutcome.BETTER and pair.better is not None:
        is_first = comparison.name(pair.better) == challenger
        return Outcome.BETTER if is_first else Outcome.WORSE
    return {
        stats.PairOutcome.EQUIVALENT: Outcome.EQUIVALENT,
        stats.PairOutcome.TOO_FEW_SEEDS: Outcome.TOO_FEW_SEEDS,
    }.get(pair.outcome, Outcome.UNDECIDED)


def sentence(
    results: Sequence[Sequence[SetResult]], verdict: Verdict, challenger: str
) -> str:
    """Return how the challenger stands against all other sets, in one sentence.

    Args:
      results: for each task one result per set.
      verdict: the verdict on them.
      challenger: name of one of the sets.
    """
    comparison = _comparison_with(verdict, challenger)
    where = _where(verdict)
    if comparison is None:
        return f"{where} nothing can be said of {challenger}: see what is left out."
    outcomes = against_each(comparison, challenger)
    labels = short_labels(verdict.set_names).of
    groups = [
        f"{outcome.value} {_named(names, outcome, len(outcomes))}"
        + (f" (within {within(verdict)})" if outcome is Outcome.EQUIVALENT else "")
        for outcome in Outcome
        if (names := [labels[name] for name, o in outcomes.items() if o is outcome])
    ]
    said = f"{where} {labels[challenger]} is {'; '.join(groups)}"
    unequal = tuned_unequally(comparison.set_names, results)
    if unequal:
        return f"{said}, with {listed(unequal)}."
    configs = results[0][0].num_configs
    return f"{said}; all were tuned alike ({count(configs, 'configuration')} each)."


def said_by_itself(verdict: Verdict, challenger: str) -> str:
    """Return what pairs say that are looked at by themselves; empty if nothing more.

    Args:
      verdict: the verdict.
      challenger: name of one of its sets.
    """
    comparison = _comparison_with(verdict, challenger)
    if comparison is None:
        return ""
    labels = short_labels(verdict.set_names).of
    found = by_itself(comparison, challenger)
    groups = [
        f"{outcome.value} {listed(names)}"
        for outcome in _TOLD
        if (names := [labels[name] for name, o in found.items() if o is outcome])
    ]
    if not groups:
        return ""
    return (
        f"By itself, each pair at 5%, {labels[challenger]} is {' and '.join(groups)}: "
        "of so many pairs one may be wrong."
    )


def what_would_decide(verdict: Verdict, challenger: str) -> str:
    """Return how many more seeds would decide what is not told apart; empty if all is.

    Args:
      verdict: the verdict.
      challenger: name of one of its sets.
    """
    comparison = _comparison_with(verdict, challenger)
    if comparison is None:
        return ""
    labels = short_labels(verdict.set_names).of
    of_pairs: dict[str, list[str]] = {}
    told = by_itself(comparison, challenger)
    for name, outcome in against_each(comparison, challenger).items():
        if outcome is Outcome.UNDECIDED:
            why = "told apart by itself, not among all pairs"
            if name not in told:
                why = more_seeds(comparison.pair(challenger, name))
            of_pairs.setdefault(why, []).append(labels[name])
    each = [f"{listed(names)} ({why})" for why, names in of_pairs.items()]
    return f"Not told apart yet: {'; '.join(each)}." if each else ""


def comparison_of(verdict: Verdict) -> Comparison | None:
    """Return the look that the sentence is of: over tasks, or on the only one."""
    if len(verdict.tasks) == 1:
        return verdict.tasks[0].comparison
    return verdict.over_tasks.comparison


def _comparison_with(verdict: Verdict, challenger: str) -> Comparison | None:
    comparison = comparison_of(verdict)
    is_there = comparison is not None and challenger in comparison.set_names
    return comparison if is_there else None


def _where(verdict: Verdict) -> str:
    if len(verdict.tasks) == 1:
        return f"On {verdict.tasks[0].task_name}"
    return f"Over {count(len(verdict.over_tasks.task_names), 'task')}"


def _named(names: Sequence[str], outcome: Outcome, num_others: int) -> str:
    if len(names) == num_others > 2:
        is_some = outcome in (Outcome.UNDECIDED, Outcome.TOO_FEW_SEEDS)
        return f"{'any' if is_some else 'each'} of the {num_others} baselines"
    return listed(names, "or" if outcome is Outcome.UNDECIDED else "and")
