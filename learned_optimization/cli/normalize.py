"""`lopt normalize`: losses as steps of a tuned baseline, and speed-ups over it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from learned_optimization.cli.plot import Select, check_output, save

if TYPE_CHECKING:
    from learned_optimization.baselines.speedups.normalizer import Normalizer
    from learned_optimization.baselines.speedups.speedup import Speedup

app = typer.Typer(
    help="Speed-ups over a tuned baseline: build, apply and show normalizers.",
    no_args_is_help=True,
)

NameOrFile = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="A normalizer, such as speedup_over_adam_10000."
    ),
]

# Where a curve is read off, as shares of its length.
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@app.command("build")
def build(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Such as speedup_over_adam_10000.")
    ],
    tasks: Annotated[
        list[str], typer.Argument(metavar="TASK...", help="Tasks with archives.")
    ],
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", help="The file, .json."),
    ],
    overwrite: Annotated[
        bool, typer.Option(help="Replace tasks the file has already.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the draws of seeds.")] = 0,
) -> None:
    """Build normalizers of tasks from the archives of their baseline."""
    from learned_optimization.baselines.normalizers import NORMALIZERS
    from learned_optimization.baselines.speedups.files import info_path
    from learned_optimization.errors import UnknownNameError

    if name not in NORMALIZERS:
        raise UnknownNameError("normalizer", name, NORMALIZERS)
    NORMALIZERS[name].build_and_write(tasks, output, overwrite, bootstrap_seed=seed)
    for task in tasks:
        typer.echo(f"{name}: built {task}")
    typer.echo(f"written {output} and {info_path(output)}")


@app.command("fetch")
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Such as speedup_over_adam."),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="The file, or the folder that holds NAME.json; the published place "
            "if not given.",
        ),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="That the file must have."),
    ] = None,
) -> None:
    """Fetch published normalizers, and keep them where they are found."""
    from learned_optimization.baselines.speedups import fetch
    from learned_optimization.errors import LoptError

    if sha256 is not None and len(names) > 1:
        raise LoptError("--sha256 is of one file: fetch its name alone.")
    for name in names:
        fetched = fetch.fetch(name, source, sha256)
        typer.echo(
            f"{name}: {len(fetched.entries)} tasks, {fetched.num_bytes:,} bytes, "
            f"sha256 {fetched.sha256}, kept at {fetched.path}"
        )


@app.command("apply")
def apply(
    normalizer: NameOrFile,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Its task.")],
    sets: Annotated[
        list[str], typer.Argument(metavar="SET...", help="Archived hparam sets.")
    ],
    split: Annotated[
        str, typer.Option(help="Split whose loss is mapped; the baseline's is train.")
    ] = "train",
    select: Select = "train",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A figure: .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Say how much faster than the baseline the best configuration of sets is."""
    from learned_optimization.baselines import normalizers
    from learned_optimization.baselines.speedups.speedup import speedup_of_set

    if output is not None:
        check_output(output)
    to_steps = normalizers.find(normalizer)[task]
    speedups = [speedup_of_set(to_steps, name, split, select) for name in sets]
    for speedup in speedups:
        _print_speedup(speedup)
    if to_steps.band is not None:
        typer.echo(
            f"in brackets: {to_steps.band.level:.0%} band of other seeds of the "
            "baseline"
        )
    if any(s.is_censored.any() or s.censored_share.any() for s in speedups):
        typer.echo("≥ : the baseline never got as low in all of its steps")
    if any(speedup.at_edge for speedup in speedups):
        typer.echo("* at the edge of its set: a better one may lie outside")
    if output is not None:
        _draw(speedups, output)


def _print_speedup(speedup: Speedup) -> None:
    import numpy as np
    from rich.table import Table

    from learned_optimization.cli.tables import console

    title = (
        f"{speedup.hparam_set}: {speedup.opt_name}{' *' * speedup.at_edge}, "
        f"{speedup.split} loss (best by final {speedup.select} loss)"
    )
    table = Table(title=title, title_justify="left")
    for column in ("own steps", "baseline's steps", "speed-up", "seeds censored"):
        table.add_column(column, justify="right", no_wrap=True)
    wanted = np.array(_SHARES) * speedup.xs[-1]
    for i in np.unique(np.searchsorted(speedup.xs, wanted)):
        own = float(speedup.xs[i])
        steps = float(speedup.steps[i])
        censored = bool(speedup.is_censored[i])
        band = None
        if speedup.low is not None and speedup.high is not None:
            band = float(speedup.low[i]), float(speedup.high[i])
        horizon = speedup.normalizer.horizon
        table.add_row(
            f"{own:,.0f}",
            _value(steps, band, censored, horizon, 1.0, ",.0f")
            + " (worse than its start)" * bool(speedup.is_worse_than_start[i]),
            _value(steps, band, censored, horizon, own, ".2f"),
            f"{speedup.censored_share[i]:.0%}",
        )
    console().print(table)


def _value(
    steps: float,
    band: tuple[float, float] | None,
    censored: bool,
    horizon: float,
    per: float,
    form: str,
) -> str:
    value = "≥ " * censored + format(steps / per, form)
    if band is None:
        return value
    low, high = band
    ends = [
        "≥ " * (low >= horizon) + format(low / per, form),
        format(high / per, form) if high <= horizon else f"≥ {horizon / per:{form}}",
    ]
    return f"{value} [{ends[0]}, {ends[1]}]"


def _draw(speedups: list[Speedup], output: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from learned_optimization.baselines.plots.speedup import plot_speedup

    figure, ax = plt.subplots(figsize=(7.0, 6.0), layout="constrained")
    plot_speedup(speedups, ax)
    save(figure, output)
    typer.echo(f"figure: {output}")


@app.command("show")
def show(
    normalizer: NameOrFile,
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="One of its tasks.")
    ] = None,
) -> None:
    """List the tasks of a normalizer, or the curve of one of them."""
    from learned_optimization.baselines import normalizers

    path = normalizers.find_file(normalizer)
    found = normalizers.find(path)
    chosen = None if task is None else found[task]
    typer.echo(os.path.relpath(path) if os.path.exists(path) else path)
    if chosen is None:
        _print_tasks(path)
    else:
        _print_curve(chosen)


def _print_tasks(path: str) -> None:
    from rich.table import Table

    from learned_optimization.baselines.speedups.files import read_entries
    from learned_optimization.cli.tables import console

    table = Table()
    table.add_column("task", overflow="fold")
    for column in ("horizon", "points", "first loss", "lowest loss", "band"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("baseline", overflow="fold")
    for task, entry in read_entries(path).items():
        curve = entry.curve
        table.add_row(
            task,
            f"{curve.steps[-1]:,.0f}",
            f"{len(curve.steps):,}",
            f"{curve.losses[0]:.4f}",
            f"{curve.losses[-1]:.4f}",
            "-" if curve.band is None else f"{curve.band.level:.0%}",
            ", ".join(entry.provenance.get("hparam_sets", ["unknown"])),
        )
    console().print(table)


def _print_curve(normalizer: Normalizer) -> None:
    import numpy as np
    from rich.table import Table

    from learned_optimization.cli.tables import console

    curve = normalizer.curve
    table = Table(title=normalizer.task, title_justify="left")
    for column in ("baseline's steps", "lowest loss", "with other seeds"):
        table.add_column(column, justify="right", no_wrap=True)
    wanted = np.array([0.0, *_SHARES]) * normalizer.horizon
    for i in np.searchsorted(curve.steps, wanted):
        band = "-"
        if curve.band is not None:
            band = f"{curve.band.low[i]:.4f} to {curve.band.high[i]:.4f}"
        table.add_row(f"{curve.steps[i]:,.0f}", f"{curve.losses[i]:.4f}", band)
    console().print(table)
