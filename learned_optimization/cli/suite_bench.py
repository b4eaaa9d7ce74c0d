"""`lopt bench SUITE`: how long a suite of tasks takes for one optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from learned_optimization.baselines.suites.registry import all_suites, get_suite
from learned_optimization.benchmarking import suite_time
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console


def is_suites(names: Sequence[str] | None) -> bool:
    """Return whether names are of suites, all of them."""
    return bool(names) and set(names or ()) <= all_suites().keys()


def measure_and_print(
    names: Sequence[str], optimizers: Sequence[str] | None, seconds: float
) -> list[dict[str, Any]]:
    """Measure suites, and print a table of each.

    Args:
      names: of the suites.
      optimizers: names of optimizers besides Adam.
      seconds: how long each row is measured.

    Returns:
      What `suite_time.run` returns of each.

    Raises:
      UnknownNameError: if there is no optimizer of a name.
      DataNotFoundError: if a task's data is not available.
      LoptError: if a measurement fails.
    """
    every = list(dict.fromkeys([suite_time.REFERENCE, *(optimizers or ())]))
    results = []
    for name in names:
        result = suite_time.run(get_suite(name), every, seconds, _say)
        results.append(result)
        _print(result)
    return results


def _say(row: suite_time.TaskTime) -> None:
    say(f"{row.task}, {row.optimizer}: {row.seconds:.0f} s", err=True)


def _print(result: dict[str, Any]) -> None:
    table = Table(
        title=f"{result['suite']}: {result['cores']} cores, matrix products "
        f"{result['peak_gflops']:.1f} GFLOP/s"
    )
    table.add_column("task", overflow="fold")
    table.add_column("optimizer", no_wrap=True)
    for column in ("steps/s", "of peak", "x loops", "compile", "set", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    before = ""
    for row in result["rows"]:
        if row["task"] != before:
            table.add_section()
        table.add_row(
            row["task"] if row["task"] != before else "",
            row["optimizer"],
            f"{row['trial_steps_per_second']:,.0f}",
            f"{row['share_of_peak']:.1%}",
            "" if row["ratio"] is None else f"{row['ratio']:.1f}",
            f"{row['compile_seconds']:.1f} s",
            f"{row['seconds']:.1f} s",
            f"{row['peak_mib']:,.0f} MiB",
        )
        before = row["task"]
    table.add_section()
    meta = result["meta_training"]
    table.add_row(
        f"meta-training on {meta['task']}",
        "MLPLOpt",
        f"{meta['inner_steps_per_second']:,.0f}",
        f"{meta['share_of_peak']:.1%}",
        f"{meta['ratio']:.1f}",
        f"{meta['compile_seconds']:.1f} s",
        "",
        f"{meta['peak_mib']:,.0f} MiB",
    )
    table.add_section()
    for name, seconds in result["suite_seconds"].items():
        table.add_row("the whole suite", name, "", "", "", "", f"{seconds:.0f} s", "")
    console().print(table)
