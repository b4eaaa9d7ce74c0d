"""`lopt replay` and `lopt diff`: is a result the same as before?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from learned_optimization import configuration
from learned_optimization.baselines.results.differences import (
    Difference,
    differences,
    read_any,
)
from learned_optimization.baselines.sweeps.replay import SAME_STEPS, TOLERANCE
from learned_optimization.baselines.sweeps.replay import replay as train_again
from learned_optimization.cli.choosing import import_files
from learned_optimization.cli.options import GinImports, Imports
from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Table, console
from learned_optimization.eval_training import keep_compiled, use_all_cores


def replay(
    file: Annotated[
        str, typer.Argument(metavar="FILE.curves", help="The result file.")
    ],
    imports: Imports = None,
    modules: GinImports = None,
) -> None:
    """Train a stored trial again, from what its file records, and compare.

    Exits with code 1 if the curves differ by more than rounding explains.
    """
    use_all_cores()
    keep_compiled()
    import_files(imports)
    configuration.import_modules(modules or [])
    done = train_again(file)
    trial = done.trial
    say(
        f"{trial.task_name}, {trial.opt.name}, seed {trial.seed}, "
        f"{trial.plan.num_steps:,} steps"
    )
    for then, now in done.changed_versions:
        say(f"{then} then, {now} now")
    for line in done.elsewhere:
        say(line)
    if not done.differences:
        say("the same, bit for bit")
        return
    print_differences(done.differences)
    steps = min(SAME_STEPS, trial.plan.num_steps + 1)
    say(
        f"largest relative difference of the training loss in the first {steps:,} "
        f"steps: {done.early:.3g} ({'within' if done.is_same else 'beyond'} the "
        f"{TOLERANCE:g} that rounding explains)"
    )
    if not done.is_same:
        raise typer.Exit(1)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A .curves or .npz file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The file to compare it with.")],
) -> None:
    """Compare two result files or two archives, key by key.

    The keys under timing/ are left out: they differ whenever a trial is run again.
    Exits with code 1 if anything differs.
    """
    differing = differences(read_any(a), read_any(b))
    if not differing:
        say("the same, bit for bit")
        return
    print_differences(differing)
    raise typer.Exit(1)


def print_differences(differing: Sequence[Difference]) -> None:
    """Print a table of the keys that differ."""
    table = Table()
    table.add_column("key", overflow="fold")
    table.add_column("largest difference", justify="right", no_wrap=True)
    table.add_column("relative", justify="right", no_wrap=True)
    table.add_column("from step", justify="right")
    table.add_column("numbers that differ", justify="right")
    table.add_column("in words", overflow="fold")
    for d in differing:
        if d.what:
            table.add_row(d.key, "", "", "", "", d.what)
            continue
        table.add_row(
            d.key,
            f"{d.largest:.3g}",
            f"{d.largest_relative:.3g}",
            "" if d.first_step is None else f"{d.first_step:,}",
            f"{d.num_different:,} of {d.num_numbers:,}",
            f"{d.finite_in_one:,} finite in one only" if d.finite_in_one else "",
        )
    console().print(table)
