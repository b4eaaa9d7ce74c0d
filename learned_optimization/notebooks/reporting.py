"""`report()`: archived sets compared, verdict first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.report import rows
from learned_optimization.baselines.report.build import (
    PAGE,
    analyse,
    files_of_report,
    write,
)
from learned_optimization.baselines.report.words import headline
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.notebooks.choices import Sets, Tasks, task_names
from learned_optimization.notebooks.pictures import (
    Page,
    Picture,
    draw,
    paragraphs,
    table,
)

_COLUMNS = ("task", "set", "rank", "config", "loss", "loss_low", "loss_high", "is_out")


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """Sets compared on tasks.

    Attributes:
      results: for each task one result per set.
      verdict: the verdict on them.
      title: of the page; what is compared, if None.
      notes: what stands above the verdict on the page: heading to sentences.
    """

    results: list[list[SetResult]] = field(repr=False)
    verdict: Verdict = field(repr=False)
    title: str | None = None
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """What came out, in a few sentences."""
        said = [sentence for some in self.notes.values() for sentence in some]
        return [*headline(self.results, self.verdict), *said]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each task and set, best set of a task first."""
        return rows.task_rows(self.results, self.verdict)

    @property
    def overall(self) -> list[dict[str, Any]]:
        """One row for each set over all tasks."""
        return rows.overall_rows(self.verdict)

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """One row for each pair of sets: who is better, and how sure that is."""
        return rows.pair_rows(self.verdict)

    @property
    def left_out(self) -> list[str]:
        """What could not be compared, and why."""
        return [str(left) for left in self.verdict.left_out]

    def figure(self, kind: str = "curves") -> Picture:
        """Return a figure: `"curves"`, `"sensitivity"` or `"tuning"`.

        Raises:
          UnknownNameError: if it is another kind.
        """
        tasks = [row[0].task_name for row in self.results]
        return draw(kind, tasks, self.verdict.set_names)

    def page(self, height: int = 800) -> Page:
        """Return the whole page that `lopt report` writes, in a frame.

        Args:
          height: of the frame, in pixels.
        """
        return Page(self._files()[PAGE], height)

    def save(self, folder: str) -> str:
        """Write the page and its tables, and return the path of the page.

        Args:
          folder: the folder; files of an earlier report are replaced.

        Raises:
          ResultError: if it cannot be written.
        """
        write(self._files(), folder)
        return filesystem.join(folder, PAGE)

    def _files(self) -> dict[str, str]:
        return files_of_report(self.results, self.verdict, self.title, notes=self.notes)

    def __repr__(self) -> str:
        return "\n".join([*self.sentences, *(f"left out: {s}" for s in self.left_out)])

    def _repr_html_(self) -> str:
        shown = [{name: row[name] for name in _COLUMNS} for row in self.rows]
        left = [f"left out: {sentence}" for sentence in self.left_out]
        return paragraphs(self.sentences) + table(shown) + paragraphs(left)


def report(
    tasks: Tasks,
    sets: Sets,
    *,
    split: str = "test",
    select: str = "outer_valid",
    reference: str | None = None,
    tolerance: float = TOLERANCE,
    title: str | None = None,
) -> Report:
    """Compare archived sets.

    Args:
      tasks: as of `sweep`.
      sets: sets or their names, archived on every one of the tasks.
      split: whose loss is reported.
      select: the split whose final loss selects the best configuration.
      reference: the set that scores and speed-ups refer to; Adam's if None.
      tolerance: share of what the reference improves that does not matter.
      title: of the page.

    Returns:
      What shows itself as the verdict and a table.

    Raises:
      LoptError: if nothing is to be compared, or a name is wrong.
      ResultError: if a set is not archived on a task, or none can be used.
    """
    given = [sets] if isinstance(sets, str | HParamSet) else sets
    names = [s.name if isinstance(s, HParamSet) else s for s in given]
    results, verdict = analyse(
        task_names(tasks), names, select, split, reference, tolerance
    )
    return Report(results, verdict, title)
