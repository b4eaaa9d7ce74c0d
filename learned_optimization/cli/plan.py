"""`lopt plan`: what a sweep will cost, before it is run."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from learned_optimization.baselines.sweeps.estimate import Estimate, estimate, total
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.cli.choosing import tasks_and_sets_to_run
from learned_optimization.cli.options import Checkpoints, Imports, Names, SetFiles
from learned_optimization.cli.tables import Table, console
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import keep_compiled, use_all_cores


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
            help="Seconds each grid of trials is measured here; 0 measures nothing.",
        ),
    ] = 3.0,
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="NAME=GFLOPS[xCOUNT]",
            help="Also estimate how long these devices take together, given the peak "
            "of each in GFLOP/s, e.g. h100=60000x8; repeatable.",
        ),
    ] = None,
) -> None:
    """Estimate what the trials that have no result yet will cost.

    The time on this machine is learned by running the beginning of every grid of
    trials.
    """
    peaks = {text: _peak_flops(text) for text in devices or []}
    if peaks and not seconds:
        raise LoptError(
            "the time of other devices is worked out from the share of its peak "
            "that this machine reaches: --device needs --seconds above 0."
        )
    # Tasks may be joined by commas, too.
    parts = [part.strip() for name in names or [] for part in name.split(",")]
    tasks, hparam_sets = tasks_and_sets_to_run(parts, set_files, imports, checkpoints)
    use_all_cores()
    keep_compiled()
    estimates = [estimate(t, s, seconds) for t in tasks for s in hparam_sets]

    table = Table()
    for column in ("task", "set"):
        table.add_column(column, overflow="fold")
    for column in ("trials", "to run", "steps", "TFLOP", "time here", "results"):
        table.add_column(column, justify="right")
    for e in estimates:
        table.add_row(*_cells(e))
    table.add_section()
    everything = total(estimates)
    table.add_row(*_cells(everything))
    out = console()
    out.print(table)
    if peaks and everything.seconds:
        share = everything.flops / everything.seconds / matmul_peak()
        there = everything.flops / (share * sum(peaks.values()))
        out.print(
            f"{', '.join(peaks)}: {_duration(there)} together, if they too reach "
            f"{share:.1%} of their peak, compiling included"
        )


def _cells(e: Estimate) -> tuple[str, ...]:
    """Return a row of the table."""
    return (
        e.task_name,
        e.set_name,
        f"{e.num_trials:,}",
        f"{e.num_missing:,}",
        f"{e.trial_steps:,}",
        f"{e.flops / 1e12:,.2f}",
        "" if e.seconds is None else _duration(e.seconds),
        _size(e.result_bytes),
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


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:,.1f} h"


def _size(num_bytes: float) -> str:
    return (
        f"{num_bytes / 1e6:,.1f} MB"
        if num_bytes < 1e9
        else f"{num_bytes / 1e9:,.1f} GB"
    )
