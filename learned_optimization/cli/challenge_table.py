"""What a challenge prints: a ranking, where the challenger wins and loses, its cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.report.challenge import (
    OnTask,
    Outcome,
    against_each,
    by_itself,
    comparison_of,
    on_tasks,
)
from learned_optimization.baselines.report.cost_words import three_digits
from learned_optimization.cli.tables import Table

_IN_A_WORD = {
    Outcome.BETTER: "wins",
    Outcome.EQUIVALENT: "equivalent",
    Outcome.UNDECIDED: "not told apart",
    Outcome.WORSE: "loses",
    Outcome.TOO_FEW_SEEDS: "too few seeds",
    None: "",
}
# How a baseline does against the challenger, of whom outcomes are.
_OTHER_WAY_ROUND = {
    **_IN_A_WORD,
    Outcome.BETTER: "loses",
    Outcome.WORSE: "wins",
}


def ranking(
    results: Sequence[Sequence[SetResult]], verdict: Verdict, challengers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a row per set, best first.

    Args:
      results: for each task one result per set.
      verdict: the verdict on them.
      challengers: the sets that challenge the others.

    Returns:
      Rows of `place`, `set`, `is_challenger`, `score` (over tasks) or `loss` (on one)
      with `low` and `high`, `against` (challenger to outcome), `by_itself` (the same
      of what only the pair by itself tells), `step_ratio` and
      `bytes_per_parameter` where they were measured, `fails_on`.
    """
    comparison = comparison_of(verdict)
    outcomes = {
        name: {} if comparison is None else against_each(comparison, name)
        for name in challengers
        if comparison is None or name in comparison.set_names
    }
    alone = {
        name: by_itself(comparison, name) for name in outcomes if comparison is not None
    }
    of_one = len(verdict.tasks) == 1
    if of_one:
        figures = {s.set_name: s.loss for s in verdict.tasks[0].standings}
    else:
        figures = {o.set_name: o.score for o in verdict.overall}
    failures = [(f.set_name, f.task_name) for f in verdict.over_tasks.failures]
    costs = {r.set_name: r.cost for row in reversed(results) for r in row if r.cost}
    rows = []
    for place, (name, figure) in enumerate(figures.items(), start=1):
        cost = costs.get(name)
        rows.append(
            {
                "place": place,
                "set": name,
                "is_challenger": name in challengers,
                "loss" if of_one else "score": figure.estimate,
                "low": figure.low,
                "high": figure.high,
                "against": _of(outcomes, name),
                "by_itself": _of(alone, name),
                "step_ratio": cost.step_ratio.median if cost else None,
                "bytes_per_parameter": cost.bytes_per_parameter if cost else None,
                "fails_on": [task for failing, task in failures if failing == name],
            }
        )
    return rows


def _of(outcomes: Mapping[str, Mapping[str, Outcome]], name: str) -> dict[str, str]:
    return {
        challenger: of_each[name].name.lower()
        for challenger, of_each in outcomes.items()
        if name in of_each
    }


def ranking_table(
    rows: Sequence[dict[str, Any]], verdict: Verdict, challengers: Sequence[str]
) -> Table:
    """Return the ranking as a table.

    Args:
      rows: of `ranking`.
      verdict: the verdict that they are of.
      challengers: the sets that challenge the others.
    """
    labels = short_labels(verdict.set_names).of
    of_one = len(verdict.tasks) == 1
    title = verdict.tasks[0].task_name if of_one else f"over {len(verdict.tasks)} tasks"
    figures = [row["loss"] if of_one else -row["score"] for row in rows]
    figures = [figure for figure in figures if math.isfinite(figure)]
    apart = "; those that surely are not the best last"
    said = apart if figures != sorted(figures) else ""
    table = Table(title=f"ranking {'on ' * of_one}{title}{said}")
    table.add_column("", justify="right")
    table.add_column("set", overflow="fold")
    table.add_column("test loss" if of_one else "score", justify="right")
    for challenger in challengers:
        table.add_column(f"against {labels[challenger]}", overflow="fold", min_width=14)
    table.add_column("step x SGD", justify="right")
    table.add_column("state/param", justify="right")
    if not of_one:
        table.add_column("below half of the reference on", overflow="fold")
    for row in rows:
        estimate = row["loss"] if of_one else row["score"]
        text = f"{estimate:.4f}" if of_one else f"{estimate:.3f}"
        if math.isfinite(row["low"]):
            digits = 4 if of_one else 3
            text += f" [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        words = [_word(row, challenger) for challenger in challengers]
        ratio, state = row["step_ratio"], row["bytes_per_parameter"]
        cells = [
            str(row["place"]),
            ("> " if row["is_challenger"] else "") + labels[row["set"]],
            text,
            *words,
            "-" if ratio is None else three_digits(ratio),
            "-" if state is None else f"{three_digits(state)} B",
        ]
        table.add_row(*cells, *([] if of_one else [", ".join(row["fails_on"])]))
    return table


def _word(row: dict[str, Any], challenger: str) -> str:
    if challenger in row["by_itself"]:
        outcome = Outcome[row["by_itself"][challenger].upper()]
        return f"{_OTHER_WAY_ROUND[outcome]} by itself"
    if challenger in row["against"]:
        return _OTHER_WAY_ROUND[Outcome[row["against"][challenger].upper()]]
    return "-"


def tasks_table(verdict: Verdict, challenger: str) -> Table:
    """Return where a challenger wins and loses, task by task."""
    labels = short_labels(verdict.set_names).of
    table = Table(title=f"{labels[challenger]}, task by task")
    table.add_column("task", overflow="fold")
    table.add_column("place", justify="right")
    table.add_column("test loss", justify="right", no_wrap=True)
    table.add_column("best other", overflow="fold")
    table.add_column("its loss", justify="right")
    table.add_column("against it", no_wrap=True)
    for one in on_tasks(verdict, challenger):
        table.add_row(
            one.task_name,
            str(one.rank),
            _with_half_width(one.loss),
            labels.get(one.rival, "none"),
            f"{one.rival_loss.estimate:.4f}" if one.rival_loss else "",
            _IN_A_WORD[one.outcome],
        )
    return table


def _with_half_width(estimated: stats.Interval) -> str:
    half = (estimated.high - estimated.low) / 2
    text = f"{estimated.estimate:.4f}"
    return f"{text} ± {half:.4f}" if math.isfinite(half) else text


def task_row(one: OnTask) -> dict[str, Any]:
    """Return how a challenger stands on a task, as JSON holds it."""
    return {
        "task": one.task_name,
        "place": one.rank,
        "loss": one.loss.estimate,
        "best_other": one.rival or None,
        "best_other_loss": one.rival_loss.estimate if one.rival_loss else None,
        "outcome": one.outcome.name.lower() if one.outcome else None,
    }
