"""Groups of commands that import a command's module when it is invoked.

Command modules can then import what they need at their top, and `lopt --help`
imports none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from learned_optimization.cli.commands import Command, Group
from learned_optimization.cli.completion import completer
from learned_optimization.cli.options import SAY_MORE, remember_verbose

if TYPE_CHECKING:
    Context = Any  # click's, which newer versions of typer include

_PACKAGE = __name__.rpartition(".")[0]


class LazyGroup(TyperGroup):
    """A group whose help comes from a table.

    Args:
      table: name to command or group.
      **options: those of `typer.core.TyperGroup`.
    """

    def __init__(self, table: Mapping[str, Command | Group], **options: Any):
        super().__init__(**options)
        self._table = table
        # Enough for the help, and for the nearest names after a misspelt one.
        for name, entry in table.items():
            self.add_command(TyperCommand(name, help=entry.summary))

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:
        """Return the name, command and remaining arguments; import the command."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        entry = self._table[name]
        if isinstance(entry, Group):
            return name, make_group(name, entry), rest
        # What follows an option may be its value, which the command knows of.
        if ctx.resilient_parsing and not (rest and rest[-1].startswith("-")):
            return name, _names_of(name, entry), rest
        return name, load(name, entry), rest


def make_group(name: str, group: Group) -> LazyGroup:
    """Return a group of the table as typer knows it."""
    return LazyGroup(
        group.commands, name=name, help=group.summary, no_args_is_help=True
    )


def load(name: str, command: Command) -> TyperCommand:
    """Import a command of the table, and return it as typer knows it.

    Every command takes `-v`: one that has details of its own to print declares it,
    the others get it here.
    """
    module, _, function = command.function.partition(":")
    loaded = _as_typer(name, getattr(import_module(f"{_PACKAGE}.{module}"), function))
    if not any("-v" in parameter.opts for parameter in loaded.params):
        loaded.params += _as_typer(name, _verbose).params
    return loaded


def _verbose(
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            callback=remember_verbose,
            expose_value=False,
            help=SAY_MORE,
        ),
    ] = False,
) -> None:
    """Take `-v`."""


class _Names(TyperCommand):
    """Stands for a command while names are completed, so that it is not imported."""

    load: Callable[[], TyperCommand]

    def shell_complete(self, ctx: Context, incomplete: str) -> list[Any]:
        """Return the options of the command itself."""
        return self.load().shell_complete(ctx, incomplete)


def _names_of(name: str, command: Command) -> TyperCommand:
    argument = typer.Argument(None, autocompletion=completer(*command.takes))

    def take(names: list[str] = argument) -> None:
        del names

    made = _as_typer(
        name,
        take,
        cls=_Names,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    assert isinstance(made, _Names)
    made.load = lambda: load(name, command)
    return made


def _as_typer(name: str, function: Callable[..., Any], **options: Any) -> TyperCommand:
    app = typer.Typer(add_completion=False)
    app.command(name, **options)(function)
    made = typer.main.get_command(app)
    assert isinstance(made, TyperCommand)
    return made
