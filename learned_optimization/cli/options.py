"""Options several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from learned_optimization.cli.completion import completer

SAY_MORE = "After an error, also print where in the code it arose."
"""What `-v` means to every command."""

_VERBOSE = "learned_optimization.verbose"


def remember_verbose(ctx: typer.Context, value: bool) -> bool:
    """Note for the end of the command whether `-v` was given."""
    ctx.meta[_VERBOSE] = value
    return value


def is_verbose(ctx: Any) -> bool:
    """Return whether the command was given `-v`."""
    return ctx.meta.get(_VERBOSE, False)


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TASK]... [SET]...",
        help="Tasks, suites and hparam sets, in any order; `lopt tasks`, `lopt suites` "
        "and `lopt sets` list them. A suite stands for its tasks.",
        autocompletion=completer("task", "suite", "set"),
    ),
]
ArchiveNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TASK]... [SET]...",
        help="Tasks, suites and sets, in any order. A set need not be defined here if "
        "a task named has an archive of that name.",
        autocompletion=completer("task", "suite", "set", "archive"),
    ),
]
SetFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FILE",
        help="A .py, .yaml or .gin file that defines sets or suites; repeatable. Name "
        "some of its sets to choose them; with no set named, all of the file.",
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE",
        help="A Python file of optimizers or tasks, imported first; repeatable.",
    ),
]
Checkpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME=PATH",
        help="A learned optimizer's checkpoint, under a name of yours; repeatable. Its "
        "sets are NAME_LOpt_1000_R5 and so on; LOpt_1000_R5 stands for that of each "
        "checkpoint given. NAME=CLASS@PATH where no config.gin is beside the file.",
    ),
]
SeedOffset = Annotated[
    int | None,
    typer.Option(
        "--seed-offset",
        min=0,
        metavar="SEED",
        help="The first seed of each set, 0 by default: reruns that share no seed are "
        "independent. With 5 a set is called SET_from5, which names it to every "
        "command.",
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        metavar="MINUTES",
        min=0.0,
        help="Save and stop after so many minutes; the same command goes on. No limit "
        "by default.",
    ),
]
GinFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--gin_file", "--gin-file", metavar="FILE", help="A gin file; repeatable."
    ),
]
GinImports = Annotated[
    list[str] | None,
    typer.Option(
        "--gin_import",
        "--gin-import",
        metavar="MODULE",
        help="A module whose gin configurables, or optimizers, are needed; repeatable.",
    ),
]
SkipUnknown = Annotated[
    bool,
    typer.Option(
        "--skip_unknown",
        "--skip-unknown",
        help="Leave out bindings of unknown names, as files of other versions have "
        "them; an error by default.",
    ),
]
GinBindings = Annotated[
    list[str] | None,
    typer.Option(
        "--gin_bindings",
        "--gin-bindings",
        metavar="BINDING",
        help="A gin binding such as Adam.beta1=0.8; repeatable.",
    ),
]
