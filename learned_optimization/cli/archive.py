"""`lopt archive`: gather the trials of sets into one file per task and set."""

from __future__ import annotations

from typing import Annotated

import typer

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_baseline_archive_rootdir
from learned_optimization.baselines.results import archiving
from learned_optimization.baselines.sets.published import as_published
from learned_optimization.cli.advice import with_advice
from learned_optimization.cli.choosing import from_seed, tasks_and_sets_to_run
from learned_optimization.cli.options import (
    Checkpoints,
    Imports,
    Names,
    SeedOffset,
    SetFiles,
)
from learned_optimization.cli.output import say
from learned_optimization.errors import ResultError


def archive(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    seed_offset: SeedOffset = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every trial has a result.")
    ] = False,
    poll_seconds: Annotated[
        float,
        typer.Option(
            min=0.01,
            metavar="SECONDS",
            help="With --wait: seconds between two checks for new results.",
        ),
    ] = 60.0,
    published: Annotated[
        bool,
        typer.Option(
            "--as-published",
            help="Archive all the learning rates a set was published with: 1e-7 too.",
        ),
    ] = False,
) -> None:
    """Archive complete sets, one file per task and set.

    For an incomplete set, print which trials are missing, and exit with code 1.
    """
    tasks, chosen = tasks_and_sets_to_run(names, set_files, imports, checkpoints)
    hparam_sets = from_seed(chosen, seed_offset)
    if published:
        hparam_sets = [as_published(s) for s in hparam_sets]
    filesystem.check_writable(get_baseline_archive_rootdir())
    incomplete = False
    for task, hparam_set in [(t, s) for t in tasks for s in hparam_sets]:
        if wait:
            archiving.wait_until_ready_then_archive_task(
                task,
                hparam_set.name,
                poll_seconds=poll_seconds,
                as_published=published,
            )
            say(f"archived {hparam_set.name}")
            continue
        try:
            say(f"archived {archiving.archive(task, hparam_set)}")
        except ResultError as error:
            say(f"error: {with_advice(error)}", err=True)
            incomplete = True
    if incomplete:
        raise typer.Exit(1)
