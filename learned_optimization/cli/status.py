"""`lopt status` and `lopt rm`: what there is of results, and deleting it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from learned_optimization.cli.options import (
    Imports,
    Names,
    SetFiles,
    fixed_tasks,
    load_sets,
    split_tasks_and_sets,
    tasks_with_files,
)
from learned_optimization.errors import LoptError, UnknownNameError

if TYPE_CHECKING:
    from learned_optimization.baselines.results.status import SetStatus
    from learned_optimization.filesystem import FileInfo


def status(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", help="Also list each trial that is not done."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read and check every byte of every file.")
    ] = False,
) -> None:
    """Show how the trials of sets stand: done, diverged, failed, missing, bad."""
    from learned_optimization.baselines.results.status import status as status_of
    from learned_optimization.baselines.sets.registry import all_hparam_sets

    tasks, sets = split_tasks_and_sets(names, set_files, imports)
    rows = status_of(
        tasks,
        sets,
        list(all_hparam_sets().values()),
        on_read=_say_how_many,
        check=check,
    )
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in rows], indent=1))
        return
    _print_table(rows)
    if verbose:
        _print_details(rows)


def _say_how_many(done: int, total: int) -> None:
    if sys.stderr.isatty() and total > 1000:
        end = "\r" if done < total else "\n"
        print(f"opened {done:,} of {total:,} files", end=end, file=sys.stderr)


def _print_table(rows: Sequence[SetStatus]) -> None:
    from rich.table import Table

    from learned_optimization.baselines.layout import get_root_baseline_dir
    from learned_optimization.baselines.results.status import STATES
    from learned_optimization.cli.tables import console

    if not rows:
        typer.echo(f"no results in {get_root_baseline_dir()}")
        return
    shown = [s for s in STATES if s in ("done", "diverged", "failed", "missing")]
    # The rarer ways to stand have a column only where a trial stands so.
    shown = [s for s in STATES if s in shown or any(row.counts[s] for row in rows)]
    for task in dict.fromkeys(row.task for row in rows):
        table = Table(title=task, title_justify="left")
        table.add_column("set", overflow="fold", min_width=22)
        for column in ("trials", *shown, "bad", "size"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("last update", no_wrap=True)
        table.add_column("archive")
        for row in (row for row in rows if row.task == task):
            table.add_row(
                row.hparam_set,
                f"{row.num_trials:,}",
                *(_count(row.counts[state]) for state in shown),
                _count(row.bad),
                _size(row.size),
                _time(row.modified),
                row.archive,
            )
        console().print(table)


def _count(count: int) -> str:
    return f"{count:,}" if count else "-"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _time(seconds: float) -> str:
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _print_details(rows: Sequence[SetStatus]) -> None:
    for row in rows:
        for folder, seed, state, reason in row.trials:
            first = reason.strip().partition("\n")[0]
            typer.echo(f"{state}: {folder}, seed {seed}{': ' * bool(first)}{first}")
        for _, problem in row.bad_files:
            typer.echo(f"bad: {problem}")


def rm(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task.")],
    sets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SET]...", help="The sets; all of the task if none."),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these files: results, archives, bad (results that cannot be "
            "read), quarantine or leftovers (of killed writers); repeatable. Results "
            "and archives if not given."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Do not ask for confirmation.")
    ] = False,
) -> None:
    """Delete results and archives, after listing them: just what is listed."""
    from learned_optimization import filesystem
    from learned_optimization.baselines.results.selecting import (
        KINDS,
        files_of,
        shared_with,
    )
    from learned_optimization.baselines.sets.registry import (
        all_hparam_sets,
        get_hparam_set,
    )

    for kind in only or []:
        if kind not in KINDS:
            raise UnknownNameError("kind of file", kind, KINDS)
    from_files = load_sets(set_files, imports)
    if task not in (known := tasks_with_files()) and task not in fixed_tasks():
        raise UnknownNameError("task", task, known | fixed_tasks())
    chosen = [*map(get_hparam_set, sets or []), *from_files]
    files = files_of(task, chosen, only or ["results", "archives"])
    if not files:
        typer.echo("nothing to delete")
        return
    _print_files(files)
    if others := shared_with(task, chosen, list(all_hparam_sets().values())):
        typer.echo(f"these results are also those of: {', '.join(others)}")
    if not yes:
        _confirm(len(files))
    for file in files:
        filesystem.remove_file(file.path)
    typer.echo(f"deleted {len(files):,} files")


def _print_files(files: Sequence[FileInfo]) -> None:
    for file in files:
        typer.echo(f"{_size(file.size):>8}  {file.path}")
    total = sum(file.size for file in files)
    typer.echo(f"{len(files):,} files, {_size(total)}")


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise LoptError(
            "nothing was deleted: there is no terminal to ask for confirmation. Pass "
            "--yes to delete what is listed above."
        )
    if not typer.confirm(f"Delete these {count:,} files?"):
        typer.echo("nothing was deleted")
        raise typer.Exit(1)
