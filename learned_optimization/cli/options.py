"""Options several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from learned_optimization.errors import LoptError

if TYPE_CHECKING:
    from learned_optimization.baselines.hparam_set import HParamSet

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A fixed task; `lopt tasks` lists them.")
]
SetNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SET]...", help="Hparam sets; `lopt sets` lists them."),
]
SetFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FILE",
        help="A .py, .yaml or .gin file that defines hparam sets; repeatable.",
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE",
        help="A .py file that defines optimizers or tasks; repeatable.",
    ),
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


def import_files(files: list[str] | None) -> None:
    """Makes known what Python files define."""
    from learned_optimization.baselines.user_files import import_file

    for file in files or []:
        import_file(file)


def load_set_files(files: list[str] | None) -> list[HParamSet]:
    """The sets that files define, which are known from then on."""
    from learned_optimization.baselines.user_files import load_user_file

    return [s for file in files or [] for s in load_user_file(file)]


def chosen_sets(
    names: list[str] | None, files: list[str] | None, imports: list[str] | None = None
) -> list[HParamSet]:
    """The sets named, and those the files define.

    Raises:
      LoptError: if there are none, or a name or file is wrong.
    """
    from learned_optimization.baselines.hparam_sets import get_hparam_set

    import_files(imports)
    from_files = load_set_files(files)
    # A set of a file may be named too.
    sets = [get_hparam_set(name) for name in names or []]
    sets += [s for s in from_files if s not in sets]
    if not sets:
        raise LoptError(
            "which sets? Name some (`lopt sets` lists them), or give a file that "
            "defines them: --set my_set.yaml"
        )
    return sets


def load_gin(files: list[str] | None, bindings: list[str] | None) -> None:
    """Replaces the gin configuration by that of the command line."""
    from learned_optimization import configuration

    configuration.load(files or [], bindings or [])
