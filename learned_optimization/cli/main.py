"""The `lopt` command: its groups, and how errors reach the person."""

from __future__ import annotations

import traceback
import warnings
from importlib.metadata import version
from typing import Annotated, Any

import typer

from learned_optimization.cli.advice import with_advice
from learned_optimization.cli.commands import COMMANDS
from learned_optimization.cli.jax_variables import refused_by_jax
from learned_optimization.cli.lazy import LazyGroup
from learned_optimization.cli.options import is_verbose
from learned_optimization.cli.output import allow_every_character, say
from learned_optimization.errors import LoptError
from learned_optimization.text import printable


class Lopt(LazyGroup):
    """All commands; an error that a user can correct is one line and exit code 2."""

    def __init__(self, **options: Any):
        super().__init__(COMMANDS, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            # jax is imported by the commands, and reads its variables then.
            mistake = error if isinstance(error, LoptError) else refused_by_jax(error)
            if mistake is None:
                raise
            if is_verbose(ctx):
                say(traceback.format_exc(), err=True)
            say(f"error: {with_advice(mistake)}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    name="lopt",
    cls=Lopt,
    help="Find out which optimizer is really better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(version("optimizer-baselines"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    del version


def _one_line(message: Warning | str, *where: object, **options: object) -> str:
    """Return a warning as the command line prints it: its text, not where it arose."""
    del where, options
    return f"warning: {printable(str(message))}\n"


def main() -> None:
    """Run the command."""
    warnings.formatwarning = _one_line
    allow_every_character()
    # By the name the shell completes, however it was started.
    app(prog_name="lopt")


if __name__ == "__main__":
    main()
