"""`lopt plot`: the figure that compares sets, and its table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from learned_optimization.cli.options import (
    Imports,
    SetFiles,
    SetNames,
    TaskName,
    chosen_sets,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Output = Annotated[
    Path, typer.Option("-o", "--output", help="The figure: .png, .svg or .pdf.")
]
Split = Annotated[
    str, typer.Option(help="Split whose loss is drawn: train, outer_valid or test.")
]
Select = Annotated[
    str, typer.Option(help="Split whose final loss selects the best configuration.")
]


def plot(
    task: TaskName,
    sets: SetNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    output: Output = Path("comparison.png"),
    split: Split = "test",
    select: Select = "outer_valid",
    ema: Annotated[float, typer.Option(help="Smoothing per evaluation.")] = 0.9,
) -> None:
    """Plot the best configuration of each archived set."""
    from learned_optimization.tasks import registry

    names = [s.name for s in chosen_sets(sets, set_files, imports)]
    registry.get(task)
    draw(task, names, output, split=split, select=select, ema=ema)


def check_output(output: Path) -> None:
    """Raises `LoptError` unless a figure can be written there."""
    from learned_optimization import filesystem
    from learned_optimization.errors import LoptError

    allowed = (".png", ".svg", ".pdf")
    if output.suffix not in allowed:
        raise LoptError(
            f"cannot draw {output}: its name must end in {', '.join(allowed)}."
        )
    filesystem.check_writable(output.absolute().parent)


def draw(task: str, sets: list[str], output: Path, **options: Any) -> None:
    """Draws the figure, prints the table, says where the figure is.

    Args:
      task: the task's name.
      sets: names of archived sets.
      output: the figure's path.
      **options: further arguments of `vis.plot_tasks_and_sets`.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from learned_optimization.baselines import vis
    from learned_optimization.cli.tables import print_best_of_sets

    check_output(output)
    # Tall enough for the legend, which has a line a set.
    height = max(5.0, 0.5 + 0.18 * len(sets))
    fig, ax = plt.subplots(figsize=(10.0, height), layout="constrained")
    vis.plot_tasks_and_sets(task, sets, ax=ax, **options)
    save(fig, output)
    print_best_of_sets(task, sets, select=options.get("select", "outer_valid"))
    typer.echo(f"figure: {output}")


def save(figure: Figure, output: Path) -> None:
    """Writes a figure whole, and closes it."""
    import matplotlib.pyplot as plt

    from learned_optimization import filesystem

    filesystem.write_whole(
        output.absolute(),
        lambda file: figure.savefig(file, dpi=150, format=output.suffix[1:]),
    )
    plt.close(figure)
