"""`lopt report` and `lopt serve`: the page that compares sets, verdict first."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.comparison import TOLERANCE
from learned_optimization.baselines.report.build import (
    PAGE,
    analyse,
    files_of_report,
    write,
)
from learned_optimization.baselines.report.serve import LiveReport, watch
from learned_optimization.baselines.report.server import address_of, make_server
from learned_optimization.baselines.report.words import headline
from learned_optimization.cli.choosing import (
    split_tasks_and_archives,
    split_tasks_and_sets,
)
from learned_optimization.cli.compare import Reference, Select, Split, Tolerance
from learned_optimization.cli.jax_variables import leave_memory_to_others
from learned_optimization.cli.options import (
    ArchiveNames,
    Checkpoints,
    Imports,
    Names,
    SetFiles,
)
from learned_optimization.cli.output import folder_of, say, say_left_out


def report(
    names: ArchiveNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the report."),
    ] = "report",
    split: Split = "test",
    select: Select = "outer_valid",
    reference: Reference = None,
    tolerance: Tolerance = TOLERANCE,
    title: Annotated[
        str | None,
        typer.Option(help="Title of the page; by default what is compared."),
    ] = None,
) -> None:
    """Compare archived sets on one page: verdict, curves, tables, origin."""
    leave_memory_to_others()
    tasks, sets = split_tasks_and_archives(names, set_files, imports, checkpoints)
    folder = folder_of(output)
    filesystem.check_writable(folder)
    results, verdicts = analyse(tasks, sets, select, split, reference, tolerance)
    files = files_of_report(results, verdicts, title)
    write(files, folder)
    for sentence in headline(results, verdicts):
        say(sentence)
    for left in verdicts.left_out:
        say_left_out(left)
    size = len(files[PAGE].encode()) / 1e6
    say(f"report: {filesystem.join(folder, PAGE)} ({size:.1f} MB)")


def serve(
    names: Names = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    split: Split = "test",
    select: Select = "outer_valid",
    reference: Reference = None,
    tolerance: Tolerance = TOLERANCE,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any.")
    ] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    poll_seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="Seconds between two checks for new results.",
        ),
    ] = 5.0,
) -> None:
    """Show the report in a browser, and update it when results change.

    Ctrl-C ends it.
    """
    leave_memory_to_others()
    tasks, sets = split_tasks_and_sets(names, set_files, imports, checkpoints)
    live = LiveReport(
        tasks,
        sets,
        select,
        split,
        reference,
        on_error=lambda message: say(f"warning: {message}", err=True),
        tolerance=tolerance,
    )
    live.look()
    server = make_server(live, port, host)
    say(f"{address_of(server, host)} (Ctrl-C ends it)")
    stop = threading.Event()
    threading.Thread(target=watch, args=(live, poll_seconds, stop), daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("stopped")
    finally:
        stop.set()
        server.server_close()
