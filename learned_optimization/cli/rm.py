"""`lopt rm`: deletes results and archives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from learned_optimization.baselines.results.leftovers import (
    checkpoints_of,
    leftovers,
    remove,
)
from learned_optimization.baselines.results.selecting import (
    KINDS,
    MORE_SEEDS,
    behind_links,
    delete,
    files_of,
    shared_with,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import with_pretrained
from learned_optimization.baselines.speedups.specs import own_folder
from learned_optimization.cli.choosing import from_seed, split_tasks_and_sets
from learned_optimization.cli.options import (
    Checkpoints,
    Imports,
    Names,
    SeedOffset,
    SetFiles,
)
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import size
from learned_optimization.errors import LoptError, ResultError, UnknownNameError
from learned_optimization.filesystem import FileInfo
from learned_optimization.text import one_line, said


def rm(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    seed_offset: SeedOffset = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Delete only these files: results, archives, bad (results that cannot "
            "be read), copies (results of trials that have another one), more-seeds "
            "(results of seeds beyond the last of a set, as of a race), quarantine or "
            "leftovers (of killed processes; of all tasks if none is named); "
            "repeatable. Results and archives by default.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Delete without asking.")
    ] = False,
) -> None:
    """Delete results and archives, after listing them.

    If no set is named, all files of the tasks are deleted. Only files that were listed
    are deleted, and none behind a link to a folder. Exits with code 1 if some of them
    cannot be deleted.
    """
    for kind in only or []:
        if kind not in KINDS:
            raise UnknownNameError("kind of file", kind, KINDS)
    tasks, chosen = split_tasks_and_sets(names, set_files, imports, checkpoints)
    sets = from_seed(chosen, seed_offset)
    if not tasks and only == ["leftovers"]:
        _remove_leftovers(yes)
        return
    if not tasks:
        raise LoptError(
            "no task is given: name the tasks whose files are to be deleted."
        )
    if not sets and MORE_SEEDS in (only or []):
        raise LoptError(
            "no set is given: name the sets of which seeds beyond the last are to be "
            "deleted."
        )
    kinds = only or ["results", "archives"]
    files = [file for task in tasks for file in files_of(task, sets, kinds)]
    linked = [path for task in tasks for path in behind_links(task, sets, kinds)]
    if linked:
        say(f"{len(linked):,} files behind links to folders stay, such as {linked[0]}")
    if not files:
        say("nothing to delete")
        return
    _print_files(files)
    known = with_pretrained()
    others = {name for task in tasks for name in shared_with(task, sets, known, kinds)}
    if others:
        say(f"these results are also those of: {', '.join(sorted(others))}")
    if not yes:
        _confirm(len(files))
    failed = _delete_each([file.path for file in files], delete, "files")
    _say_what_stays(tasks, sets, kinds)
    _end_with(failed)


def _say_what_stays(
    tasks: Sequence[str], sets: Sequence[HParamSet], kinds: Sequence[str]
) -> None:
    if not sets or "results" not in kinds:
        return
    staying = [path for t in tasks for path in files_of(t, sets, [MORE_SEEDS])]
    if staying:
        say(
            f"{len(staying):,} results of seeds beyond the last of these sets stay; "
            f"--only {MORE_SEEDS} deletes them"
        )


def _remove_leftovers(yes: bool) -> None:
    paths = leftovers([own_folder()], [os.getcwd()])
    if not paths:
        say("nothing to delete")
        return
    for path in paths:
        say(path)
    if stopped := checkpoints_of(paths):
        say(f"{len(stopped):,} of them are checkpoints: those runs would begin again")
    if not yes:
        _confirm(len(paths))
    _end_with(_delete_each(paths, remove, "leftovers"))


def _delete_each(
    paths: Sequence[str], delete_one: Callable[[str], None], what: str
) -> list[ResultError]:
    """Delete all that can be deleted; return why the others cannot."""
    failed = []
    for path in paths:
        try:
            delete_one(path)
        except ResultError as error:
            failed.append(error)
    say(f"deleted {len(paths) - len(failed):,} {what}")
    return failed


def _end_with(failed: Sequence[ResultError]) -> None:
    for error in failed:
        say(f"stays: {said(error)}", err=True)
    if failed:
        raise typer.Exit(1)


def _print_files(files: Sequence[FileInfo]) -> None:
    for file in files:
        say(f"{size(file.size):>8}  {one_line(file.path)}")
    total = sum(file.size for file in files)
    say(f"{len(files):,} files, {size(total)}")


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise LoptError(
            "nothing was deleted: there is no terminal to ask for confirmation. Pass "
            "--yes to delete what is listed above."
        )
    if not typer.confirm(f"Delete these {count:,} files?"):
        say("nothing was deleted")
        raise typer.Exit(1)
