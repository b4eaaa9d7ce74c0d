"""`lopt release build`: trains what is not trained yet, and makes a release of it."""

from __future__ import annotations

import shlex
import time
from typing import Annotated

import typer

from learned_optimization.baselines.release import build as building
from learned_optimization.baselines.release.manifest import ReleasedArchive
from learned_optimization.baselines.sets.checkpoints import checkpoint_of
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.suites.registry import all_suites
from learned_optimization.cli.advice import with_advice
from learned_optimization.cli.choosing import import_files, tasks_and_sets_to_run
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Checkpoints, Imports, SetFiles, TimeLimit
from learned_optimization.cli.output import folder_of, say
from learned_optimization.cli.sweep import run_and_archive
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.eval_training import keep_compiled, use_all_cores


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
    checkpoints: Checkpoints = None,
    time_limit: TimeLimit = None,
) -> None:
    """Build a release: train what is not trained yet, and thin it.

    Each archive is there as soon as it is built. Ctrl-C stops it; the same command goes
    on where it was. Exits with code 1 if some cannot be built.
    """
    pairs = _pairs(names, every, set_files, imports, checkpoints)
    folder = folder_of(output)
    name = name or folder.rstrip("/").rpartition("/")[2]
    use_all_cores()
    keep_compiled()
    start = time.monotonic()

    def train(task: str, hparam_set: HParamSet) -> None:
        left = None
        if time_limit is not None:
            left = max(0.0, time_limit - (time.monotonic() - start) / 60.0)
        try:
            run_and_archive(
                [task], [hparam_set], time_limit=left, say_each_archive=False
            )
        except typer.Exit as end:
            # That of a sweep that was stopped ends the build too.
            if end.exit_code != 1:
                raise
            raise LoptError("trials of it failed.") from end

    def tell(archive: ReleasedArchive, is_there: bool) -> None:
        if not is_there:
            say(
                f"{archive.hparam_set} on {archive.task}: {archive.num_bytes:,} bytes, "
                f"{archive.num_bytes / archive.num_trials:.0f} per trial"
            )

    options = _options(pairs, set_files, imports)
    command = shlex.join([*_command(names, every, name), *options])
    problems: list[LoptError] = []
    try:
        manifest = building.build(
            pairs, folder, name, command, options, train, tell, problems.append
        )
    finally:
        for problem in problems:
            say(f"error: {with_advice(problem)}", err=True)
    say(
        f"{manifest.name}: {len(manifest.archives):,} archives, "
        f"{manifest.num_trials:,} trials, {manifest.num_bytes:,} bytes in {folder}"
    )
    if problems:
        raise typer.Exit(1)


def _pairs(
    names: list[str],
    every: bool,
    set_files: list[str] | None,
    imports: list[str] | None,
    checkpoints: list[str] | None,
) -> list[building.Pair]:
    if not every:
        tasks, sets = tasks_and_sets_to_run(names, set_files, imports, checkpoints)
        return [(task, s) for task in tasks for s in sets]
    import_files(imports)
    suites = all_suites()
    if len(names) != 1 or set_files or checkpoints:
        raise LoptError("with --all, name one suite and nothing else.")
    if names[0] not in suites:
        raise UnknownNameError("suite", names[0], suites)
    return building.everything_of(suites[names[0]])


def _command(names: list[str], every: bool, name: str) -> list[str]:
    return ["lopt", "release", "build", *names, *["--all"] * every, "--out", name]


def _options(
    pairs: list[building.Pair], set_files: list[str] | None, imports: list[str] | None
) -> list[str]:
    """Return what makes known, on any command line, what is not of the package."""
    found = {checkpoint_of(hparam_set.name) for _, hparam_set in pairs}
    checkpoints = sorted(str(checkpoint) for checkpoint in found if checkpoint)
    given = {"--set": set_files, "--import": imports, "--checkpoint": checkpoints}
    return [
        word
        for option, values in given.items()
        for v in values or ()
        for word in (option, v)
    ]
