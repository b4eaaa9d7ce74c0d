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
    """List the data sets and whether each is at hand."""
    from rich.table import Table

    from learned_optimization.cli.tables import console
    from learned_optimization.tasks.datasets import locations

    table = Table()
    for column in ("data set", "part of the package", "at hand", "licence"):
        table.add_column(column)
    for row in locations.describe():
        sizes = ", ".join(f"{size}x{size}" for size in row.embedded_sizes)
        table.add_row(row.name, sizes, "yes" if row.files else "no", row.licence)
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
        typer.Option("--from", metavar="DIR", help="Folder of the original files."),
    ] = None,
) -> None:
    """Check a data set's original files and keep them in a form that loads fast."""
    from learned_optimization.tasks.datasets import image, locations

    image.get_image_dataset(name)
    if source is None:
        folders = locations.original_folders(name)
        source = next((str(f) for f in folders if locations.find_idx_files(f)), None)
        if source is None:
            raise locations.not_found(name)
    typer.echo(f"prepared {image.prepare(name, source)}")
