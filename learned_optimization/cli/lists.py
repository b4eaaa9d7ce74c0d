"""`lopt tasks`, `lopt sets`, `lopt optimizers`: everything there is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.cli.choosing import load_sets, matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Imports, SetFiles
from learned_optimization.cli.tables import console, json_option, print_json
from learned_optimization.optimizers.base import all_optimizers, summary
from learned_optimization.tasks import registry
from learned_optimization.tasks.cost import num_params


def tasks(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only tasks whose names match, e.g. 'RNNLM_*' or '*Cifar10_*'.",
            autocompletion=completer("task"),
        ),
    ] = None,
    imports: Imports = None,
    as_json: Annotated[
        bool,
        json_option("name, summary, data_set, is_available, parameters, batch_size"),
    ] = False,
) -> None:
    """List the fixed tasks."""
    load_sets(None, imports)
    known = registry.all_fixed_tasks()
    rows = []
    for name in matching("task", pattern, known):
        task = known[name].make()
        data = task.datasets
        rows.append(
            {
                "name": name,
                "summary": known[name].summary,
                "data_set": data.name if data else None,
                "is_available": data is None or data.is_available(),
                "parameters": num_params(task),
                "batch_size": data.batch_size if data else None,
            }
        )
    if as_json:
        print_json(rows)
        return
    table = Table()
    table.add_column("task", overflow="fold")
    table.add_column("data set")
    table.add_column("available")
    table.add_column("parameters", justify="right")
    table.add_column("batch", justify="right")
    for row in rows:
        table.add_row(
            row["name"],
            row["data_set"] or "none needed",
            "yes" if row["is_available"] else "no",
            f"{row['parameters']:,}",
            str(row["batch_size"] or ""),
        )
    console().print(table)


def sets(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only sets whose names match, e.g. 'Muon*' or '*_10000_R5'.",
            autocompletion=completer("set"),
        ),
    ] = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    as_json: Annotated[
        bool,
        json_option("name, optimizer, num_steps, configurations, seeds, trials"),
    ] = False,
) -> None:
    """List the hparam sets."""
    from_files = {s.name: s for s in load_sets(set_files, imports)}
    known = all_hparam_sets()
    if pattern is None and from_files:
        known = from_files
    names = matching("hparam set", pattern, known)
    chosen = [known[name] for name in names]
    if as_json:
        print_json(
            [
                {
                    "name": s.name,
                    "optimizer": s.optimizer,
                    "num_steps": s.num_steps,
                    "configurations": s.num_configs,
                    "seeds": s.repetitions,
                    "trials": s.num_trials,
                }
                for s in chosen
            ]
        )
        return
    table = Table()
    for column in ("set", "optimizer"):
        table.add_column(column)
    for column in ("steps", "configurations", "seeds", "trials"):
        table.add_column(column, justify="right")
    for s in chosen:
        table.add_row(
            s.name,
            s.optimizer,
            f"{s.num_steps:,}",
            str(s.num_configs),
            str(s.repetitions),
            str(s.num_trials),
        )
    console().print(table)
    configs = sum(s.num_configs for s in chosen)
    trials = sum(s.num_trials for s in chosen)
    typer.echo(
        f"{len(chosen)} set{'s' * (len(chosen) != 1)}, {configs:,} configurations, "
        f"{trials:,} trials"
    )


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
    typer.echo(f"{len(rows)} optimizer{'s' * (len(rows) != 1)}")
