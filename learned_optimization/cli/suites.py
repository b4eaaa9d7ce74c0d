"""`lopt suites`: the suites, and the tasks of one of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from learned_optimization.baselines.suites.registry import all_suites
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.baselines.sweeps.estimate import trial_flops
from learned_optimization.cli.choosing import load_sets, matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.lists import task_row, task_table
from learned_optimization.cli.options import Imports, SetFiles
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console, json_option, print_json
from learned_optimization.tasks import registry


def suites(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUITE]",
            help="A suite, whose tasks are listed with what they cost; or a pattern, "
            "such as 'published_*'.",
            autocompletion=completer("suite"),
        ),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    as_json: Annotated[
        bool,
        json_option(
            "name, num_tasks, num_available, data_sets (a list), num_steps, seeds, "
            "is_heldout, tasks (names), description; of one suite, its tasks: name, "
            "summary, data_set, is_available, parameters, batch_size, tflop_per_trial"
        ),
    ] = False,
) -> None:
    """List the suites, or the tasks of one with their data and cost.

    Wherever a task is named, a suite may be.
    """
    load_sets(set_files, imports)
    known = all_suites()
    names = matching("suite", pattern, known)
    if names == [pattern]:
        _print_tasks(known[names[0]], as_json)
        return
    rows = [_row(known[name]) for name in names]
    if as_json:
        print_json(rows)
        return
    table = Table()
    table.add_column("suite", no_wrap=True)
    table.add_column("tasks", justify="right")
    table.add_column("data sets", overflow="fold")
    table.add_column("available")
    table.add_column("steps", justify="right")
    table.add_column("what it is")
    for row in rows:
        table.add_row(
            row["name"],
            str(row["num_tasks"]),
            ", ".join(row["data_sets"]) or "none needed",
            _share(row["num_available"], row["num_tasks"]),
            f"{row['num_steps']:,}",
            row["description"] + " (held out)" * row["is_heldout"],
        )
    console().print(table)
    say(
        f"{len(rows)} suite{'s' * (len(rows) != 1)}; `lopt suites NAME` lists its tasks"
    )


def _row(suite: Suite) -> dict[str, Any]:
    """Return what there is to say of a suite."""
    data = [registry.get(name).make().datasets for name in suite.tasks]
    available = [d is None or d.is_available() for d in data]
    return {
        "name": suite.name,
        "num_tasks": len(suite.tasks),
        "data_sets": list(dict.fromkeys(d.name for d in data if d is not None)),
        "num_available": sum(available),
        "num_steps": suite.num_steps,
        "seeds": suite.seeds,
        "is_heldout": suite.is_heldout,
        "tasks": list(suite.tasks),
        "description": suite.description,
    }


def _share(available: int, every: int) -> str:
    if available in (0, every):
        return "yes" if available else "no"
    return f"{available} of {every}"


def _tflop(task_name: str, suite: Suite) -> float:
    """Return the arithmetic of one trial, in 10^12 operations."""
    return trial_flops(registry.get(task_name).make(), suite.plan) / 1e12


def _print_tasks(suite: Suite, as_json: bool) -> None:
    """Print the tasks of a suite and what a trial of each costs."""
    rows = [
        {**task_row(name), "tflop_per_trial": _tflop(name, suite)}
        for name in suite.tasks
    ]
    if as_json:
        print_json(rows)
        return
    title = ": ".join(filter(None, (suite.name, suite.description)))
    cells = [f"{row['tflop_per_trial']:.3g}" for row in rows]
    table = task_table(rows, "TFLOP/trial", cells, title)
    console().print(table)
    say(
        f"{len(rows)} tasks, each trained for {suite.num_steps:,} steps, with "
        f"{suite.seeds} seeds"
        + "; held out: nothing is tuned or chosen on them"
        * suite.is_heldout
    )
