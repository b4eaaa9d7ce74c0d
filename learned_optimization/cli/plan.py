"""`lopt plan`: what a sweep will cost, before it is run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from learned_optimization.baselines.sweeps.estimate import (
    Estimate,
    missing_work,
    total,
)
from learned_optimization.baselines.sweeps.planning import SweepPlan
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.cli.choosing import tasks_and_sets_to_run
from learned_optimization.cli.options import Checkpoints, Imports, Names, SetFiles
from learned_optimization.cli.output import say
from learned_optimization.cli.plan_progress import PlanProgress, duration
from learned_optimization.cli.tables import (
    GrowingTable,
    console,
    json_option,
    print_json,
)
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import keep_compiled, use_all_cores

_COLUMNS = {
    **dict.fromkeys(("task", "set"), False),
    **dict.fromkeys(
        ("trials", "to run", "steps", "TFLOP", "time here", "results"), True
    ),
}
# As wide as any: columns are set before the times are known.
_WIDEST_TIME = "~99,999.9 h"


def plan(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    seconds: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Seconds each measurement runs here, compiling apart; 0 leaves the "
            "time out.",
        ),
    ] = 1.0,
    total_seconds: Annotated[
        float,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Seconds all measurements may take together, compiling included. "
            "Tasks take turns. A set that is not reached is marked with ~: it is taken "
            "to be as fast as those measured on its task, since the gradient is the "
            "same; on a task of which none is, its arithmetic as fast as that of the "
            "others.",
        ),
    ] = 50.0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Measure nothing: answer at once from what earlier plans and sweeps "
            "took here.",
        ),
    ] = False,
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="NAME=GFLOPS[xCOUNT]",
            help="Also estimate how long these devices take together, given the peak "
            "of each in GFLOP/s, e.g. h100=60000x8; repeatable.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        json_option(
            "task, set, trials, to_run, steps, flops, seconds, is_rough, result_bytes"
        ),
    ] = False,
) -> None:
    """Estimate what the trials that have no result yet will cost.

    The time on this machine is learned by running the beginning of one grid of trials
    for each task and kind of optimizer. What was measured is kept in LOPT_CACHE_DIR,
    as is what sweeps took: the next plan measures only what is left.
    """
    peaks = {text: _peak_flops(text) for text in devices or []}
    if peaks and not (seconds or quick):
        raise LoptError(
            "the time of other devices is worked out from the share of its peak "
            "that this machine reaches: --device needs --seconds above 0."
        )
    if peaks and as_json:
        raise LoptError(
            "--json lists sets on tasks, and has no place for the time of other "
            "devices: leave out --device."
        )
    # Tasks may be joined by commas, too.
    parts = [part.strip() for name in names or [] for part in name.split(",")]
    tasks, hparam_sets = tasks_and_sets_to_run(parts, set_files, imports, checkpoints)
    use_all_cores()
    keep_compiled()
    work = missing_work(tasks, hparam_sets)
    before = [row.estimate for row in work]
    out = console()
    with PlanProgress(out, as_json) as progress:
        rows: Iterable[Estimate] = before
        if seconds or quick:
            planned = SweepPlan(work, seconds, 0.0 if quick else total_seconds)
            rows = progress.followed(planned)
        if as_json:
            print_json([_as_json(e) for e in _in_order(rows, before)])
            return
        samples = [_cells(e, _WIDEST_TIME) for e in (*before, total(before))]
        table, estimates = GrowingTable(out, _COLUMNS, samples), []
        for e in rows:
            estimates.append(e)
            table.add_row(*_cells(e, _time(e)))
        everything = total(estimates)
        table.close(*_cells(everything, _time(everything)))
    for line in _remarks(estimates, quick, timed=bool(seconds or quick)):
        say(line)
    if peaks:
        _print_other_devices(peaks, estimates)


def _in_order(
    estimates: Iterable[Estimate], order: Iterable[Estimate]
) -> Iterator[Estimate]:
    """Return estimates in the order in which sets and tasks were named."""
    found = {(e.task_name, e.set_name): e for e in estimates}
    return (found[e.task_name, e.set_name] for e in order)


def _as_json(e: Estimate) -> dict[str, Any]:
    return {
        "task": e.task_name,
        "set": e.set_name,
        "trials": e.num_trials,
        "to_run": e.num_missing,
        "steps": e.trial_steps,
        "flops": e.flops,
        "seconds": e.seconds,
        "is_rough": e.is_rough,
        "result_bytes": e.result_bytes,
    }


def _cells(e: Estimate, time: str) -> tuple[str, ...]:
    """Return a row of the table."""
    return (
        e.task_name,
        e.set_name,
        f"{e.num_trials:,}",
        f"{e.num_missing:,}",
        f"{e.trial_steps:,}",
        f"{e.flops / 1e12:,.2f}",
        time,
        _size(e.result_bytes),
    )


def _time(e: Estimate) -> str:
    return "" if e.seconds is None else "~" * e.is_rough + duration(e.seconds)


def _remarks(estimates: list[Estimate], quick: bool, timed: bool) -> Iterator[str]:
    """Give what is to be said below the table of times that were not measured."""
    known = "recorded" if quick else "measured"
    more = "Leave out --quick to measure." if quick else "The same command goes on."
    if any(e.is_rough for e in estimates):
        yield (
            f"~ not {known}: taken to be as fast as what is {known} of the task, or "
            f"else its arithmetic as fast as that of other tasks. {more}"
        )
    if timed and (unknown := sum(e.seconds is None for e in estimates)):
        yield (
            f"no time is known of {unknown} of {len(estimates)} rows, which the total "
            f"leaves out. {more}"
        )


def _print_other_devices(peaks: dict[str, float], estimates: list[Estimate]) -> None:
    """Print how long other devices take, given the peak of each."""
    known = total([e for e in estimates if e.seconds])
    if known.seconds and known.flops:
        share = known.flops / known.seconds / matmul_peak()
        there = total(estimates).flops / (share * sum(peaks.values()))
        console().print(
            f"{', '.join(peaks)}: {duration(there)} together, if they too reach "
            f"{share:.1%} of their peak, compiling included"
        )


def _peak_flops(text: str) -> float:
    """Return the operations per second of `NAME=GFLOPS[xCOUNT]`."""
    parts = re.fullmatch(r"[^=]+=(\d+(?:\.\d+)?)(?:x(\d+))?", text)
    total = float(parts[1]) * int(parts[2] or 1) * 1e9 if parts else 0.0
    if not total:
        raise LoptError(
            "--device takes a name, the peak in GFLOP/s and a number of devices, "
            f"e.g. h100=60000x8, got {text!r}."
        )
    return total


def _size(num_bytes: float) -> str:
    return (
        f"{num_bytes / 1e6:,.1f} MB"
        if num_bytes < 1e9
        else f"{num_bytes / 1e9:,.1f} GB"
    )
