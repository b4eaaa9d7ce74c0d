"""`lopt archive`: gather the trials of sets into one file each."""

from __future__ import annotations

from typing import Annotated

import typer

from learned_optimization.cli.options import (
    Imports,
    SetFiles,
    SetNames,
    TaskName,
    chosen_sets,
)


def archive(
    task: TaskName,
    sets: SetNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every trial has a result.")
    ] = False,
    poll_seconds: Annotated[
        float, typer.Option(min=0.01, help="With --wait: seconds between two looks.")
    ] = 60.0,
    published: Annotated[
        bool,
        typer.Option(
            "--as-published",
            help="With all the learning rates a set was published with: 1e-7 too.",
        ),
    ] = False,
) -> None:
    """Archive complete sets; names what is missing and exits with code 1 if any is."""
    from learned_optimization import filesystem
    from learned_optimization.baselines import utils
    from learned_optimization.baselines.results import archiving
    from learned_optimization.baselines.sets.published import as_published
    from learned_optimization.errors import ResultError
    from learned_optimization.tasks import registry

    hparam_sets = chosen_sets(sets, set_files, imports)
    if published:
        hparam_sets = [as_published(s) for s in hparam_sets]
    registry.get(task)
    filesystem.check_writable(utils.get_baseline_archive_rootdir())
    incomplete = False
    for hparam_set in hparam_sets:
        if wait:
            archiving.wait_until_ready_then_archive_task(
                task,
                hparam_set.name,
                poll_seconds=poll_seconds,
                as_published=published,
            )
            typer.echo(f"archived {hparam_set.name}")
            continue
        try:
            typer.echo(f"archived {archiving.archive(task, hparam_set)}")
        except ResultError as error:
            typer.echo(f"error: {error}", err=True)
            incomplete = True
    if incomplete:
        raise typer.Exit(1)
