"""`lopt plot`: figures that compare sets, and the table of the best."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from learned_optimization import filesystem
from learned_optimization.baselines import vis
from learned_optimization.baselines.plots import figures
from learned_optimization.baselines.plots.panels import draw_panels
from learned_optimization.cli.best_table import print_best_of_sets
from learned_optimization.cli.choosing import split_tasks_and_archives
from learned_optimization.cli.options import ArchiveNames, Imports, SetFiles
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.errors import LoptError

Output = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FILE", help="The figure: .png, .svg or .pdf."
    ),
]
Select = Annotated[
    str,
    typer.Option(
        help="Split whose final loss selects the best configuration: train, "
        "outer_valid or test."
    ),
]


class Kind(StrEnum):
    """What a figure shows."""

    CURVES = "curves"
    SENSITIVITY = "sensitivity"
    TUNING = "tuning"
    PROFILE = "profile"


def plot(
    names: ArchiveNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    output: Output = Path("comparison.png"),
    kind: Annotated[
        Kind,
        typer.Option(
            help="Loss over training, final loss over learning rates, loss after so "
            "much tuning, or performance profiles over tasks."
        ),
    ] = Kind.CURVES,
    split: Annotated[
        str, typer.Option(help="Split whose loss is drawn: train, outer_valid or test.")
    ] = "test",
    select: Select = "outer_valid",
    ema: Annotated[
        float,
        typer.Option(
            help="Weight of the running average when a curve is smoothed; 0 draws "
            "the curve itself."
        ),
    ] = 0.9,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="SET", help="Set that profiles are timed by; Adam's by default."
        ),
    ] = None,
) -> None:
    """Plot archived sets: by default the best configuration of each over training."""
    tasks, sets = split_tasks_and_archives(names, set_files, imports)
    if not tasks or not sets:
        what = "set" if tasks else "task"
        raise LoptError(
            f"no {what} is given: a figure needs at least one task and one set "
            "(`lopt tasks` and `lopt sets` list them)."
        )
    if kind is Kind.CURVES:
        draw(tasks, sets, output, split=split, select=select, ema=ema)
        return
    options = {"split": split, "select": select}
    _save(lambda: _figure(kind, tasks, sets, reference, options), output)
    say(f"figure: {output}")


def check_output(output: Path) -> None:
    """Raise `LoptError` unless a figure can be written there."""
    # As a path, `gs://bucket` has lost one of its slashes.
    if re.match(r"[a-z0-9+]{2,}:/", str(output)):
        raise LoptError(f"figures are drawn to local files, got {output}.")
    allowed = (".png", ".svg", ".pdf")
    if output.suffix not in allowed:
        raise LoptError(
            f"cannot draw {output}: its name must end in {', '.join(allowed)}."
        )
    filesystem.check_writable(output.absolute().parent)


def draw(
    tasks: Sequence[str], sets: Sequence[str], output: Path, **options: Any
) -> None:
    """Draw the best of each set, print the tables, say where the figure is.

    What cannot be drawn is left out of the figure and of the tables, and said.

    Args:
      tasks: names of tasks, one panel per task.
      sets: names of archived sets.
      output: the figure's path.
      **options: further arguments of `vis.plot_tasks_and_sets`.
    """
    options = {"on_left_out": say_left_out, **options}

    def figure() -> Figure:
        if len(tasks) > 1:
            return figures.plot_many_tasks(tasks, sets, **options)
        # Tall enough for the legend, which has one line per set.
        height = max(5.0, 0.5 + 0.18 * len(sets))
        fig, ax = plt.subplots(figsize=(10.0, height), layout="constrained")
        vis.plot_tasks_and_sets(tasks[0], sets, ax=ax, **options)
        return fig

    _save(figure, output)
    for task in tasks:
        print_best_of_sets(task, sets, select=options.get("select", "outer_valid"))
    say(f"figure: {output}")


def _figure(
    kind: Kind,
    tasks: Sequence[str],
    sets: Sequence[str],
    reference: str | None,
    options: dict[str, Any],
) -> Figure:
    options = {"on_left_out": say_left_out, **options}
    if kind is Kind.PROFILE:
        fig, ax = plt.subplots(figsize=(10.0, 5.0), layout="constrained")
        figures.plot_profile(tasks, sets, reference, ax=ax, **options)
        return fig
    one = {
        Kind.SENSITIVITY: figures.plot_sensitivity,
        Kind.TUNING: figures.plot_tuning,
    }[kind]
    size = (10.0, max(5.0, 0.5 + 0.18 * len(sets)) * len(tasks))
    fig, axes = plt.subplots(
        len(tasks), 1, figsize=size, squeeze=False, layout="constrained"
    )
    draw_panels(
        tasks,
        axes[:, 0],
        lambda task, ax: one(task, sets, ax=ax, **options),
        say_left_out,
    )
    return fig


def _save(figure: Callable[[], Figure], output: Path) -> None:
    mpl.use("Agg")
    check_output(output)
    save(figure(), output)


def save(figure: Figure, output: Path) -> None:
    """Write a figure whole, and close it."""
    filesystem.write_whole(
        output.absolute(),
        lambda file: figure.savefig(file, dpi=150, format=output.suffix[1:]),
    )
    plt.close(figure)
