"""Serves the report while a sweep runs: it is made again when results change."""

from __future__ import annotations

import hashlib
import html
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    load_set_result,
)
from learned_optimization.baselines.analysis.verdicts import verdict
from learned_optimization.baselines.layout import get_baseline_archive_path
from learned_optimization.baselines.report.build import (
    PAGE,
    check_comparison,
    files_of_report,
)
from learned_optimization.baselines.results.archiving import maybe_get_hparam_set
from learned_optimization.baselines.results.status import SetStatus
from learned_optimization.baselines.results.status import status as status_of
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.errors import LoptError, ResultError

_PROGRESS = "progress"
_TYPES = {
    _PROGRESS: "application/json",
    "html": "text/html",
    "json": "application/json",
    "csv": "text/csv",
    "tex": "text/plain",
}

_WAITING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Waiting for results</title><link rel="icon" href="data:,"></head>
<body style="font: 1rem/1.5 system-ui, sans-serif; margin: 2rem">
<main><h1>Waiting for the first whole set</h1><ul>{lines}</ul></main></body></html>
"""


class LiveReport:
    """The report on those sets that have all results, archived or not.

    Args:
      task_names: tasks.
      hparam_sets: sets.
      select: split whose loss selects configurations.
      report: split whose loss is reported.
      reference: the set that scores and speed-ups refer to, once it is there.
      on_error: told of what went wrong while looking, once; the last report stays.

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
    ):
        self._tasks, self._sets = list(task_names), list(hparam_sets)
        self._select, self._report, self._reference = select, report, reference
        self._on_error = on_error
        check_comparison(
            self._tasks, [s.name for s in self._sets], select, report, reference
        )
        self._loaded: dict[tuple[str, str], tuple[object, SetResult | str]] = {}
        self._said: set[str] = set()
        self.version = ""
        self.files: dict[str, str] = {PAGE: _WAITING.format(lines=""), _PROGRESS: "[]"}

    def look(self) -> bool:
        """Look at the results; returns whether what is compared has changed."""
        try:
            return self._look()
        except Exception as error:
            # A file may be moved at this moment; the next look may go well.
            self._complain(str(error) or repr(error))
            return False

    def _look(self) -> bool:
        rows = status_of(self._tasks, self._sets)
        loaded = {(row.task, row.hparam_set): self._load(row) for row in rows}
        whole = [
            s.name
            for s in self._sets
            if all(isinstance(loaded[t, s.name], SetResult) for t in self._tasks)
        ]
        progress = [
            f"{row.hparam_set} on {row.task}: {problem}"
            for row in rows
            if isinstance(problem := loaded[row.task, row.hparam_set], str)
        ]
        states = [_state(row) for row in rows if row.hparam_set in whole]
        version = hashlib.sha256(repr([whole, states]).encode()).hexdigest()
        files = self.files
        if version != self.version or not whole:
            files = self._make(whole, loaded, progress, version)
        changed, self.version = version != self.version, version
        self.files = {**files, _PROGRESS: json.dumps(progress)}
        return changed

    def _make(
        self,
        whole: Sequence[str],
        loaded: Mapping[tuple[str, str], SetResult | str],
        progress: Sequence[str],
        version: str,
    ) -> dict[str, str]:
        if not whole:
            lines = "".join(f"<li>{html.escape(line)}</li>" for line in progress)
            return {PAGE: _WAITING.format(lines=lines)}
        results = [
            [r for s in whole if isinstance(r := loaded[task, s], SetResult)]
            for task in self._tasks
        ]
        reference = self._reference if self._reference in whole else None
        try:
            return files_of_report(
                results,
                verdict(results, reference),
                live_version=version,
                progress=progress,
            )
        except LoptError as error:
            self._complain(str(error))
            return {PAGE: _WAITING.format(lines=f"<li>{html.escape(str(error))}</li>")}

    def _complain(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._on_error(message)

    def _load(self, row: SetStatus) -> SetResult | str:
        """Return the set, or how far it is, or why it cannot be used."""
        place, state = (row.task, row.hparam_set), _state(row)
        known = self._loaded.get(place)
        if known is None or known[0] != state:
            try:
                known = state, self._read(row)
            except ResultError as error:
                self._complain(str(error))
                known = state, str(error)
            self._loaded[place] = known
        return known[1]

    def _read(self, row: SetStatus) -> SetResult | str:
        arguments = row.task, row.hparam_set, self._select, self._report
        if row.archive == "yes":
            return load_set_result(*arguments)
        if row.counts["done"] + row.counts["diverged"] < row.num_trials:
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
    done = row.counts["done"] + row.counts["diverged"]
    text = f"{done:,} of {row.num_trials:,} trials done"
    for state in ("running", "failed", "timed out", "interrupted"):
        if row.counts[state]:
            text += f", {row.counts[state]:,} {state}"
    return text


def make_server(
    live: LiveReport, port: int, host: str = "127.0.0.1"
) -> ThreadingHTTPServer:
    """Return an HTTP server of a live report; `serve_forever` starts it.

    Args:
      live: the report.
      port: where it listens; 0 for any that is free.
      host: the address it listens at; by default nobody outside of this machine
        reaches it.

    Raises:
      LoptError: if the port is taken, or the address is not this machine's.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("?")[0].strip("/") or PAGE
            if name == "version":
                self._answer(live.version, "text/plain")
            elif name in live.files:
                ending = name.rsplit(".", 1)[-1]
                self._answer(live.files[name], _TYPES[ending])
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _answer(self, text: str, kind: str) -> None:
            body = text.encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            # A page asks every two seconds: that is not worth a line.
            del format, args

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise LoptError(
            f"cannot listen at {host}:{port}: {error.strerror}. Choose another port, "
            "or a host that is an address of this machine."
        ) from None


def watch(live: LiveReport, seconds: float, stop: threading.Event) -> None:
    """Look at the results at intervals, until told to stop.

    Args:
      live: the report.
      seconds: time between two checks for new results.
      stop: ends it.
    """
    while not stop.wait(seconds):
        live.look()
