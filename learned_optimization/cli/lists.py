"""`lopt tasks`, `lopt sets`, `lopt optimizers`: everything there is."""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer

from learned_optimization.cli.options import Imports, SetFiles, load_sets


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
    table.add_column("available")
    table.add_column("parameters", justify="right")
    table.add_column("batch", justify="right")
    for name in chosen:
        task = known[name].make()
        data = task.datasets
        table.add_row(
            name,
            data.name if data else "none needed",
            "yes" if data is None or data.is_available() else "no",
            f"{num_params(task):,}",
            str(data.batch_size) if data else "",
        )
    console().print(table)


def sets(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only sets whose names match, e.g. 'Muon*' or '*_10000_R5'.",
        ),
    ] = "*",
    set_files: SetFiles = None,
    imports: Imports = None,
) -> None:
    """List the hparam sets."""
    from rich.table import Table

    from learned_optimization.baselines.sets.registry import all_hparam_sets
    from learned_optimization.cli.tables import console
    from learned_optimization.errors import UnknownNameError

    load_sets(set_files, imports)
    known = all_hparam_sets()
    chosen = [known[name] for name in fnmatch.filter(known, pattern)]
    if not chosen:
        raise UnknownNameError(
            "hparam set", pattern, known, "`lopt sets` lists them all"
        )
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


def optimizers(set_files: SetFiles = None, imports: Imports = None) -> None:
    """List the optimizers with their default settings and what they need."""
    from rich.table import Table

    from learned_optimization.cli.tables import console
    from learned_optimization.optimizers.base import all_optimizers, summary

    load_sets(set_files, imports)
    table = Table()
    table.add_column("optimizer")
    # Adam's setting is to stay in one piece.
    table.add_column("default setting", overflow="fold", min_width=43)
    table.add_column("needs", no_wrap=True)
    table.add_column("what it is")
    known = all_optimizers()
    for name, cls in known.items():
        opt = cls()
        setting = opt.name.removeprefix(f"{name}_")
        table.add_row(name, setting, ", ".join(sorted(opt.needs)), summary(cls))
    console().print(table)
    typer.echo(f"{len(known)} optimizers")
