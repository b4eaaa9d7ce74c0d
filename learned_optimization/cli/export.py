"""`lopt export`: archived results for other tools."""

from __future__ import annotations

import os
import posixpath
from typing import Annotated

import typer

from learned_optimization.baselines.exporting import to_frame
from learned_optimization.baselines.exporting.libraries import require
from learned_optimization.cli.choosing import split_tasks_and_archives
from learned_optimization.cli.options import (
    ArchiveNames,
    Checkpoints,
    Imports,
    SetFiles,
)
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.errors import LoptError, UnknownNameError

_TABLES = ("parquet", "csv", "json")
_TRACKERS = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "W&B"}
_FORMATS = (*_TABLES, *_TRACKERS)

Format = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="Format: parquet, csv or json, or the tool that is to show the runs: "
        "tensorboard, mlflow or wandb (Weights & Biases); by default the ending of the "
        "output's name, else parquet.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="The file, or the folder for TensorBoard and W&B; export.FORMAT by "
        "default. MLflow: an SQLite file, or the address of a server or database; by "
        "default what MLFLOW_TRACKING_URI says, else export.db.",
    ),
]


def export(
    names: ArchiveNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    to: Format = None,
    output: Output = None,
    curves: Annotated[
        bool | None,
        typer.Option(
            "--curves/--no-curves",
            help="One row per evaluation, or (the default) one row per trial. "
            "TensorBoard, MLflow and W&B always get curves.",
        ),
    ] = None,
    every_config: Annotated[
        bool,
        typer.Option(
            "--all",
            help="TensorBoard, MLflow, W&B: export all configurations, not just the "
            "best of each set. Tables always hold all.",
        ),
    ] = False,
    select: Annotated[
        str,
        typer.Option(
            help="TensorBoard, MLflow, W&B: split whose final loss selects the best "
            "configuration: train, outer_valid or test."
        ),
    ] = "outer_valid",
) -> None:
    """Export archived sets: every set named, on every task named."""
    kind = _format(to, output)
    if kind in _TRACKERS and curves is False:
        raise LoptError(
            f"--no-curves is for tables: {_TRACKERS[kind]} shows curves. Leave it out, "
            "or choose --to parquet, csv or json."
        )
    path = output or _default_output(kind)
    tasks, set_names = split_tasks_and_archives(names, set_files, imports, checkpoints)
    for what, chosen in (("task", tasks), ("set", set_names)):
        if not chosen:
            raise LoptError(
                f"nothing to export: no {what} is named. Name at least one task and "
                "one set; `lopt status` lists those that have results."
            )
    if kind in _TRACKERS:
        _write_runs(tasks, set_names, path, kind, every_config, select)
    else:
        _write_table(tasks, set_names, path, kind, bool(curves))


def _format(to: str | None, output: str | None) -> str:
    if to is None:
        ending = posixpath.splitext(output or "")[1].removeprefix(".")
        if ending and ending not in _FORMATS:
            raise LoptError(
                f"cannot tell a format by the name {output}: end it in .parquet, .csv "
                f"or .json, or choose one of {', '.join(_FORMATS)} by --to."
            )
        return ending or "parquet"
    if to not in _FORMATS:
        raise UnknownNameError("format", to, _FORMATS)
    return to


def _default_output(kind: str) -> str:
    if kind == "mlflow":
        return os.environ.get("MLFLOW_TRACKING_URI") or "export.db"
    return f"export.{kind}"


def _write_table(
    tasks: list[str], sets: list[str], path: str, kind: str, curves: bool
) -> None:
    # First what says which extra is missing, then what needs it.
    table = to_frame(
        tasks, sets, curves=curves, library="pyarrow", on_left_out=say_left_out
    )

    from learned_optimization.baselines.exporting.files import write_table

    write_table(table, path, kind)
    rows = "evaluations" if curves else "trials"
    say(f"{table.num_rows:,} {rows}: {path}")


def _write_runs(
    tasks: list[str],
    sets: list[str],
    path: str,
    kind: str,
    every_config: bool,
    select: str,
) -> None:
    if kind == "tensorboard":
        require("tensorboard.summary.writer.record_writer", "tensorboard")

        from learned_optimization.baselines.exporting.events import write_events

        write, shown = write_events, f"tensorboard --logdir {path}"
    elif kind == "mlflow":
        from learned_optimization.baselines.exporting import mlflow_runs

        write, shown = mlflow_runs.write_mlflow, mlflow_runs.without_password(path)
        if not mlflow_runs.is_address(path):
            shown = f"mlflow ui --backend-store-uri sqlite:///{path}"
    else:
        from learned_optimization.baselines.exporting.wandb_runs import write_wandb

        write, shown = write_wandb, f"wandb sync {path}/wandb/offline-run-*"
    count = write(
        tasks,
        sets,
        path,
        every_config=every_config,
        select=select,
        on_left_out=say_left_out,
    )
    say(f"{count:,} trials: {shown}")
