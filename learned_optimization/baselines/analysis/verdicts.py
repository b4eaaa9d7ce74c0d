"""Sets compared on each of several tasks (`standings`), and over them (`overall`)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
    load_usable,
)
from learned_optimization.baselines.analysis.overall import (
    Overall,
    OverTasks,
    over_tasks,
)
from learned_optimization.baselines.analysis.scores import (
    TARGET_SHARE,
    check_reference,
    choose_reference,
    find_reference,
    why_no_reference,
    why_no_target,
)
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    comparable,
    load_set_result,
)
from learned_optimization.baselines.analysis.standings import (
    Standing,
    TaskVerdict,
    task_verdict,
)
from learned_optimization.errors import LoptError

_TIMES = "times to the target"


@dataclass(frozen=True, eq=False)
class Verdict:
    """Sets on tasks.

    Attributes:
      tasks: one per task.
      over_tasks: the sets over tasks, as far as that can be said.
      reference: the set that scores and speed-ups refer to; empty if none can be.
      tolerance: share of what the reference improves that does not matter.
      set_names: every set that is on some task, in the order of the results.
      left_out: what cannot be shown, and why.
      target_share: share of the reference's improvement that times are taken to.
    """

    tasks: tuple[TaskVerdict, ...]
    over_tasks: OverTasks
    reference: str
    tolerance: float
    set_names: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    target_share: float = TARGET_SHARE

    @property
    def overall(self) -> tuple[Overall, ...]:
        """The sets over tasks, best first; none if nothing can be said over tasks."""
        return self.over_tasks.sets

    @property
    def ratios(self) -> np.ndarray:
        """Costs over that of the fastest, as `OverTasks.ratios`."""
        return self.over_tasks.ratios

    @property
    def critical_difference(self) -> float:
        """The least difference of mean ranks that says something."""
        return self.over_tasks.critical_difference

    @property
    def friedman_p(self) -> float:
        """The p-value of all sets ranking alike."""
        return self.over_tasks.friedman_p

    @property
    def not_told_apart(self) -> tuple[str, ...]:
        """Other sets than the first that may be the best one."""
        return tuple(s.set_name for s in self.overall[1:] if not s.is_out)


def load_results(
    task_names: Sequence[str],
    set_names: Sequence[str],
    select: str,
    report: str,
    on_left_out: OnLeftOut | None,
) -> list[list[SetResult]]:
    """Return what archives say of sets on tasks, of those that can be used.

    Args:
      task_names: the tasks.
      set_names: the sets, archived on every one of them.
      select: split whose loss selects configurations.
      report: split whose loss is reported.
      on_left_out: as of `load_usable`.

    Returns:
      For each task that has any, one result per set.

    Raises:
      ResultError: if nothing can be used, with all reasons.
      LoptError: as `load_usable`.
    """
    left: list[LeftOut] = []

    def leave_out(one: LeftOut) -> None:
        left.append(one)
        if on_left_out is not None:
            on_left_out(one)

    rows = []
    for task in task_names:
        load = functools.partial(load_set_result, task, select=select, report=report)
        on_fault = None if on_left_out is None else leave_out
        row = list(load_usable(task, set_names, load, on_fault).values())
        rows.append(comparable(row))
    results = [row for row in rows if row]
    if task_names and set_names:
        check_some_left(results, left)
    return results


def verdict(
    results: Sequence[Sequence[SetResult]],
    reference: str | None = None,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Verdict:
    """Compare sets on tasks, all of them on every task.

    Args:
      results: for each task one result per set, the same sets in the same order.
      reference: the set that scores and speed-ups refer to; `choose_reference` if
        None.
      seed: of the bootstrap.
      tolerance: as in `compare`.

    Raises:
      LoptError: if there is no result, tasks do not have the same sets, or there is
        no reference to measure by on every task.
    """
    if not results or not results[0]:
        raise LoptError("a comparison needs at least one task and one set.")
    names = [result.set_name for result in results[0]]
    for row in results[1:]:
        if [result.set_name for result in row] != names:
            raise LoptError(
                f"{row[0].task_name} and {results[0][0].task_name} do not have the "
                "same sets; a comparison over tasks needs all sets on all tasks."
            )
    results = [comparable(row) for row in results]
    reference = reference or choose_reference(results)
    check_reference(results, reference)
    return compare(results, reference, seed, tolerance=tolerance)


def compare(
    results: Sequence[Sequence[SetResult]],
    reference: str | None = None,
    seed: int = 0,
    left_out: Sequence[LeftOut] = (),
    tolerance: float = TOLERANCE,
    target_share: float = TARGET_SHARE,
) -> Verdict:
    """Compare sets on tasks as far as they can be, and say what cannot.

    On a task, every set that is there is compared. Over tasks, it is those tasks on
    which the reference is there and improves, and those sets that are on all of them.

    Args:
      results: for each task one result per set, at least one; a set may be missing.
      reference: the set that scores and speed-ups refer to; `find_reference` if None.
      seed: of the bootstrap.
      left_out: what is left out already.
      tolerance: share of what the reference improves that does not matter: two sets
        are equivalent where they differ by less. With 0 none are.
      target_share: share of the reference's improvement that times are taken to.

    Raises:
      LoptError: if the tolerance is not at least 0.
    """
    check_tolerance(tolerance)
    results = [comparable(row) for row in results]
    reference = reference or find_reference(results)
    left = list(left_out)
    tasks, measured = [], []
    for row in results:
        why = why_no_reference(row, reference)
        too_easy = ""
        if not why and reference is not None:
            too_easy = why_no_target(row, reference, target_share)
        measures = None if why else reference
        task = task_verdict(row, measures, tolerance, not too_easy, target_share)
        tasks.append(task)
        if why:
            left.append(LeftOut(task.task_name, "", why, f"scores and {_TIMES}"))
        else:
            measured.append((row, task))
        if too_easy:
            left.append(LeftOut(task.task_name, "", too_easy, _TIMES))
        left += _without_loss(row, task.standings)
    over = OverTasks()
    if reference is not None and measured:
        rows = [row for row, _ in measured]
        everywhere = set.intersection(*({r.set_name for r in row} for row in rows))
        left += _not_everywhere(rows, everywhere)
        over = over_tasks(
            rows,
            [task for _, task in measured],
            [r.set_name for r in rows[0] if r.set_name in everywhere],
            reference,
            tolerance,
            seed,
        )
    names = dict.fromkeys(result.set_name for row in results for result in row)
    return Verdict(
        tuple(tasks),
        over,
        reference or "",
        tolerance,
        tuple(names),
        tuple(left),
        target_share,
    )


def check_tolerance(tolerance: float) -> None:
    """Raise `LoptError` unless a tolerance is a share of at least 0."""
    if not 0 <= tolerance < float("inf"):
        raise LoptError(
            f"tolerance must be a share of at least 0, such as {TOLERANCE}, got "
            f"{tolerance!r}."
        )


def _without_loss(
    row: Sequence[SetResult], standings: Sequence[Standing]
) -> list[LeftOut]:
    without = {s.set_name for s in standings if not s.has_loss}
    return [
        LeftOut(
            result.task_name,
            result.set_name,
            f"its {result.report} loss is not finite for every seed of any "
            "configuration, and no trial has a finite one before the first update, as "
            "which those that diverged would count.",
            "the mean loss",
        )
        for result in row
        if result.set_name in without
    ]


def _not_everywhere(
    rows: Sequence[Sequence[SetResult]], everywhere: set[str]
) -> list[LeftOut]:
    names = dict.fromkeys(r.set_name for row in rows for r in row)
    return [
        LeftOut(
            row[0].task_name,
            name,
            "it is not there, and the comparison over tasks is of sets that are on all "
            "of its tasks.",
            "the score over tasks",
        )
        for name in names
        if name not in everywhere
        for row in rows
        if name not in {r.set_name for r in row}
    ]
