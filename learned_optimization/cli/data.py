"""`lopt data`: which data sets there are, where they are, how to prepare them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeRemainingColumn,
)

from learned_optimization.cli.choosing import matching
from learned_optimization.cli.completion import completer
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import (
    Console,
    Table,
    console,
    is_live,
    json_option,
    print_json,
)
from learned_optimization.tasks.datasets import locations, prepared
from learned_optimization.tasks.datasets.prepare import prepare

DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A data set; `lopt data list` lists them.",
        autocompletion=completer("data set"),
    ),
]


def list_datasets(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            help="Only data sets whose names match, e.g. 'cifar*'.",
            autocompletion=completer("data set"),
        ),
    ] = None,
    as_json: Annotated[
        bool,
        json_option(
            "name, embedded (a list: what is part of the package), places (a list of "
            "paths; empty if it is not on this machine), licence, how_to_get"
        ),
    ] = False,
) -> None:
    """List the data sets and whether each is available."""
    described = {row.name: row for row in locations.describe()}
    names = matching("data set", pattern, described)
    rows = [described[name] for name in names]
    if as_json:
        print_json(
            [
                {
                    "name": row.name,
                    "embedded": list(row.embedded),
                    "places": [str(path) for path in row.places],
                    "licence": row.licence,
                    "how_to_get": row.how_to_get,
                }
                for row in rows
            ]
        )
        return
    table = Table()
    for column in ("data set", "part of the package", "available", "licence"):
        table.add_column(column, overflow="fold")
    for row in rows:
        folders = {p if p.is_dir() else p.parent for p in row.places}
        here = "\n".join(sorted(map(str, folders)))
        embedded = ", ".join(row.embedded)
        only = f"{embedded} only" if embedded else "no"
        table.add_row(row.name, embedded, here or only, row.licence)
    console().print(table)


def where(name: DatasetName) -> None:
    """Print where a data set is, or where it is looked for."""
    for path in locations.where(name):
        say(str(path))


def prepare_dataset(
    name: DatasetName,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Folder of the original files, or `huggingface` to download them; by "
            "default they are looked for where `lopt data where` looks.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Height and width of the images to make, where the originals have "
            "many (imagenet, food101).",
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Vocabulary of a text data set: `bytes` or `32k` (sentencepiece).",
        ),
    ] = None,
) -> None:
    """Check a data set's original files and store them in a fast form.

    Run again after an interruption, it goes on where it was.
    """
    shown = Console(stderr=True)
    with Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=shown,
        transient=True,
        disable=not is_live(shown),
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
    say(f"prepared {folder}")


def check(name: DatasetName) -> None:
    """Compare the prepared forms of a data set with their checksums."""
    locations.get_dataset(name)
    folders = locations.find_prepared(name)
    if not folders:
        raise locations.not_found(name)
    for folder in folders:
        prepared.verify(folder)
        say(f"{folder}: as it was written")
