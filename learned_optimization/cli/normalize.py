"""`lopt normalize`: losses as steps of a tuned baseline, and speed-ups over it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import numpy as np
import typer
from matplotlib import pyplot as plt

from learned_optimization.baselines import normalizers
from learned_optimization.baselines.analysis.left_out import LeftOut, load_some
from learned_optimization.baselines.normalizers import NORMALIZERS
from learned_optimization.baselines.plots.saving import look, save
from learned_optimization.baselines.plots.speedup import plot_speedup
from learned_optimization.baselines.speedups import fetch as fetching
from learned_optimization.baselines.speedups.files import info_path, read_entries
from learned_optimization.baselines.speedups.normalizer import Normalizer
from learned_optimization.baselines.speedups.speedup import Speedup, speedup_of_set
from learned_optimization.baselines.suites.registry import without_suites
from learned_optimization.cli.choosing import matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.drawing import check_output
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.cli.plot import Select
from learned_optimization.cli.tables import Table, console, json_option, print_json
from learned_optimization.errors import LoptError, ResultError, UnknownNameError

NameOrFile = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE",
        help="A normalizer, such as speedup_over_adam_10000, or its file.",
    ),
]

# Where a curve is read off, as shares of its length.
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def list_normalizers(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only normalizers whose names match, e.g. '*adam*'.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        json_option(
            "name, hparam_sets (a list: its baseline), num_steps, num_points, path "
            "(null if it is not on this machine)"
        ),
    ] = False,
) -> None:
    """List the normalizers and where each is stored."""
    rows = [
        {
            "name": name,
            "hparam_sets": list(NORMALIZERS[name].hparam_sets),
            "num_steps": NORMALIZERS[name].num_steps,
            "num_points": NORMALIZERS[name].num_points,
            "path": _path(name),
        }
        for name in matching("normalizer", pattern, NORMALIZERS)
    ]
    if as_json:
        print_json(rows)
        return
    table = Table()
    table.add_column("normalizer", no_wrap=True)
    table.add_column("baseline", overflow="fold")
    for column in ("steps", "points"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("file", overflow="fold")
    for row in rows:
        table.add_row(
            row["name"],
            ", ".join(row["hparam_sets"]),
            f"{row['num_steps']:,}",
            f"{row['num_points']:,}",
            row["path"] or "-",
        )
    console().print(table)


def _path(name: str) -> str | None:
    try:
        return normalizers.find_file(name)
    except ResultError:
        return None


def build(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A normalizer; `lopt normalize list` lists them."
        ),
    ],
    tasks: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK...",
            help="Tasks and suites that have archives of the baseline.",
            autocompletion=completer("task", "suite"),
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The file to write, .json."
        ),
    ],
    overwrite: Annotated[
        bool, typer.Option(help="Replace tasks that the file has already.")
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of the draws that make the band.")
    ] = 0,
) -> None:
    """Build normalizers of tasks from the archives of their baseline."""
    if name not in NORMALIZERS:
        raise UnknownNameError("normalizer", name, NORMALIZERS)
    tasks = without_suites(tasks)
    left: list[LeftOut] = []
    NORMALIZERS[name].build_and_write(
        tasks, output, overwrite, bootstrap_seed=seed, on_left_out=left.append
    )
    for one in left:
        say_left_out(one)
    for task in tasks:
        if task not in {one.task_name for one in left}:
            say(f"{name}: built {task}")
    say(f"written {output} and {info_path(output)}")


def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Published normalizers, such as speedup_over_adam.",
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="Address of the file, or of the folder that holds NAME.json; where "
            "it was published by default.",
        ),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST", help="SHA-256 that the file must have; any by default."
        ),
    ] = None,
) -> None:
    """Download published normalizers, and store them where they are found."""
    if sha256 is not None and len(names) > 1:
        raise LoptError("--sha256 is of one file: fetch its name alone.")
    for name in names:
        fetched = fetching.fetch(name, source, sha256)
        say(
            f"{name}: {len(fetched.entries)} tasks, {fetched.num_bytes:,} bytes, "
            f"sha256 {fetched.sha256}, kept at {fetched.path}"
        )


def apply(
    normalizer: NameOrFile,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="A task of the normalizer.",
            autocompletion=completer("task"),
        ),
    ],
    sets: Annotated[
        list[str],
        typer.Argument(
            metavar="SET...",
            help="Sets archived for the task; they need not be defined here.",
            autocompletion=completer("archive"),
        ),
    ],
    split: Annotated[
        str,
        typer.Option(
            help="Split whose loss is mapped: train, outer_valid or test. The "
            "baseline's is train."
        ),
    ] = "train",
    select: Select = "train",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Also draw a figure: .png, .svg or .pdf; none by default.",
        ),
    ] = None,
) -> None:
    """Print how much faster than the baseline the best of each set is."""
    if output is not None:
        check_output(output)
    to_steps = normalizers.find(normalizer)[task]
    load = functools.partial(speedup_of_set, to_steps, split=split, select=select)
    speedups = list(load_some(task, sets, load, say_left_out).values())
    for speedup in speedups:
        _print_speedup(speedup)
    if to_steps.band is not None:
        say(
            f"in brackets: {to_steps.band.level:.0%} band of other seeds of the "
            "baseline"
        )
    if any(s.is_censored.any() or s.censored_share.any() for s in speedups):
        say("≥ : the baseline never got as low in all of its steps")
    if any(speedup.at_edge for speedup in speedups):
        say("* at the edge of its set: a better one may lie outside")
    if output is not None:
        _draw(speedups, output)


def _print_speedup(speedup: Speedup) -> None:
    title = (
        f"{speedup.hparam_set}: {speedup.opt_name}{' *' * speedup.at_edge}, "
        f"{speedup.split} loss (best by final {speedup.select} loss)"
    )
    table = Table(title=title, title_justify="left")
    for column in ("own steps", "baseline's steps", "speed-up", "seeds censored"):
        table.add_column(column, justify="right", no_wrap=True)
    wanted = np.array(_SHARES) * speedup.xs[-1]
    for i in np.unique(np.searchsorted(speedup.xs, wanted)):
        own = float(speedup.xs[i])
        steps = float(speedup.steps[i])
        censored = bool(speedup.is_censored[i])
        band = None
        if speedup.low is not None and speedup.high is not None:
            band = float(speedup.low[i]), float(speedup.high[i])
        horizon = speedup.normalizer.horizon
        table.add_row(
            f"{own:,.0f}",
            _value(steps, band, censored, horizon, 1.0, ",.0f")
            + " (worse than its start)" * bool(speedup.is_worse_than_start[i]),
            _value(steps, band, censored, horizon, own, ".2f"),
            f"{speedup.censored_share[i]:.0%}",
        )
    console().print(table)


def _value(
    steps: float,
    band: tuple[float, float] | None,
    censored: bool,
    horizon: float,
    per: float,
    form: str,
) -> str:
    value = "≥ " * censored + format(steps / per, form)
    if band is None:
        return value
    low, high = band
    ends = [
        "≥ " * (low >= horizon) + format(low / per, form),
        format(high / per, form) if high <= horizon else f"≥ {horizon / per:{form}}",
    ]
    return f"{value} [{ends[0]}, {ends[1]}]"


def _draw(speedups: list[Speedup], output: Path) -> None:
    mpl.use("Agg")
    size = (8.0, 6.0)
    with mpl.rc_context(look(size)):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        plot_speedup(speedups, ax)
        save(figure, output)
    say(f"figure: {output}")


def show(
    normalizer: NameOrFile,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]",
            help="One of its tasks: print its curve.",
            autocompletion=completer("task"),
        ),
    ] = None,
    as_json: Annotated[
        bool,
        json_option(
            "task, horizon, points, first_loss, lowest_loss, band (null or a share), "
            "hparam_sets; with a task steps, loss, and low and high (null without a "
            "band)"
        ),
    ] = False,
) -> None:
    """List the tasks of a normalizer, or the curve of one of them."""
    path = normalizers.find_file(normalizer)
    by_task = normalizers.find(path)
    chosen = None if task is None else by_task[task]
    rows = _task_rows(path) if chosen is None else _curve_rows(chosen)
    if as_json:
        print_json(rows)
        return
    say(os.path.relpath(path) if os.path.exists(path) else path)
    if chosen is None:
        _print_tasks(rows)
    else:
        _print_curve(chosen.task, rows)


def _task_rows(path: str) -> list[dict[str, Any]]:
    rows = []
    for task, entry in read_entries(path).items():
        curve = entry.curve
        rows.append(
            {
                "task": task,
                "horizon": float(curve.steps[-1]),
                "points": len(curve.steps),
                "first_loss": float(curve.losses[0]),
                "lowest_loss": float(curve.losses[-1]),
                "band": None if curve.band is None else curve.band.level,
                "hparam_sets": entry.provenance.get("hparam_sets", []),
            }
        )
    return rows


def _print_tasks(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table()
    table.add_column("task", overflow="fold")
    for column in ("horizon", "points", "first loss", "lowest loss", "band"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("baseline", overflow="fold")
    for row in rows:
        table.add_row(
            row["task"],
            f"{row['horizon']:,.0f}",
            f"{row['points']:,}",
            f"{row['first_loss']:.4f}",
            f"{row['lowest_loss']:.4f}",
            "-" if row["band"] is None else f"{row['band']:.0%}",
            ", ".join(row["hparam_sets"]) or "unknown",
        )
    console().print(table)


def _curve_rows(normalizer: Normalizer) -> list[dict[str, Any]]:
    """Return the curve at the beginning, and at some shares of its length."""
    curve = normalizer.curve
    wanted = np.array([0.0, *_SHARES]) * normalizer.horizon
    return [
        {
            "steps": float(curve.steps[i]),
            "loss": float(curve.losses[i]),
            "low": None if curve.band is None else float(curve.band.low[i]),
            "high": None if curve.band is None else float(curve.band.high[i]),
        }
        for i in np.searchsorted(curve.steps, wanted)
    ]


def _print_curve(task: str, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title=task, title_justify="left")
    for column in ("baseline's steps", "lowest loss", "with other seeds"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        band = "-"
        if row["low"] is not None:
            band = f"{row['low']:.4f} to {row['high']:.4f}"
        table.add_row(f"{row['steps']:,.0f}", f"{row['loss']:.4f}", band)
    console().print(table)
