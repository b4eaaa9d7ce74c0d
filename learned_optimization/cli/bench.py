"""`lopt bench`: how fast this machine trains."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt

from learned_optimization.baselines.suites.registry import tasks_of
from learned_optimization.benchmarking import suite
from learned_optimization.benchmarking.step_profile import share_of_peak
from learned_optimization.benchmarking.suite import Row
from learned_optimization.cli import optimizer_costs, suite_bench
from learned_optimization.cli.choosing import load_sets
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Checkpoints, Imports, SetFiles
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console
from learned_optimization.errors import LoptError


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Tasks and suites to measure, in place of the usual ones; of suites "
            "alone, how long each takes for one optimizer. With "
            "--optimizers: optimizers and sets too, in any order, or patterns such "
            "as 'Ada*'.",
            autocompletion=completer("task", "suite", "optimizer", "set"),
        ),
    ] = None,
    optimizers: Annotated[
        bool,
        typer.Option(
            "--optimizers",
            help="Measure what a step and the state of optimizers cost, on the first "
            "of the usual tasks where none is named; a set at its first setting; "
            "every optimizer where none is named.",
        ),
    ] = False,
    besides: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="OPTIMIZER",
            help="Of suites, measure this optimizer besides Adam; repeatable.",
            autocompletion=completer("optimizer"),
        ),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    trials: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Numbers of trials trained at once. 1,5,14,70 by default.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="Seconds for which each row is measured. 5 by default; 3 of suites, "
            "1.5 with --optimizers.",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also print where a step's time goes.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Also write the measurements to a JSON file.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also draw the measurements: .png, .svg or .pdf."
        ),
    ] = None,
) -> None:
    """Measure training against a Python loop and the machine's peak.

    Each row is a process of its own. The loop dispatches one jitted step after
    another and feeds it from numpy. With --optimizers, measure optimizers instead.
    Of a suite, every task is measured with 14 learning rates and the suite's seeds,
    and the seconds of all of them are added up. Nothing else should run meanwhile.
    """
    if optimizers:
        if trials is not None or profile or plot is not None:
            raise LoptError(
                "with --optimizers, leave out --trials, --profile and --plot."
            )
        chosen = optimizer_costs.choose(names, set_files, imports, checkpoints)
        optimizer_costs.measure_and_print(*chosen, seconds or 1.5, json_file)
        return
    if checkpoints:
        raise LoptError("--checkpoint goes with --optimizers.")
    load_sets(set_files, imports)
    if suite_bench.is_suites(names):
        _bench_suites(names or [], besides, trials, seconds, profile, json_file, plot)
        return
    if besides:
        raise LoptError("--with goes with the name of a suite, such as laptop.")
    numbers, seconds = _numbers(trials), seconds or 5.0

    def on_row(row: Row) -> None:
        say(f"{row.task} {row.way}, {row.num_trials} trials", err=True)

    tasks = tasks_of(names) if names else suite.TASKS
    result = suite.run(tasks, numbers, seconds, on_row)
    _print_rows(result)
    if profile:
        result["profiles"] = suite.profiles(tasks, seconds)
        _print_profiles(result["profiles"])
    if json_file:
        json_file.write_text(json.dumps(result, indent=2) + "\n")
    if plot:
        _draw(result, plot)


def _bench_suites(
    names: list[str],
    besides: list[str] | None,
    trials: str | None,
    seconds: float | None,
    profile: bool,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Measure suites as a whole."""
    if trials is not None or plot is not None:
        raise LoptError("of a suite, leave out --trials and --plot, or name its tasks.")
    seconds = seconds or 3.0
    results = suite_bench.measure_and_print(names, besides, seconds)
    if profile:
        for result in results:
            tasks = dict.fromkeys(row["task"] for row in result["rows"])
            result["profiles"] = suite.profiles(list(tasks), seconds)
            _print_profiles(result["profiles"])
    if json_file:
        json_file.write_text(json.dumps({"suites": results}, indent=2) + "\n")


def _numbers(trials: str | None) -> list[int]:
    if trials is None:
        return list(suite.NUM_TRIALS)
    try:
        numbers = sorted({int(n) for n in trials.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise LoptError(
            f"--trials takes numbers of at least 1, e.g. 1,5,14,70; got {trials!r}."
        )
    return numbers


def _print_rows(result: dict[str, Any]) -> None:
    """Print every measurement, task by task."""
    table = Table(
        title=f"{result['cores']} cores, matrix products {result['peak_gflops']:.1f} "
        "GFLOP/s"
    )
    table.add_column("task", overflow="fold")
    table.add_column("way", no_wrap=True)
    for column in (
        "trials",
        "of steps",
        "steps/s",
        "ratio",
        "of peak",
        "compile",
        "memory",
    ):
        table.add_column(column, justify="right")
    before = ""
    for row in result["rows"]:
        if row["task"] != before:
            table.add_section()
        rate = row["trial_steps_per_second"]
        table.add_row(
            row["task"] if row["task"] != before else "",
            row["way"],
            str(row["num_trials"]),
            f"{row['num_steps']:,}",
            f"{rate:,.0f}" if rate > 99 else f"{rate:.2f}",
            f"{row['ratio']:.1f}",
            f"{row['share_of_peak']:.1%}",
            f"{row['compile_seconds']:.1f} s",
            f"{row['peak_mib']:,.0f} MiB",
        )
        before = row["task"]
    console().print(table)


def _print_profiles(profiles: dict[str, dict[str, Any]]) -> None:
    """Print the kinds of operations of each task, the most expensive first."""
    table = Table(title="where the time of a step goes, one trial on one core")
    table.add_column("task", overflow="fold")
    table.add_column("ms", justify="right")
    table.add_column("kind of operation")
    for column in ("of time", "of peak"):
        table.add_column(column, justify="right")
    for name, profile in profiles.items():
        table.add_section()
        whole, products = share_of_peak(profile)
        milliseconds = f"{profile['seconds_per_step'] * 1e3:.3g}"
        table.add_row(name, milliseconds, "all", "100%", f"{whole:.1%}")
        table.add_row("", "", "products and convolutions alone", "", f"{products:.1%}")
        for kind, share in sorted(profile["shares"].items(), key=lambda item: -item[1]):
            table.add_row("", "", kind, f"{share:.1%}", "")
    console().print(table)


def _draw(result: dict[str, Any], path: Path) -> None:
    """Draw throughput over the number of trials, one panel per task."""
    mpl.use("Agg")
    rows = result["rows"]
    names = list(dict.fromkeys(row["task"] for row in rows))
    width = min(4, len(names))
    fig, axes = plt.subplots(
        math.ceil(len(names) / width),
        width,
        figsize=(4 * width, 3.2 * math.ceil(len(names) / width)),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat[len(names) :]:
        ax.remove()
    for ax, name in zip(axes.flat, names, strict=False):
        own = [row for row in rows if row["task"] == name]
        length = own[0]["num_steps"]
        grown = [r for r in own if r["way"] == "default" and r["num_steps"] == length]
        ax.plot(
            [row["num_trials"] for row in grown],
            [row["trial_steps_per_second"] for row in grown],
            "o-",
            label="compiled runs",
        )
        for row in own:
            if row["way"].startswith("loop"):
                rate = row["trial_steps_per_second"]
                style = "--" if row["way"] == "loop" else ":"
                ax.axhline(rate, color="gray", linestyle=style, label=row["way"])
        ax.set(xscale="log", yscale="log", xlabel="trials", ylabel="trial-steps/s")
        ax.set_title(name, fontsize=8)
    axes.flat[0].legend(fontsize=7)
    fig.savefig(path, dpi=120)
    plt.close(fig)
