"""`lopt tasks`, `lopt sets`, `lopt optimizers`: everything there is."""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer


def tasks(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only tasks whose names match, e.g. 'RNNLM_*' or '*Cifar10_*'.",
        ),
    ] = "*",
) -> None:
    """List the fixed tasks."""
    from rich.table import Table

    from learned_optimization.cli.tables import console
    from learned_optimization.errors import UnknownNameError
    from learned_optimization.tasks import registry
    from learned_optimization.tasks.cost import num_params

    known = registry.all_fixed_tasks()
    chosen = fnmatch.filter(known, pattern)
    if not chosen:
        raise UnknownNameError("task", pattern, known, "`lopt tasks` lists them all")
    table = Table()
    table.add_column("task", overflow="fold")
    table.add_column("data set")
    table.add_column("at hand")
    table.add_column("parameters", justify="right")
    table.add_column("batch", justify="right")
    for name in chosen:
        task = known[name].make()
        data = task.datasets
        table.add_row(
            name,
            data.name if data else "none needed",
            "yes" if data is None or data.is_at_hand() else "no",
            f"{num_params(task):,}",
            str(data.batch_size) if data else "",
        )
    console().print(table)


def sets() -> None:
    """List the hparam sets."""
    from rich.table import Table

    from learned_optimization.baselines.hparam_sets import all_hparam_sets
    from learned_optimization.cli.tables import console

    table = Table()
    for column in ("set", "optimizer"):
        table.add_column(column)
    for column in ("steps", "configurations", "seeds", "trials"):
        table.add_column(column, justify="right")
    for name, s in all_hparam_sets().items():
        table.add_row(
            name,
            s.optimizer,
            f"{s.num_steps:,}",
            str(s.num_configs),
            str(s.repetitions),
            str(s.num_trials),
        )
    console().print(table)


def optimizers() -> None:
    """List the optimizers with their default settings."""
    from rich.table import Table

    from learned_optimization.cli.tables import console
    from learned_optimization.optimizers.base import all_optimizers, summary

    table = Table()
    table.add_column("optimizer")
    table.add_column("default setting", overflow="fold")
    table.add_column("what it is")
    for name, cls in all_optimizers().items():
        table.add_row(name, cls().name.removeprefix(f"{name}_"), summary(cls))
    console().print(table)
