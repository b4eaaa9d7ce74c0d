"""Options several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A fixed task; `lopt tasks` lists them.")
]
SetNames = Annotated[
    list[str],
    typer.Argument(metavar="SET...", help="Hparam sets; `lopt sets` lists them."),
]
GinFiles = Annotated[
    list[str] | None,
    typer.Option("--gin_file", "--gin-file", help="A gin file; repeatable."),
]
GinBindings = Annotated[
    list[str] | None,
    typer.Option(
        "--gin_bindings",
        "--gin-bindings",
        help="A gin binding such as Adam.beta1=0.8; repeatable.",
    ),
]


def load_gin(files: list[str] | None, bindings: list[str] | None) -> None:
    """Replaces the gin configuration by that of the command line."""
    from learned_optimization import configuration

    configuration.load(files or [], bindings or [])
