"""`lopt import`: curves that were trained elsewhere, as results beside one's own."""

from __future__ import annotations

from typing import Annotated

import typer

from learned_optimization.baselines import importing
from learned_optimization.cli.completion import completer
from learned_optimization.cli.output import say


def import_curves(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="CSV or parquet files of one set on one task."
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            "--task",
            metavar="TASK",
            help="The task, as it is called here.",
            autocompletion=completer("task"),
        ),
    ],
    set_name: Annotated[
        str,
        typer.Option(
            "--set", metavar="NAME", help="Name of the set: none that is defined here."
        ),
    ],
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What results are called before their hyper-parameters; the set's "
            "name by default.",
        ),
    ] = None,
    run_name: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="How the names of runs say their hyper-parameters, e.g. "
            "'adamw-lr{learning_rate}-s{seed}'.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an archive of that name, with its result files.",
        ),
    ] = False,
) -> None:
    """Make result files and an archive of curves trained elsewhere (CSV, parquet).

    A table has a column `step`, and either `split` and `loss`, as those that `lopt
    export` writes, or a column for each split, as `test/loss`; or it is what Weights &
    Biases exports of a chart. `seed`, `lr` and `hparam/NAME` say which trial a row is
    of.
    """
    path = importing.import_curves(
        files,
        task,
        set_name,
        optimizer=optimizer,
        run_name=run_name,
        overwrite=overwrite,
    )
    say(f"archived {path}")
