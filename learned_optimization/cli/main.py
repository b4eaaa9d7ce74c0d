"""The `lopt` command: its groups, and how errors reach the person."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from learned_optimization.cli import (
    archive,
    bench,
    compare,
    data,
    export,
    lists,
    normalize,
    plan,
    plot,
    quickstart,
    report,
    status,
    sweep,
    train,
)
from learned_optimization.errors import LoptError

app = typer.Typer(
    name="lopt",
    help="Find out which optimizer is really better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("quickstart")(quickstart.quickstart)
app.command("sweep")(sweep.sweep)
app.command("plan")(plan.plan)
app.command("bench")(bench.bench)
app.command("archive")(archive.archive)
app.command("plot")(plot.plot)
app.command("report")(report.report)
app.command("serve")(report.serve)
app.command("export")(export.export)
app.command("train")(train.train)
app.command("status")(status.status)
app.command("rm")(status.rm)
app.command("replay")(compare.replay)
app.command("diff")(compare.diff)
app.command("tasks")(lists.tasks)
app.command("sets")(lists.sets)
app.command("optimizers")(lists.optimizers)
app.add_typer(data.app, name="data")
app.add_typer(normalize.app, name="normalize")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("optimizer-baselines"))
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
    return f"warning: {message}\n"


def main() -> None:
    """Run the command; an error a user can mend is one line and exit code 2."""
    warnings.formatwarning = _one_line
    try:
        app()
    except LoptError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
