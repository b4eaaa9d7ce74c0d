"""Builds the report's folder: the page, and its tables for other tools."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from learned_optimization import filesystem
from learned_optimization.baselines.analysis import verdicts
from learned_optimization.baselines.analysis.best_of_set import check_eval_split
from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.analysis.costs import with_costs
from learned_optimization.baselines.analysis.left_out import LeftOut
from learned_optimization.baselines.analysis.scores import check_is_one_of
from learned_optimization.baselines.analysis.set_results import SetResult, comparable
from learned_optimization.baselines.analysis.verdicts import Verdict
from learned_optimization.baselines.report import rows
from learned_optimization.baselines.report.latex import as_latex
from learned_optimization.baselines.report.page import render
from learned_optimization.benchmarking.optimizer_cost import load_costs
from learned_optimization.errors import LoptError

PAGE = "index.html"


def analyse(
    task_names: Sequence[str],
    set_names: Sequence[str],
    select: str = "outer_valid",
    report: str = "test",
    reference: str | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[list[list[SetResult]], Verdict]:
    """Load sets on tasks and compare them; what cannot be compared is left out.

    Args:
      task_names: tasks.
      set_names: sets, archived on every one of them.
      select: split whose loss selects configurations.
      report: split whose loss is reported.
      reference: the set that scores and speed-ups refer to; Adam's if None.
      tolerance: share of what the reference improves that does not matter: sets that
        differ by less are equivalent.

    Returns:
      For each task one result per set, of tasks and sets that can be used, with what
      was measured of its optimizer on this machine (`load_costs`), and the verdict on
      them, which has the reasons of what is left out.

    Raises:
      LoptError: if nothing is to be compared, or the reference is not among the
        sets.
      MissingArchiveError: if a set is not archived on a task.
      ResultError: if none of the archives can be used, with all reasons.
    """
    check_comparison(task_names, set_names, select, report, reference)
    verdicts.check_tolerance(tolerance)
    left: list[LeftOut] = []
    results = verdicts.load_results(task_names, set_names, select, report, left.append)
    results = with_costs(results, load_costs())
    return results, verdicts.compare(
        results, reference, left_out=left, tolerance=tolerance
    )


def check_comparison(
    task_names: Sequence[str],
    set_names: Sequence[str],
    select: str,
    report: str,
    reference: str | None,
) -> None:
    """Refuse what cannot be compared, before anything is read.

    The arguments are those of `analyse`.

    Raises:
      LoptError: naming what is wrong.
    """
    check_eval_split(select)
    check_eval_split(report)
    if not task_names or not set_names:
        raise LoptError("a report needs at least one task and one set.")
    if reference is not None:
        check_is_one_of(reference, set_names)


def files_of_report(
    results: Sequence[Sequence[SetResult]],
    verdict: Verdict,
    title: str | None = None,
    live_version: str = "",
    progress: Sequence[str] = (),
    command: str | None = None,
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the report's files: name to text.

    Args:
      results: for each task one result per set, of those that can be used.
      verdict: the verdict on them.
      title: of the page.
      live_version: of a page that looks now and then whether there is another.
      progress: sentences on what is still being trained.
      command: trains what is shown and makes this page; that of `lopt report`, which
        trains nothing, if None.
      notes: as of `page.render`.
    """
    results = [comparable(row) for row in results]
    trains = command is not None
    command = command or _command(results, verdict, title)
    num_sets, num_tasks = len(verdict.set_names), len(results)
    title = title or (
        f"{num_sets} set{'s' * (num_sets != 1)} on "
        + (f"{num_tasks} tasks" if num_tasks > 1 else results[0][0].task_name)
    )
    tables = {
        "tasks.csv": rows.as_csv(rows.task_rows(results, verdict)),
        "overall.csv": rows.as_csv(rows.overall_rows(verdict), rows.OVERALL_COLUMNS),
        "pairs.csv": rows.as_csv(rows.pair_rows(verdict), rows.PAIR_COLUMNS),
        "table.tex": as_latex(results, verdict),
        "results.json": rows.as_json(results, verdict),
    }
    page = render(
        results,
        verdict,
        title=title,
        command=command,
        downloads=tables,
        live_version=live_version,
        progress=progress,
        notes=notes,
        is_trained_by_command=trains,
    )
    return {PAGE: page, **tables}


def build_report(
    task_names: Sequence[str],
    set_names: Sequence[str],
    output: str,
    select: str = "outer_valid",
    report: str = "test",
    reference: str | None = None,
    title: str | None = None,
    tolerance: float = TOLERANCE,
) -> str:
    """Write the report on sets and tasks.

    Args:
      task_names: tasks.
      set_names: sets, archived on every one of them.
      output: folder of the report; files of an earlier one are replaced.
      select: split whose loss selects configurations.
      report: split whose loss is reported.
      reference: the set that scores and speed-ups refer to; Adam's if None.
      title: of the page.
      tolerance: as of `analyse`.

    Returns:
      Path of the page.

    Raises:
      LoptError: as `analyse`; nothing is written then.
    """
    results, verdict = analyse(
        task_names, set_names, select, report, reference, tolerance
    )
    write(files_of_report(results, verdict, title), output)
    return filesystem.join(output, PAGE)


def write(files: Mapping[str, str], output: str) -> None:
    """Write the report's files.

    Args:
      files: name to text.
      output: their folder.
    """
    # The page last: where it is new, the tables are.
    for name in sorted(files, key=lambda name: name == PAGE):
        data = files[name].encode()
        path = filesystem.join(output, name)
        filesystem.write_bytes(path, data)


def _command(
    results: Sequence[Sequence[SetResult]], verdict: Verdict, title: str | None
) -> str:
    left = verdict.left_out
    words = ["lopt", "report"]
    words += dict.fromkeys(
        [*(row[0].task_name for row in results), *(lo.task_name for lo in left)]
    )
    words += dict.fromkeys(
        [*verdict.set_names, *(lo.set_name for lo in left if lo.set_name)]
    )
    first = results[0][0]
    if first.select != "outer_valid":
        words += ["--select", first.select]
    if first.report != "test":
        words += ["--split", first.report]
    if verdict.reference:
        words += ["--reference", verdict.reference]
    if verdict.tolerance != TOLERANCE:
        words += ["--tolerance", f"{verdict.tolerance:g}"]
    if title:
        words += ["--title", title]
    return shlex.join(words)
