"""`lopt sets`: every set there is. It imports no jax, so that it answers at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from learned_optimization.baselines.sets.checkpoint_sets import (
    TEMPLATES,
    CheckpointTemplate,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.cli.checkpoints import load_checkpoints
from learned_optimization.cli.choosing import load_sets, matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import Checkpoints, Imports, SetFiles
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console, json_option, print_json
from learned_optimization.learned_optimizers.pretrained import pretrained_names


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
    checkpoints: Checkpoints = None,
    as_json: Annotated[
        bool,
        json_option(
            "name, optimizer, num_steps, configurations, seeds, trials, needs (a list)"
        ),
    ] = False,
) -> None:
    """List the hparam sets, and those that a checkpoint of yours completes."""
    given = load_sets(set_files, imports)
    given += [s for made in load_checkpoints(checkpoints) for s in made.define()]
    known: dict[str, HParamSet | CheckpointTemplate] = all_hparam_sets() | TEMPLATES
    if pattern is None and given:
        known = {s.name: s for s in given}
    names = matching("hparam set", pattern, known)
    rows = [_row(known[name]) for name in names]
    if as_json:
        print_json(rows)
        return
    table = Table()
    for column in ("set", "optimizer"):
        table.add_column(column)
    for column in ("steps", "configurations", "seeds", "trials"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["name"] + " *" * bool(row["needs"]),
            row["optimizer"],
            f"{row['num_steps']:,}",
            str(row["configurations"]),
            str(row["seeds"]),
            str(row["trials"]),
        )
    console().print(table)
    configs = sum(row["configurations"] for row in rows)
    trials = sum(row["trials"] for row in rows)
    say(
        f"{len(rows)} set{'s' * (len(rows) != 1)}, {configs:,} configurations, "
        f"{trials:,} trials"
    )
    if any(row["needs"] for row in rows):
        say("* needs a checkpoint: --checkpoint NAME=PATH")
        for name in pretrained_names():
            say(f"  or {name}_ before its name: that checkpoint is in the package")


def _row(s: HParamSet | CheckpointTemplate) -> dict[str, Any]:
    return {
        "name": s.name,
        "optimizer": s.optimizer,
        "num_steps": s.num_steps,
        "configurations": s.num_configs,
        "seeds": s.repetitions,
        "trials": s.num_configs * s.repetitions,
        "needs": ["checkpoint"] if isinstance(s, CheckpointTemplate) else [],
    }
