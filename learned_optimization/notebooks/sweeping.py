"""`sweep()`: every trial of some sets, then their archives."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    load_final_losses,
)
from learned_optimization.baselines.results import archiving
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.observing import SweepSummary
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.cli.signals import stop_requests
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import keep_compiled, use_all_cores
from learned_optimization.notebooks.choices import (
    Sets,
    Tasks,
    check_code,
    chosen_sets,
    task_names,
)
from learned_optimization.notebooks.pictures import Picture, draw, paragraphs, table
from learned_optimization.notebooks.progress import progress


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """What a sweep has trained and archived.

    Attributes:
      tasks: names of the tasks.
      sets: names of the sets.
      summary: counts and times of what was trained now.
      rows: for each task and set the best configuration, chosen on outer_valid, its
        test loss (mean and standard deviation over seeds), and how many trials have
        diverged; the best set of a task first.
    """

    tasks: tuple[str, ...]
    sets: tuple[str, ...]
    summary: SweepSummary
    rows: list[dict[str, Any]]

    def figure(self, kind: str = "curves") -> Picture:
        """Return a figure: `"curves"`, `"sensitivity"` or `"tuning"`.

        Raises:
          UnknownNameError: if it is another kind.
        """
        return draw(kind, self.tasks, self.sets)

    def __repr__(self) -> str:
        return "\n".join([self._counts(), *map(_line, self.rows)])

    def _repr_html_(self) -> str:
        return paragraphs([self._counts()]) + table(self.rows)

    def _counts(self) -> str:
        s = self.summary
        ran = s.num_trials - s.num_skipped - s.num_failed
        seconds = f", {s.run_seconds:.1f} s training" if ran else ""
        return f"{ran} trials run, {s.num_skipped} had results{seconds}"


def sweep(
    tasks: Tasks,
    sets: Sets,
    *,
    retrain: bool = False,
    time_limit: float | None = None,
) -> SweepResult:
    """Train every trial of the sets that has no result yet on the tasks; archive all.

    Interrupting it saves where it is, and the same call goes on from there.

    Args:
      tasks: names of tasks and suites, or the functions that define tasks; one or
        several.
      sets: sets or their names, one or several.
      retrain: whether results of an optimizer or a task of your own whose code has
        changed since are deleted and trained again; otherwise that is an error.
      time_limit: minutes after which it saves and stops.

    Returns:
      What shows itself as a table.

    Raises:
      LoptError: if a name or setting is wrong, results are of other code, or trials
        have failed.
      RunStoppedError: if it was interrupted, or the time is up.
    """
    names, chosen = task_names(tasks), chosen_sets(sets)
    prepare(names, chosen, retrain)
    summary = train_and_archive(names, chosen, time_limit)
    set_names = tuple(s.name for s in chosen)
    rows = [row for task in names for row in _best(task, set_names)]
    return SweepResult(tuple(names), set_names, summary, rows)


def train_and_archive(
    tasks: Sequence[str],
    hparam_sets: Sequence[HParamSet],
    time_limit: float | None = None,
) -> SweepSummary:
    """Train what has no result, and archive; errors are those of `sweep`."""
    with progress() as shown, stop_requests() as should_stop:
        summary = run_sweep(
            tasks, hparam_sets, shown, should_stop, deadline=deadline(time_limit)
        )
    if summary.num_failed:
        raise LoptError(
            f"{summary.num_failed} trials failed: {'; '.join(summary.failures)}. The "
            "same call tries them again."
        )
    for task in tasks:
        for one in hparam_sets:
            archiving.archive(task, one)
    return summary


def prepare(
    tasks: Sequence[str], hparam_sets: Sequence[HParamSet], retrain: bool
) -> None:
    """Prepare to train: all cores, programs kept, and the code that is noted."""
    use_all_cores()
    keep_compiled()
    check_code(tasks, hparam_sets, retrain)


def deadline(time_limit: float | None) -> float:
    """Return when some minutes are over, as `time.monotonic` counts."""
    return math.inf if time_limit is None else time.monotonic() + 60.0 * time_limit


def _best(task: str, set_names: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for name in set_names:
        best = best_of_set(load_final_losses(task, name), "outer_valid")
        losses = best.final["test"]
        rows.append(
            {
                "task": task,
                "set": name,
                "best": best.opt_name,
                "at_edge": bool(best.at_edge),
                "test_loss": float(losses.mean()),
                "deviation": float(losses.std(ddof=1)) if len(losses) > 1 else math.nan,
                "seeds": len(losses),
                "diverged": int(best.num_diverged),
                "trials": int(best.num_trials),
            }
        )
    return sorted(rows, key=lambda row: np.nan_to_num(row["test_loss"], nan=np.inf))


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['task']}  {row['set']}: {row['best']}, test loss "
        f"{row['test_loss']:.4f} ± {row['deviation']:.4f}, {row['diverged']} of "
        f"{row['trials']} diverged"
    )
