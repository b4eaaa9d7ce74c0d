"""`lopt data`: which data sets there are, where they are, how to prepare them."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Data sets: list, find and prepare them.", no_args_is_help=True)

DatasetName = Annotated[
    str, typer.Argument(metavar="NAME", help="A data set; `lopt data list` lists them.")
]


@app.command("list")
def list_datasets() -> None:
    """List the data sets and whether each is available."""
    from rich.table import Table

    from learned_optimization.cli.tables import console
    from learned_optimization.tasks.datasets import locations

    table = Table()
    for column in ("data set", "part of the package", "available", "licence"):
        table.add_column(column, overflow="fold")
    for row in locations.describe():
        folders = {p if p.is_dir() else p.parent for p in row.places}
        here = "\n".join(sorted(map(str, folders)))
        embedded = ", ".join(row.embedded)
        only = f"{embedded} only" if embedded else "no"
        table.add_row(row.name, embedded, here or only, row.licence)
    console().print(table)


@app.command("where")
def where(name: DatasetName) -> None:
    """Say where a data set was found, or where it is looked for."""
    from learned_optimization.tasks.datasets import locations

    for path in locations.where(name):
        typer.echo(str(path))


@app.command("prepare")
def prepare_dataset(
    name: DatasetName,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Folder of the original files; `huggingface` downloads them.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Height and width to make images of (imagenet, food101)."),
    ] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="Of text: `bytes` or `32k` (sentencepiece).")
    ] = None,
) -> None:
    """Check a data set's original files and keep them in a form that loads fast.

    Run again after an interruption, it goes on where it was.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
    )

    from learned_optimization.tasks.datasets.prepare import prepare

    shown = Console(stderr=True)
    with Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=shown,
        transient=True,
        disable=not shown.is_terminal,
    ) as bar:
        work = bar.add_task(f"preparing {name}", total=None)
        folder = prepare(
            name,
            source,
            image_size=size,
            vocabulary=vocabulary,
            on_progress=lambda done, total: bar.update(
                work, completed=done, total=total
            ),
        )
    typer.echo(f"prepared {folder}")


@app.command("check")
def check(name: DatasetName) -> None:
    """Compare the prepared forms of a data set with their checksums."""
    from learned_optimization.tasks.datasets import locations, prepared

    locations.get_dataset(name)
    folders = locations.find_prepared(name)
    if not folders:
        raise locations.not_found(name)
    for folder in folders:
        prepared.verify(folder)
        typer.echo(f"{folder}: as it was written")
