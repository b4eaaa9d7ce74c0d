"""Options several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from learned_optimization.errors import LoptError, UnknownNameError

if TYPE_CHECKING:
    from learned_optimization.baselines.sets.hparam_set import HParamSet

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A fixed task; `lopt tasks` lists them.")
]
SetNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SET]...", help="Hparam sets; `lopt sets` lists them."),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TASK]... [SET]...", help="Tasks and sets, in any order."),
]
SetFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FILE",
        help="A .py, .yaml or .gin file of hparam sets; repeatable.",
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE",
        help="A Python file of optimizers or tasks; repeatable.",
    ),
]
GinFiles = Annotated[
    list[str] | None,
    typer.Option("--gin_file", "--gin-file", help="A gin file; repeatable."),
]
GinImports = Annotated[
    list[str] | None,
    typer.Option(
        "--gin_import",
        "--gin-import",
        metavar="MODULE",
        help="A module whose gin configurables are needed; repeatable.",
    ),
]
SkipUnknown = Annotated[
    bool,
    typer.Option(
        "--skip_unknown",
        "--skip-unknown",
        help="Leave out bindings of what is not known, as in files of other versions.",
    ),
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
    """Make known what Python files define."""
    if not files:
        return
    from learned_optimization.baselines.sets.files import import_file

    for file in files:
        import_file(file)


def load_sets(files: list[str] | None, imports: list[str] | None) -> list[HParamSet]:
    """Return the sets that files define, after importing others."""
    import_files(imports)
    if not files:
        return []
    from learned_optimization.baselines.sets.files import load_user_file

    return [s for file in files for s in load_user_file(file)]


def chosen_sets(
    names: list[str] | None, files: list[str] | None, imports: list[str] | None
) -> list[HParamSet]:
    """Return the sets named, and those that files define.

    Raises:
      LoptError: if there are none, or a name or file is wrong.
    """
    from learned_optimization.baselines.sets.registry import get_hparam_set

    from_files = load_sets(files, imports)
    # A set of a file may be named too.
    sets = [*map(get_hparam_set, names or []), *from_files]
    if not sets:
        raise LoptError(
            "no set is given: name some (`lopt sets` lists them), or a file that "
            "defines some, as --set my_set.yaml"
        )
    return list({s.name: s for s in sets}.values())


def split_tasks_and_sets(
    names: Iterable[str] | None, set_files: list[str] | None, imports: list[str] | None
) -> tuple[list[str], list[HParamSet]]:
    """Tell tasks from sets: no name is of both.

    Args:
      names: tasks and sets, in any order. What has results is a task too.
      set_files: files whose sets follow those named.
      imports: Python files that are imported before.

    Returns:
      The tasks' names and the sets, each in the order of `names`, once. Either may
      be empty.

    Raises:
      UnknownNameError: if a name is neither.
      LoptError: if a file is wrong.
    """
    from learned_optimization.baselines.sets.registry import all_hparam_sets

    names = list(dict.fromkeys(names or []))
    from_files = load_sets(set_files, imports)
    sets, tasks = all_hparam_sets(), tasks_with_files()
    if any(name not in sets and name not in tasks for name in names):
        tasks |= fixed_tasks()
    for name in names:
        if name not in sets and name not in tasks:
            raise UnknownNameError(
                "task or set",
                name,
                [*tasks, *sets],
                "`lopt tasks` and `lopt sets` list them",
            )
    chosen = {name: sets[name] for name in names if name in sets}
    chosen |= {s.name: s for s in from_files}
    return [name for name in names if name not in sets], list(chosen.values())


def tasks_with_files() -> set[str]:
    """Return names of the tasks that have results or archives."""
    from learned_optimization import filesystem
    from learned_optimization.baselines import utils

    roots = utils.get_root_baseline_dir(), utils.get_baseline_archive_rootdir()
    return {name for root in roots for name in filesystem.list_folders(root)}


def fixed_tasks() -> set[str]:
    """Return names of the registered tasks."""
    # Importing them takes seconds, and those that have files need no import.
    from learned_optimization.tasks import registry

    return set(registry.all_fixed_tasks())


def load_gin(
    files: list[str] | None,
    bindings: list[str] | None,
    modules: list[str] | None = None,
    skip_unknown: bool = False,
) -> None:
    """Replace the gin configuration by that of the command line."""
    from learned_optimization import configuration

    configuration.import_modules(modules or [])
    configuration.load(files or [], bindings or [], skip_unknown)
