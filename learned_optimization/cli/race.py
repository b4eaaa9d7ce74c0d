"""`lopt race`: which of several sets is best, with few trials."""

from __future__ import annotations

import math
import time
from enum import StrEnum
from typing import Annotated

import typer

from learned_optimization import filesystem
from learned_optimization.baselines import stats
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.report.race_data import headline, plain_data
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.race import run_race
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.cli import race_table
from learned_optimization.cli.choosing import tasks_and_sets_to_run
from learned_optimization.cli.options import (
    Checkpoints,
    Imports,
    Names,
    SetFiles,
    TimeLimit,
)
from learned_optimization.cli.output import folder_of, say
from learned_optimization.cli.progress import ProgressBar
from learned_optimization.cli.signals import stop_requests
from learned_optimization.cli.tables import console, json_text, print_json
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    RunStoppedError,
    keep_compiled,
    use_all_cores,
)
from learned_optimization.text import said


class Until(StrEnum):
    """When a race has an answer."""

    all = "all"
    best = "best"


class RaceBar(ProgressBar):
    """A `RaceObserver`: a bar, and each look as a table, or lines without terminal."""

    def looked(self, standing: RaceStanding) -> None:
        """Print how the race stands."""
        self._console.print(headline(standing), soft_wrap=True)
        if self._console.is_terminal:
            for table in race_table.tables(standing):
                self._console.print(table)
            for line in race_table.losers(standing):
                self._console.print(line, soft_wrap=True)
            return
        for line in race_table.lines(standing):
            self._console.print(f"  {line}", soft_wrap=True)


def race(
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="LOSS",
            help="Difference in test loss that does not matter; on several tasks, in "
            "the mean over tasks of the share of the loss before training.",
        ),
    ],
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    alpha: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="How likely a set that is truly best may ever be out.",
        ),
    ] = 0.05,
    max_seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Seeds of the last look.")
    ] = 128,
    max_trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="End undecided rather than begin a look that takes more trials in "
            "all. No limit by default.",
        ),
    ] = None,
    until: Annotated[
        Until,
        typer.Option(
            help="With 'best', also end once one set is within the tolerance of the "
            "best; the others are left without a verdict."
        ),
    ] = Until.all,
    anytime: Annotated[
        bool,
        typer.Option(
            "--anytime",
            help="Test by an e-process, which holds at any time, in place of a t test; "
            "it takes up to twice the trials. On one task.",
        ),
    ] = False,
    fill: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="TRIALS",
            help="Train later looks' seeds too where a program would have fewer "
            "trials than this. By default 70 on accelerators, which are made for many "
            "at once, and 0 on a CPU.",
        ),
    ] = None,
    seed_offset: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="SEED",
            help="The first seed: races that share no seed are independent.",
        ),
    ] = 0,
    time_limit: TimeLimit = None,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder of the report at the end."
        ),
    ] = "report",
    report: Annotated[
        bool, typer.Option(help="Write a report once the race has ended.")
    ] = True,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print verdict, sets and looks as one JSON object instead.",
        ),
    ] = False,
) -> None:
    """Find which of several sets is best on the tasks named, with few trials.

    Sets are compared at 4, 8, 16 ... seeds; configurations that are worse are trained
    no further. Trials are stored as those of a sweep. Ctrl-C stops it; the same
    command goes on where it was.
    """
    tasks, hparam_sets = tasks_and_sets_to_run(names, set_files, imports, checkpoints)
    if len(hparam_sets) < 2:
        raise LoptError(
            f"a race needs at least two sets, got {hparam_sets[0].name} alone."
        )
    rules = stats.RaceRules(
        tolerance,
        alpha=alpha,
        max_seeds=max_seeds,
        until=until.value,
        max_trials=max_trials,
        evidence=stats.EProcess() if anytime else stats.SmallerT(),
    )
    run_and_report(
        tasks,
        hparam_sets,
        rules,
        output if report else None,
        seed_offset=seed_offset,
        fill=fill,
        time_limit=time_limit,
        as_json=as_json,
    )


def run_and_report(
    tasks: list[str],
    hparam_sets: list[HParamSet],
    rules: stats.RaceRules,
    output: str | None,
    *,
    seed_offset: int = 0,
    fill: int | None = None,
    time_limit: float | None = None,
    as_json: bool = False,
) -> None:
    """Run a race under a progress bar, write the report and print the verdict.

    Args:
      tasks: names of fixed tasks.
      hparam_sets: the sets, two at least.
      rules: of the race.
      output: folder of the report; None for no report.
      seed_offset: as of `run_race`, and so is `fill`.
      fill: trials that a program has at least.
      time_limit: minutes after which it saves and stops.
      as_json: whether to print one JSON object.
    """
    folder = None if output is None else folder_of(output)
    if folder is not None:
        filesystem.check_writable(folder)
    use_all_cores()
    keep_compiled()
    deadline = math.inf
    if time_limit is not None:
        deadline = time.monotonic() + 60.0 * time_limit
    try:
        with RaceBar() as bar, stop_requests() as should_stop:
            standing = run_race(
                tasks,
                hparam_sets,
                rules,
                bar,
                should_stop,
                seed_offset=seed_offset,
                fill=fill,
                deadline=deadline,
            )
    except (KeyboardInterrupt, RunStoppedError):
        say("stopped; the same command goes on from there.", err=True)
        raise typer.Exit(130) from None
    _report_unreadable(standing)
    _check_missing(standing, as_json)
    page = None if folder is None else _write_report(standing, folder)
    if as_json:
        print_json({**plain_data(standing), "report": page})
    else:
        _print(standing, page)


def _write_report(standing: RaceStanding, folder: str) -> str | None:
    """Write the report and `race.json`; return the path of the page."""
    if not standing.result.num_seeds:
        return None
    # It takes a second to import.
    from learned_optimization.baselines.report.build import PAGE, write
    from learned_optimization.baselines.report.race import files_of_race

    race_json = json_text(plain_data(standing))
    try:
        files = files_of_race(standing)
    except LoptError as error:
        say(f"warning: there is no page: {said(error)}", err=True)
        write({"race.json": race_json}, folder)
        return None
    write({**files, "race.json": race_json}, folder)
    return filesystem.join(folder, PAGE)


def _print(standing: RaceStanding, page: str | None = None) -> None:
    result, summary = standing.result, standing.summary
    if result.num_seeds:
        out = console()
        for table in race_table.tables(standing):
            out.print(table)
        for line in race_table.losers(standing):
            say(line)
        say(headline(standing))
    if standing.num_run:
        say(
            f"{standing.num_run:,} trials run, {summary.run_seconds:.1f} s training, "
            f"{summary.compile_seconds:.1f} s compiling"
        )
    say(f"results in {get_root_baseline_dir()}")
    if page:
        say(f"report: {page}")
    for remark in standing.remarks():
        say(remark)
    if result.stopped_by_trials:
        say(f"The next look takes more than {result.rules.max_trials:,} trials in all.")
    say(standing.sentence())


def _report_unreadable(standing: RaceStanding) -> None:
    for path in dict.fromkeys(standing.summary.unreadable):
        say(f"warning: unreadable, its trial ran again: {path}", err=True)


def _check_missing(standing: RaceStanding, as_json: bool) -> None:
    """End with exit code 1 where trials have failed: the race waits for them."""
    missing = standing.missing()
    if not missing:
        return
    if as_json:
        print_json(plain_data(standing))
    else:
        _print(standing)
    for failure in standing.summary.failures:
        say(f"failed: {failure}", err=True)
    for line in missing:
        say(f"missing: {line}", err=True)
    say(
        "the race waits for these trials; `lopt status -v` says how they failed, the "
        "same command tries them again.",
        err=True,
    )
    raise typer.Exit(1)
