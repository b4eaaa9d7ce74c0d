"""Scores that mean the same on every task: the share of a reference's improvement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines.analysis.losses import ceilings_of, reported
from learned_optimization.baselines.analysis.set_results import SetResult, of_set
from learned_optimization.baselines.analysis.times import lowest
from learned_optimization.errors import LoptError

TARGET_SHARE = 0.99
"""Share of the reference's improvement that times are taken to.

All of it would take the reference its whole run, whatever the others do.
"""

_ROUNDING = 1e-9
"""A reference has to improve by more than such a share of the initial loss.

By less, scores would be rounding over rounding.
"""

_HIGHEST_SCORE = 1e50
"""Of what improves more beside a reference, powers of scores would not be finite."""


def improvement(row: Sequence[SetResult], set_name: str) -> float:
    """Return how much lower than the initial loss a set ends on a task, at least 0.

    Args:
      row: all sets on the task.
      set_name: the set.
    """
    ceilings = ceilings_of(row)
    result = of_set(row, set_name)
    gained = ceilings[result.report] - float(reported(result, ceilings).mean())
    return max(gained, 0.0) if np.isfinite(gained) else 0.0


def find_reference(results: Sequence[Sequence[SetResult]]) -> str | None:
    """Return the set that others can be measured by on the most tasks.

    Of several, the one that sets a target on the most of them, then Adam's learning
    rates, then the first; None if no set improves on the initial loss of any task.

    Args:
      results: for each task one result per set; a set may be missing.
    """
    names = dict.fromkeys(result.set_name for row in results for result in row)
    order = sorted(names, key=lambda name: not name.startswith("AdamLR_"))

    def tasks(name: str) -> tuple[int, int]:
        usable = [row for row in results if not why_no_reference(row, name)]
        return len(usable), sum(not why_no_target(row, name) for row in usable)

    best = max(order, key=tasks)
    return best if any(tasks(best)) else None


def choose_reference(results: Sequence[Sequence[SetResult]]) -> str:
    """Return the set others are measured by.

    Adam's learning rates if they are there and improve on the initial loss of every
    task, or else the first set that does.

    Args:
      results: for each task one result per set, the same sets in the same order.

    Raises:
      LoptError: if no set does.
    """
    best = find_reference(results)
    if best is not None and not any(why_no_reference(row, best) for row in results):
        return best
    lacking = {
        result.set_name: [
            row[0].task_name
            for row in results
            if why_no_reference(row, result.set_name)
        ]
        for result in results[0]
    }
    which = "; ".join(f"{n} not on {', '.join(tasks)}" for n, tasks in lacking.items())
    raise LoptError(
        "no set improves on the initial loss of every task, so there is nothing to "
        f"measure by: {which}."
    )


def check_reference(results: Sequence[Sequence[SetResult]], reference: str) -> None:
    """Refuse a reference that nothing can be measured by.

    Args:
      results: as in `choose_reference`.
      reference: name of the set.

    Raises:
      LoptError: if it is none of the sets, or does not improve on a task.
    """
    check_is_one_of(reference, [result.set_name for result in results[0]])
    for row in results:
        if why := why_no_reference(row, reference):
            raise LoptError(f"{why} Choose another, as reference=SET.")


def check_is_one_of(reference: str, set_names: Sequence[str]) -> None:
    """Raise `LoptError` unless the reference is one of the sets compared."""
    if reference not in set_names:
        raise LoptError(
            f"the reference {reference} is none of the sets: {', '.join(set_names)}."
        )


def why_no_reference(row: Sequence[SetResult], reference: str | None) -> str:
    """Return why others cannot be measured by a set on a task; empty if they can.

    Args:
      row: the sets on the task.
      reference: name of the set; None if there is none.
    """
    task_name = row[0].task_name
    if reference is None:
        names = ", ".join(result.set_name for result in row)
        return f"no set improves on the initial loss of {task_name}: {names}."
    result = next((r for r in row if r.set_name == reference), None)
    if result is None:
        return f"the reference {reference} is not there on {task_name}."
    gained = improvement(row, reference)
    most = max(improvement(row, r.set_name) for r in row)
    least = max(_ROUNDING * abs(ceilings_of(row)[result.report]), most / _HIGHEST_SCORE)
    has_start = np.isfinite(result.initial_loss)
    if has_start and gained > least and np.isfinite(lowest(result)):
        return ""
    return (
        f"the reference {reference} does not improve on the initial loss of "
        f"{task_name}: its seeds diverged, or end no lower."
    )


def why_no_target(
    row: Sequence[SetResult], reference: str, share: float = TARGET_SHARE
) -> str:
    """Return why times on a task compare nothing; empty if they do.

    Args:
      row: the sets on the task, the reference among them; it improves there.
      reference: name of the set.
      share: of its improvement, as of `target_of`.
    """
    result = of_set(row, reference)
    target, first = target_of(result, share), result.best_curves()[:, 0]
    met = int((first <= target).sum())
    if not met:
        return ""
    return (
        f"the target that {reference} sets on {result.task_name}, a {result.report} "
        f"loss of {target:.6g}, is no harder than the first loss of {met} of its "
        f"{result.num_seeds} seeds (lowest: {first.min():.6g}). Compare by a reference "
        "that is trained for longer, or is evaluated more often."
    )


def target_of(reference: SetResult, share: float = TARGET_SHARE) -> float:
    """Return the loss that times on a task are taken to.

    The median seed of the reference reaches it.

    Args:
      reference: the set.
      share: of the way from the initial loss to that seed's lowest smoothed one.
    """
    start, end = reference.initial_loss, lowest(reference)
    # Rounding must not make it harder than what was reached.
    return max(start - share * (start - end), end)


def scores(
    results: Sequence[Sequence[SetResult]], set_name: str, reference: str
) -> list[np.ndarray]:
    """Return the scores of a set: 1 is as good as the reference, 0 as not trained.

    Args:
      results: for each task all sets on it, both of these among them.
      set_name: the set.
      reference: the reference, which improves on each task.

    Returns:
      For each task float64 `[runs]`, at least 0.
    """
    columns = []
    for row in results:
        ceilings = ceilings_of(row)
        result = of_set(row, set_name)
        gained = ceilings[result.report] - reported(result, ceilings)
        columns.append(gained / improvement(row, reference))
    return columns
