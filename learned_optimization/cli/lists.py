"""`lopt tasks` and `lopt optimizers`: everything there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from learned_optimization.baselines.suites.registry import all_suites
from learned_optimization.cli.choosing import load_sets, matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Imports, SetFiles
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console, json_option, print_json
from learned_optimization.optimizers.base import all_optimizers, summary
from learned_optimization.tasks import registry
from learned_optimization.tasks.cost import num_params


def tasks(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only tasks whose names match, e.g. 'RNNLM_*' or '*Cifar10_*', or "
            "those of a suite.",
            autocompletion=completer("task", "suite"),
        ),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    as_json: Annotated[
        bool,
        json_option("name, summary, data_set, is_available, parameters, batch_size"),
    ] = False,
) -> None:
    """List the fixed tasks."""
    load_sets(set_files, imports)
    suite = all_suites().get(pattern or "")
    names = matching("task", None if suite else pattern, registry.all_fixed_tasks())
    rows = [task_row(name) for name in (suite.tasks if suite else names)]
    if as_json:
        print_json(rows)
        return
    batches = [str(row["batch_size"] or "") for row in rows]
    console().print(task_table(rows, "batch", batches))


def task_row(name: str) -> dict[str, Any]:
    """Return what the lists of tasks say of one."""
    fixed = registry.get(name)
    task = fixed.make()
    data = task.datasets
    return {
        "name": name,
        "summary": fixed.summary,
        "data_set": data.name if data else None,
        "is_available": data is None or data.is_available(),
        "parameters": num_params(task),
        "batch_size": data.batch_size if data else None,
    }


def task_table(
    rows: Sequence[Mapping[str, Any]],
    column: str,
    cells: Sequence[str],
    title: str | None = None,
) -> Table:
    """Return a table of tasks.

    Args:
      rows: of `task_row`.
      column: what else is said of each.
      cells: that, one for each row.
      title: of the table.
    """
    table = Table(title=title)
    table.add_column("task", overflow="fold")
    table.add_column("data set")
    table.add_column("available")
    table.add_column("parameters", justify="right")
    table.add_column(column, justify="right")
    for row, cell in zip(rows, cells, strict=True):
        table.add_row(
            row["name"],
            row["data_set"] or "none needed",
            "yes" if row["is_available"] else "no",
            f"{row['parameters']:,}",
            cell,
        )
    return table


def optimizers(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only optimizers whose names match, e.g. 'Ada*'.",
            autocompletion=completer("optimizer"),
        ),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    as_json: Annotated[
        bool, json_option("name, default_setting, needs (a list), summary")
    ] = False,
) -> None:
    """List the optimizers with their default settings and what they need."""
    load_sets(set_files, imports)
    known = all_optimizers()
    rows = []
    for name in matching("optimizer", pattern, known):
        opt = known[name]()
        rows.append(
            {
                "name": name,
                "default_setting": opt.name.removeprefix(f"{name}_"),
                "needs": sorted(opt.needs),
                "summary": summary(known[name]),
            }
        )
    if as_json:
        print_json(rows)
        return
    table = Table()
    table.add_column("optimizer")
    # Adam's setting is to stay in one piece.
    table.add_column("default setting", overflow="fold", min_width=43)
    table.add_column("needs", no_wrap=True)
    table.add_column("what it is")
    for row in rows:
        table.add_row(
            row["name"], row["default_setting"], ", ".join(row["needs"]), row["summary"]
        )
    console().print(table)
    say(f"{len(rows)} optimizer{'s' * (len(rows) != 1)}")
