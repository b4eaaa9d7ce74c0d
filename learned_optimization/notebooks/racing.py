"""`race()`: which of several sets is best, with few trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from learned_optimization.baselines import stats
from learned_optimization.baselines.report.race_data import headline, plain_data
from learned_optimization.baselines.sweeps.race import run_race
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.cli.signals import stop_requests
from learned_optimization.errors import LoptError
from learned_optimization.notebooks.choices import (
    Sets,
    Tasks,
    chosen_sets,
    task_names,
)
from learned_optimization.notebooks.pictures import Page, paragraphs, table
from learned_optimization.notebooks.progress import progress
from learned_optimization.notebooks.sweeping import deadline, prepare


@dataclass(frozen=True, eq=False, repr=False)
class RaceResult:
    """How a race has ended.

    Attributes:
      standing: how it stands, with all that its looks have found.
    """

    standing: RaceStanding

    @property
    def verdict(self) -> str:
        """The verdict, in a sentence."""
        return self.standing.sentence()

    @property
    def left(self) -> list[str]:
        """Names of the sets that may be the best."""
        return list(self.standing.left)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """For each task and set, how it stands."""
        return self.as_dict()["sets"]

    def as_dict(self) -> dict[str, Any]:
        """Return all that the race has found, as `lopt race --json` prints it."""
        return plain_data(self.standing)

    def page(self, height: int = 800) -> Page:
        """Return the report of what the race has left, in a frame.

        Args:
          height: of the frame, in pixels.

        Raises:
          LoptError: if the results cannot be compared.
        """
        # It takes a second to import.
        from learned_optimization.baselines.report.build import PAGE
        from learned_optimization.baselines.report.race import files_of_race

        return Page(files_of_race(self.standing)[PAGE], height)

    def __repr__(self) -> str:
        remarks = self.standing.remarks()
        return "\n".join([headline(self.standing), *remarks, self.verdict])

    def _repr_html_(self) -> str:
        columns = ("task", "set", "is_left", "out_at", "chosen", "loss", "loss_error")
        rows = [{name: row[name] for name in columns} for row in self.rows]
        return (
            paragraphs([headline(self.standing), *self.standing.remarks()])
            + table(rows)
            + paragraphs([self.verdict])
        )


def race(
    tasks: Tasks,
    sets: Sets,
    tolerance: float,
    *,
    alpha: float = 0.05,
    max_seeds: int = 128,
    max_trials: int | None = None,
    until: Literal["all", "best"] = "all",
    anytime: bool = False,
    fill: int | None = None,
    seed_offset: int = 0,
    retrain: bool = False,
    time_limit: float | None = None,
) -> RaceResult:
    """Find which of several sets is best on tasks, with few trials.

    Sets are compared at 4, 8, 16 ... seeds; configurations that are worse are trained
    no further. Interrupting it saves where it is, and the same call goes on.

    Args:
      tasks: as of `sweep`.
      sets: at least two sets, or their names.
      tolerance: difference in test loss that does not matter; on several tasks, in the
        mean over tasks of the share of the loss before training.
      alpha: how likely a set that is truly best may ever be out.
      max_seeds: seeds of the last look.
      max_trials: end undecided rather than begin a look that takes more in all.
      until: `"all"`, or `"best"`: also end once one set is within the tolerance.
      anytime: test by an e-process in place of a t test; on one task.
      fill: as of `run_race`.
      seed_offset: the first seed.
      retrain: as of `sweep`, and so is `time_limit`.
      time_limit: minutes after which it saves and stops.

    Returns:
      What shows itself as the verdict.

    Raises:
      LoptError: as `run_race`; if results are of other code, or trials have failed.
      RunStoppedError: if it was interrupted, or the time is up.
    """
    names, chosen = task_names(tasks), chosen_sets(sets)
    rules = stats.RaceRules(
        tolerance,
        alpha=alpha,
        max_seeds=max_seeds,
        until=until,
        max_trials=max_trials,
        evidence=stats.EProcess() if anytime else stats.SmallerT(),
    )
    prepare(names, chosen, retrain)
    with progress() as shown, stop_requests() as should_stop:
        standing = run_race(
            names,
            chosen,
            rules,
            shown,
            should_stop,
            seed_offset=seed_offset,
            deadline=deadline(time_limit),
            fill=fill,
        )
    if missing := standing.missing():
        raise LoptError(
            f"the race waits for trials that failed: {'; '.join(missing)} "
            f"({'; '.join(standing.summary.failures)}). The same call tries them again."
        )
    return RaceResult(standing)
