"""`lopt status`: what there is of results."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated

import typer

from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.status import STATES, SetStatus
from learned_optimization.baselines.results.status import status as status_of
from learned_optimization.baselines.sets.registry import with_pretrained
from learned_optimization.cli.choosing import (
    from_seed,
    is_pattern,
    split_tasks_and_sets,
)
from learned_optimization.cli.options import (
    Checkpoints,
    Imports,
    Names,
    SeedOffset,
    SetFiles,
    remember_verbose,
)
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import (
    Console,
    Table,
    console,
    is_live,
    json_option,
    print_json,
    size,
)
from learned_optimization.errors import UnknownNameError


def status(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    seed_offset: SeedOffset = None,
    as_json: Annotated[
        bool,
        json_option(
            "task, set, trials, the number in each state, bad, copies, bytes, modified "
            "(seconds since 1970), archive, not_done, bad_files, trained_by, more_seeds"
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            callback=remember_verbose,
            help="Also list each trial that is not done; after an error, print where "
            "in the code it arose.",
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read and check every byte of every file.")
    ] = False,
) -> None:
    """Count the trials of sets by state: done, diverged, failed, archived, missing.

    A pattern such as 'Adam*' chooses among the tasks and sets that have results.
    """
    patterns = [name for name in names or [] if is_pattern(name)]
    exact = [name for name in names or [] if not is_pattern(name)]
    tasks, chosen = split_tasks_and_sets(exact, set_files, imports, checkpoints)
    sets = from_seed(chosen, seed_offset)
    rows = status_of(
        tasks,
        sets,
        with_pretrained(),
        on_read=_say_how_many,
        check=check,
    )
    rows = _matching(rows, patterns)
    if as_json:
        print_json([row.as_json() for row in rows])
        return
    _print_table(rows)
    if verbose:
        _print_details(rows)


def _matching(rows: list[SetStatus], patterns: Sequence[str]) -> list[SetStatus]:
    """Return the rows whose task and set the patterns allow."""
    tasks, sets = {row.task for row in rows}, {row.hparam_set for row in rows}
    for pattern in patterns:
        if not _matches(tasks, [pattern]) and not _matches(sets, [pattern]):
            raise UnknownNameError("task or set with results", pattern, tasks | sets)
    # With no pattern for tasks, those of every task are shown; so with sets.
    shown_tasks = _matches(tasks, patterns) or tasks
    shown_sets = _matches(sets, patterns) or sets
    return [r for r in rows if r.task in shown_tasks and r.hparam_set in shown_sets]


def _matches(names: Collection[str], patterns: Sequence[str]) -> set[str]:
    return {n for n in names for p in patterns if fnmatch.fnmatchcase(n, p)}


def _say_how_many(done: int, total: int) -> None:
    if total > 1000 and is_live(Console(stderr=True)):
        end = "\r" if done < total else "\n"
        say(f"opened {done:,} of {total:,} files", err=True, end=end)


def _print_table(rows: Sequence[SetStatus]) -> None:
    if not rows:
        say(f"no results in {get_root_baseline_dir()}")
        return
    shown = [s for s in STATES if s in ("done", "diverged", "failed", "missing")]
    # The rarer states have a column only where a trial is in one of them.
    shown = [s for s in STATES if s in shown or any(row.counts[s] for row in rows)]
    for task in dict.fromkeys(row.task for row in rows):
        table = Table(title=task, title_justify="left")
        table.add_column("set", overflow="fold", min_width=22)
        # So have copies, and seeds beyond the last of a set.
        extra = [c for c in _EXTRA if any(getattr(row, c) for row in rows)]
        named = [c.replace("_", " ") for c in extra]
        for column in ("trials", *shown, "bad", *named, "size"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("last update", no_wrap=True)
        table.add_column("archive")
        for row in (row for row in rows if row.task == task):
            table.add_row(
                row.hparam_set,
                f"{row.num_trials:,}",
                *(_count(row.counts[state]) for state in shown),
                _count(row.bad),
                *(_count(getattr(row, c)) for c in extra),
                size(row.size),
                _time(row.modified),
                row.archive,
            )
        console().print(table)
        for row in (row for row in rows if row.task == task):
            for claim, count in row.running:
                say(
                    f"{row.hparam_set}: {claim.owner} trains {count:,} trials since "
                    f"{_time(claim.since)}, last heard of at "
                    f"{datetime.fromtimestamp(claim.renewed):%H:%M:%S}"
                )


_EXTRA = ("copies", "more_seeds")


def _count(count: int) -> str:
    return f"{count:,}" if count else "-"


def _time(seconds: float) -> str:
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _print_details(rows: Sequence[SetStatus]) -> None:
    for row in rows:
        for folder, seed, state, reason in row.trials:
            first = reason.strip().partition("\n")[0]
            say(f"{state}: {folder}, seed {seed}{': ' * bool(first)}{first}")
        for _, problem in row.bad_files:
            say(f"bad: {problem}")
