"""`lopt export`: archived results for other tools."""

from __future__ import annotations

import posixpath
from typing import Annotated

import typer

from learned_optimization.baselines.exporting import to_frame
from learned_optimization.baselines.exporting.frames import require
from learned_optimization.cli.choosing import split_tasks_and_archives
from learned_optimization.cli.options import (
    ArchiveNames,
    Checkpoints,
    Imports,
    SetFiles,
)
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.errors import LoptError, UnknownNameError

_FORMATS = ("parquet", "csv", "json", "tensorboard")

Format = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="Format: parquet, csv, json or tensorboard; by default the ending of the "
        "output's name, else parquet.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="The file, or the folder for TensorBoard; export.FORMAT by default.",
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
            "TensorBoard always gets curves.",
        ),
    ] = None,
    every_config: Annotated[
        bool,
        typer.Option(
            "--all",
            help="TensorBoard: export all configurations, not just the best of each "
            "set. Tables always hold all.",
        ),
    ] = False,
    select: Annotated[
        str,
        typer.Option(
            help="TensorBoard: split whose final loss selects the best configuration: "
            "train, outer_valid or test."
        ),
    ] = "outer_valid",
) -> None:
    """Export archived sets: every set named, on every task named."""
    kind = _format(to, output)
    if kind == "tensorboard" and curves is False:
        raise LoptError(
            "--no-curves is for tables: TensorBoard shows curves. Leave it out, or "
            "choose --to parquet, csv or json."
        )
    path = output or f"export.{kind}"
    tasks, set_names = split_tasks_and_archives(names, set_files, imports, checkpoints)
    for what, chosen in (("task", tasks), ("set", set_names)):
        if not chosen:
            raise LoptError(
                f"nothing to export: no {what} is named. Name at least one task and "
                "one set; `lopt status` lists those that have results."
            )
    if kind == "tensorboard":
        _write_events(tasks, set_names, path, every_config, select)
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


def _write_events(
    tasks: list[str], sets: list[str], path: str, every_config: bool, select: str
) -> None:
    require("tensorboard.summary.writer.record_writer", "tensorboard")

    from learned_optimization.baselines.exporting.events import write_events

    count = write_events(
        tasks,
        sets,
        path,
        every_config=every_config,
        select=select,
        on_left_out=say_left_out,
    )
    say(f"{count:,} trials: tensorboard --logdir {path}")
