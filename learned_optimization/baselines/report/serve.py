"""Serves the report while a sweep runs: it is made again when results change."""

from __future__ import annotations

import hashlib
import html
import json
import threading
from collections.abc import Callable, Sequence

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.analysis.costs import with_costs
from learned_optimization.baselines.analysis.left_out import LeftOut
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    load_set_result,
)
from learned_optimization.baselines.analysis.verdicts import check_tolerance, compare
from learned_optimization.baselines.layout import get_baseline_archive_path
from learned_optimization.baselines.report.build import (
    PAGE,
    check_comparison,
    files_of_report,
)
from learned_optimization.baselines.report.server import PROGRESS, make_server
from learned_optimization.baselines.results.archiving import maybe_get_hparam_set
from learned_optimization.baselines.results.status import SetStatus
from learned_optimization.baselines.results.status import status as status_of
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.benchmarking.optimizer_cost import load_costs
from learned_optimization.errors import LoptError, ResultError

__all__ = ["LiveReport", "make_server", "watch"]

_WAITING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Waiting for results</title><link rel="icon" href="data:,"></head>
<body style="font: 1rem/1.5 system-ui, sans-serif; margin: 2rem">
<main><h1>{title}</h1><ul>{lines}</ul></main></body></html>
"""


def _waiting(
    lines: Sequence[str], title: str = "Waiting for the first whole set"
) -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return _WAITING.format(title=title, lines=items)


_Loaded = SetResult | LeftOut | str
"""A set on a task, or why it cannot be used, or how far it is."""


class LiveReport:
    """The report on those sets that have all results, archived or not.

    Args:
      task_names: tasks.
      hparam_sets: sets.
      select: split whose loss selects configurations.
      report: split whose loss is reported.
      reference: the set that scores and speed-ups refer to, once it is there.
      on_error: told of what went wrong while looking, once; the last report stays.
      tolerance: share of what the reference improves that does not matter.

    Attributes:
      version: changes whenever what is compared does.
      files: the report's files, name to text: those of `files_of_report`, and
        `progress`, a JSON list of what is still to come.

    Raises:
      LoptError: if there is no task or set, a split is none that runs evaluate, or
        the reference is none of the sets.
    """

    def __init__(
        self,
        task_names: Sequence[str],
        hparam_sets: Sequence[HParamSet],
        select: str = "outer_valid",
        report: str = "test",
        reference: str | None = None,
        on_error: Callable[[str], None] = lambda message: None,
        tolerance: float = TOLERANCE,
    ):
        check_tolerance(tolerance)
        self._tasks, self._sets = list(task_names), list(hparam_sets)
        self._select, self._report, self._reference = select, report, reference
        self._on_error, self._tolerance = on_error, tolerance
        check_comparison(
            self._tasks, [s.name for s in self._sets], select, report, reference
        )
        self._loaded: dict[tuple[str, str], tuple[object, _Loaded]] = {}
        self._said: set[str] = set()
        self.version = ""
        self.files: dict[str, str] = {PAGE: _waiting([]), PROGRESS: "[]"}

    def look(self) -> bool:
        """Look at the results; returns whether what is compared has changed."""
        try:
            return self._look()
        except Exception as error:
            # A file may be moved at this moment; the next look may go well.
            message = str(error) or repr(error)
            self._complain(message)
            if not self.version:
                # There is no last report that could stay.
                page = _waiting([message], "There is no report yet")
                self.files = {PAGE: page, PROGRESS: json.dumps([message])}
            return False

    def _look(self) -> bool:
        rows = status_of(self._tasks, self._sets)
        loaded = {(row.task, row.hparam_set): self._load(row) for row in rows}
        whole = [
            s.name
            for s in self._sets
            if not any(isinstance(loaded[t, s.name], str) for t in self._tasks)
        ]
        progress = [
            f"{row.hparam_set} on {row.task}: {problem}"
            if isinstance(problem := loaded[row.task, row.hparam_set], str)
            else str(problem)
            for row in rows
            if not isinstance(loaded[row.task, row.hparam_set], SetResult)
        ]
        states = [_state(row) for row in rows if row.hparam_set in whole]
        version = hashlib.sha256(repr([whole, states]).encode()).hexdigest()
        results = [
            [r for s in whole if isinstance(r := loaded[task, s], SetResult)]
            for task in self._tasks
        ]
        files = self.files
        if not any(results):
            files = {PAGE: _waiting(progress)}
        elif version != self.version:
            left = [r for r in loaded.values() if isinstance(r, LeftOut)]
            files = self._make(results, left, progress, version)
        changed, self.version = version != self.version, version
        self.files = {**files, PROGRESS: json.dumps(progress)}
        return changed

    def _make(
        self,
        results: Sequence[Sequence[SetResult]],
        left_out: Sequence[LeftOut],
        progress: Sequence[str],
        version: str,
    ) -> dict[str, str]:
        results = with_costs([row for row in results if row], load_costs())
        there = {result.set_name for row in results for result in row}
        reference = self._reference if self._reference in there else None
        try:
            return files_of_report(
                results,
                compare(
                    results,
                    reference,
                    left_out=left_out,
                    tolerance=self._tolerance,
                ),
                live_version=version,
                progress=progress,
            )
        except LoptError as error:
            self._complain(str(error))
            return {PAGE: _waiting([str(error)], "There is no report yet")}

    def _complain(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._on_error(message)

    def _load(self, row: SetStatus) -> _Loaded:
        place, state = (row.task, row.hparam_set), _state(row)
        known = self._loaded.get(place)
        if known is None or known[0] != state:
            try:
                known = state, self._read(row)
            except ResultError as error:
                self._complain(str(error))
                known = state, LeftOut(row.task, row.hparam_set, str(error))
            self._loaded[place] = known
        return known[1]

    def _read(self, row: SetStatus) -> SetResult | str:
        arguments = row.task, row.hparam_set, self._select, self._report
        if row.archive == "yes":
            return load_set_result(*arguments)
        if row.num_with_results < row.num_trials:
            return _progress(row)
        arrays = maybe_get_hparam_set(row.task, row.hparam_set)
        if arrays is None:
            return _progress(row)
        return load_set_result(*arguments, arrays=arrays)


def _state(row: SetStatus) -> tuple[object, ...]:
    return (
        row.task,
        row.hparam_set,
        tuple(sorted(row.counts.items())),
        row.archive,
        row.modified,
        "" if row.archive == "no" else filesystem.info(_path(row)).stamp,
    )


def _path(row: SetStatus) -> str:
    return get_baseline_archive_path(row.task, row.hparam_set)


def _progress(row: SetStatus) -> str:
    done = row.num_with_results
    text = f"{done:,} of {row.num_trials:,} trials done"
    for state in ("running", "failed", "timed out", "interrupted"):
        if row.counts[state]:
            text += f", {row.counts[state]:,} {state}"
    return text


def watch(live: LiveReport, seconds: float, stop: threading.Event) -> None:
    """Look at the results at intervals, until told to stop.

    Args:
      live: the report.
      seconds: time between two checks for new results.
      stop: ends it.
    """
    while not stop.wait(seconds):
        live.look()
