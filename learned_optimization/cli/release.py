"""`lopt release`: baselines that are already trained."""

from __future__ import annotations

import shlex
import time
from typing import Annotated

import typer

from learned_optimization import filesystem
from learned_optimization.baselines.release import build as building
from learned_optimization.baselines.release import fetch as fetching
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.manifest import (
    Manifest,
    ReleasedArchive,
    read_manifest,
)
from learned_optimization.baselines.release.places import Release
from learned_optimization.baselines.release.verify import Retrained
from learned_optimization.baselines.release.verify import verify as verify_release
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.suites.registry import all_suites, without_suites
from learned_optimization.baselines.sweeps.replay import TOLERANCE
from learned_optimization.cli.choosing import (
    fixed_tasks,
    import_files,
    tasks_and_sets_to_run,
)
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Imports, SetFiles, TimeLimit
from learned_optimization.cli.output import folder_of, say
from learned_optimization.cli.sweep import run_and_archive
from learned_optimization.cli.tables import Table, console, json_option, print_json
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.eval_training import keep_compiled, use_all_cores


def list_releases(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[ADDRESS]",
            help="A folder or URL: what lies there, of which nothing is fetched.",
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|SUITE]...",
            help="With an address: only these tasks.",
            autocompletion=completer("task", "suite"),
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
        address = fetching.PUBLISHED if address == "published" else address
        _list_offer(address, without_suites(tasks or ()), as_json)
        return
    rows = [_row(release) for release in places.releases()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(f"no releases here; fetched ones go to {places.releases_dir()}")
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


def _list_offer(address: str, tasks: list[str], as_json: bool) -> None:
    offer = fetching.look_at(address, tasks)
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
            f"archives TASK/SET.npz. 'published' stands for {fetching.PUBLISHED}.",
        ),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|SUITE|SET]...",
            help="Only these tasks and sets, in any order. All by default.",
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
    address = fetching.PUBLISHED if address == "published" else address

    def tell(archive: ReleasedArchive, is_there: bool) -> None:
        if not is_there:
            say(f"fetched {archive.hparam_set} on {archive.task}")

    defined = fixed_tasks()
    wanted = without_suites(names or ())
    done = fetching.fetch(
        address,
        [n for n in wanted if n in defined],
        [n for n in wanted if n not in defined],
        name,
        tell,
    )
    for problem in done.problems:
        say(f"error: {problem}", err=True)
    say(
        f"{done.num_new:,} archives fetched, {done.num_kept:,} were there; "
        f"{done.release.folder}"
    )
    if done.problems:
        raise typer.Exit(1)


def verify(
    release: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FOLDER]",
            help="A release on this machine, or the folder of one; every one on this "
            "machine by default.",
        ),
    ] = None,
    retrain: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Train N trials again, drawn from all of them."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    imports: Imports = None,
) -> None:
    """Check a release: its bytes, its form, and trials trained again.

    Exits with code 1 if anything is wrong, or a trial differs by more than rounding
    explains.
    """
    import_files(imports)
    if retrain:
        use_all_cores()
        keep_compiled()
    is_good = True
    for one in _named(release):
        is_good &= _verify_one(one, retrain, seed)
    if not is_good:
        raise typer.Exit(1)


def _named(name: str | None) -> list[Release]:
    here = places.releases()
    if name is None:
        if not here:
            raise LoptError("there is no release on this machine: fetch or build one.")
        return here
    named = [release for release in here if release.name == name]
    if named:
        return named
    folder = folder_of(name)
    if not filesystem.exists(folder):
        raise UnknownNameError("release", name, {r.name for r in here})
    return [Release(folder, read_manifest(folder), is_packaged=False)]


def _verify_one(release: Release, num_retrained: int, seed: int) -> bool:
    start = time.monotonic()
    manifest: Manifest = release.manifest

    def tell(trial: Retrained) -> None:
        said = trial.problem or _said_of(trial)
        where = f"{trial.archive.task}, {trial.opt_name}, seed {trial.seed}"
        say(f"{where} ({trial.archive.num_steps:,} steps): {said}")

    done = verify_release(release, num_retrained, seed, tell)
    for problem in done.problems:
        say(
            f"error: {problem.archive.hparam_set} on {problem.archive.task}: "
            f"{problem.problem}",
            err=True,
        )
    say(
        f"{release.name}: {done.num_archives:,} archives, {manifest.num_trials:,} "
        f"trials, {manifest.num_bytes:,} bytes; {len(done.problems):,} archives are bad"
    )
    if done.worst is not None:
        same = sum(trial.is_same for trial in done.retrained)
        amplified = sum(trial.is_amplified for trial in done.retrained)
        besides = f", {amplified:,} as far off as rounding alone" if amplified else ""
        say(
            f"{same:,} of {len(done.retrained):,} trials trained again are the same"
            f"{besides}; largest relative difference {done.worst.largest:.3g} "
            f"({TOLERANCE:g} is allowed); {time.monotonic() - start:.0f} s"
        )
    return done.is_good


def _said_of(trial: Retrained) -> str:
    if not trial.key:
        return "the same"
    difference = f"{trial.largest:.3g} in {trial.key}"
    if trial.is_same:
        return f"{difference}, within {TOLERANCE:g}"
    alone = f"rounding alone makes {trial.by_rounding:.3g}"
    return (
        f"{difference}, {alone}"
        if trial.is_amplified
        else (f"{difference}, beyond {TOLERANCE:g}; {alone}")
    )


def build(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK|SUITE|SET...",
            help="Tasks, suites and sets, in any order; with --all one suite.",
            autocompletion=completer("task", "suite", "set"),
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder of the release, to which more may be added at any time.",
        ),
    ],
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Every set of the suite's length on every task of it, but those of "
            "Shampoo that take hours; and on its perceptrons the sets published at "
            "10,000 steps.",
        ),
    ] = False,
    name: Annotated[
        str, typer.Option(help="Name of the release; by default that of the folder.")
    ] = "",
    set_files: SetFiles = None,
    imports: Imports = None,
    time_limit: TimeLimit = None,
) -> None:
    """Build a release: train what is not trained yet, and thin it.

    Each archive is there as soon as it is built. Ctrl-C stops it; the same command goes
    on where it was.
    """
    pairs = _pairs(names, every, set_files, imports)
    folder = folder_of(output)
    name = name or folder.rstrip("/").rpartition("/")[2]
    use_all_cores()
    keep_compiled()
    start = time.monotonic()

    def train(task: str, hparam_set: HParamSet) -> None:
        left = None
        if time_limit is not None:
            left = max(0.0, time_limit - (time.monotonic() - start) / 60.0)
        run_and_archive([task], [hparam_set], time_limit=left, say_each_archive=False)

    def tell(archive: ReleasedArchive, is_there: bool) -> None:
        if not is_there:
            say(
                f"{archive.hparam_set} on {archive.task}: {archive.num_bytes:,} bytes, "
                f"{archive.num_bytes / archive.num_trials:.0f} per trial"
            )

    manifest = building.build(
        pairs, folder, name, _command(names, every, name), train, tell
    )
    say(
        f"{manifest.name}: {len(manifest.archives):,} archives, "
        f"{manifest.num_trials:,} trials, {manifest.num_bytes:,} bytes in {folder}"
    )


def _pairs(
    names: list[str],
    every: bool,
    set_files: list[str] | None,
    imports: list[str] | None,
) -> list[building.Pair]:
    if not every:
        tasks, sets = tasks_and_sets_to_run(names, set_files, imports)
        return [(task, s) for task in tasks for s in sets]
    suites = all_suites()
    if len(names) != 1 or set_files:
        raise LoptError("with --all, name one suite and nothing else.")
    if names[0] not in suites:
        raise UnknownNameError("suite", names[0], suites)
    return building.everything_of(suites[names[0]])


def _command(names: list[str], every: bool, name: str) -> str:
    words = ["lopt", "release", "build", *names, *["--all"] * every, "--out", name]
    return shlex.join(words)
