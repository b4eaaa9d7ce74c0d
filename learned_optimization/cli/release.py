"""`lopt release list` and `fetch`: baselines that are already trained."""

from __future__ import annotations

from typing import Annotated

import typer

from learned_optimization.baselines.release import fetch as fetching
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.manifest import ReleasedArchive
from learned_optimization.baselines.release.offer import look_at
from learned_optimization.baselines.release.places import Release
from learned_optimization.cli.completion import completer
from learned_optimization.cli.output import say
from learned_optimization.cli.release_names import (
    OFF,
    PUBLISHED,
    RELEASE,
    address_of,
)
from learned_optimization.cli.tables import Table, console, json_option, print_json


def list_releases(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|ADDRESS]",
            help="A release on this machine, or a folder or URL: what lies there, of "
            f"which nothing is fetched. {RELEASE}NAME if a folder is called so too.",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|SUITE|SET]...",
            help="With an address: only these tasks and sets, in any order.",
            autocompletion=completer("task", "suite", "set"),
        ),
    ] = None,
    as_json: Annotated[
        bool,
        json_option(
            "name, tasks, sets, archives, trials, bytes, steps (a list), thin (how "
            "many archives are), versions, dates, command, where; with an address "
            "task and set"
        ),
    ] = False,
) -> None:
    """List the releases on this machine, or what lies at an address."""
    if address is not None:
        _list_offer(address_of(address), names or [], as_json)
        return
    rows = [_row(release) for release in places.releases()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        where = f"fetched ones go to {places.releases_dir()}"
        say(f"no releases here; {OFF if places.are_off() else where}")
        return
    table = Table()
    table.add_column("release", overflow="fold")
    for column in ("tasks", "sets", "trials", "steps", "thin", "size", "dates"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['tasks']:,}",
            f"{row['sets']:,}",
            f"{row['trials']:,}",
            ", ".join(f"{n:,}" for n in row["steps"]),
            f"{row['thin']:,} of {row['archives']:,}",
            f"{row['bytes'] / 1e6:.1f} MB",
            " to ".join(dict.fromkeys(row["dates"])),
            row["where"],
        )
    console().print(table)


def _row(release: Release) -> dict:
    archives = release.manifest.archives
    dates = sorted(a.date for a in archives if a.date)
    return {
        "name": release.name,
        "tasks": len({a.task for a in archives}),
        "sets": len({a.hparam_set for a in archives}),
        "archives": len(archives),
        "trials": release.manifest.num_trials,
        "bytes": release.manifest.num_bytes,
        "steps": sorted({a.num_steps for a in archives}),
        "thin": sum(a.is_thin for a in archives),
        "versions": sorted({v for a in archives for v in a.versions}),
        "dates": [dates[0], dates[-1]] if dates else [],
        "command": release.manifest.command,
        "where": "in the package" if release.is_packaged else release.folder,
    }


def _list_offer(address: str, names: list[str], as_json: bool) -> None:
    offer = look_at(address, names)
    if as_json:
        print_json([{"task": task, "set": of_task} for task, of_task in offer.pairs])
        return
    table = Table()
    table.add_column("task", overflow="fold")
    table.add_column("sets", overflow="fold")
    by_task: dict[str, list[str]] = {}
    for task, of_task in offer.pairs:
        by_task.setdefault(task, []).append(of_task)
    for task, of_sets in by_task.items():
        table.add_row(task, ", ".join(of_sets))
    console().print(table)
    kind = (
        f"release {offer.manifest.name}" if offer.manifest else "a folder of archives"
    )
    say(f"{kind}: {len(offer.pairs):,} archives of {len(by_task):,} tasks")


def fetch(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="Folder or URL, of any store that fsspec knows, of a release or of "
            f"archives TASK/SET.npz. '{PUBLISHED}' stands for {fetching.PUBLISHED}.",
        ),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|SUITE|SET]...",
            help="Only these tasks and sets, in any order; a suite stands for those of "
            "its tasks that are there. All by default.",
            autocompletion=completer("task", "suite", "set"),
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(help="Name to keep it under; by default its own."),
    ] = "",
) -> None:
    """Fetch a release, or archives others published, and check them.

    Every archive is checked before it is used; stopped, the same command goes on.
    Exits with code 1 if some cannot be fetched.
    """
    address = fetching.PUBLISHED if address == PUBLISHED else address

    def tell(archive: ReleasedArchive, is_there: bool) -> None:
        if not is_there:
            say(f"fetched {archive.hparam_set} on {archive.task}")

    done = fetching.fetch(address, names or (), name, tell)
    for problem in done.problems:
        say(f"error: {problem}", err=True)
    if done.num_left:
        say(
            f"error: {done.num_left:,} archives are left, as those before them could "
            "not be had; the same command goes on",
            err=True,
        )
    say(
        f"{done.num_new:,} archives fetched, {done.num_kept:,} were there; "
        f"{done.release.folder}"
    )
    if done.problems:
        raise typer.Exit(1)
