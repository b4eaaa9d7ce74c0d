"""`lopt sets`: every set there is. It imports no jax, so that it answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.cli.choosing import load_sets, matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Imports, SetFiles
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console, json_option, print_json


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
    say(
        f"{len(chosen)} set{'s' * (len(chosen) != 1)}, {configs:,} configurations, "
        f"{trials:,} trials"
    )
