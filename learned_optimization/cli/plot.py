"""`lopt plot`: figures that compare sets, and the table of the best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from learned_optimization.baselines.plots.saving import read_size
from learned_optimization.cli.choosing import split_tasks_and_archives
from learned_optimization.cli.drawing import Form, Kind, draw, draw_kind
from learned_optimization.cli.options import (
    ArchiveNames,
    Checkpoints,
    Imports,
    SetFiles,
)
from learned_optimization.errors import LoptError, UnknownNameError

Output = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FILE", help="The figure: .png, .svg or .pdf."
    ),
]
SetLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="SET=NAME",
        help="What a set is called in the figure; repeatable. By default names "
        "without the parts that all of them share.",
    ),
]
FigureSize = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WxH",
        help="Width and height in inches, as 6.5x4, or column, page or slide.",
    ),
]
Title = Annotated[
    str | None, typer.Option(help="Title of the figure, instead of its own.")
]
Select = Annotated[
    str,
    typer.Option(
        help="Split whose final loss selects the best configuration: train, "
        "outer_valid or test."
    ),
]


def plot(
    names: ArchiveNames = None,
    set_files: SetFiles = None,
    imports: Imports = None,
    checkpoints: Checkpoints = None,
    output: Output = Path("comparison.png"),
    kind: Annotated[
        Kind,
        typer.Option(
            help="Loss over training, final loss over learning rates (and over two "
            "hyper-parameters, where a set varies more), loss after so much tuning, "
            "or performance profiles over tasks."
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
    labels: SetLabels = None,
    size: FigureSize = None,
    title: Title = None,
) -> None:
    """Plot archived sets: by default the best configuration of each over training."""
    form = Form(None if size is None else read_size(size), title)
    tasks, sets = split_tasks_and_archives(names, set_files, imports, checkpoints)
    if not tasks or not sets:
        what = "set" if tasks else "task"
        raise LoptError(
            f"no {what} is given: a figure needs at least one task and one set "
            "(`lopt tasks` and `lopt sets` list them)."
        )
    options: dict[str, Any] = {"split": split, "select": select}
    options["labels"] = read_labels(labels or [], sets)
    if kind is Kind.CURVES:
        draw(tasks, sets, output, form, ema=ema, **options)
        return
    if kind is Kind.PROFILE:
        options["reference"] = reference
    draw_kind(kind, tasks, sets, output, form, **options)


def read_labels(texts: Sequence[str], sets: Sequence[str]) -> dict[str, str]:
    """Return the labels of `--label SET=NAME`, by set.

    Args:
      texts: what is given.
      sets: the sets that are drawn.

    Raises:
      LoptError: if one is not of that form, two sets get the same name, or one set
        gets two.
      UnknownNameError: if a set is not drawn.
    """
    labels: dict[str, str] = {}
    for text in texts:
        # A name may hold any character; that of a set has no equals sign.
        name, equals, label = text.partition("=")
        if not equals or not label.strip():
            raise LoptError(f"a label is SET=NAME, as AdamLR_1000_R5=Adam; got {text}.")
        if name not in sets:
            raise UnknownNameError("set of the figure", name, sets)
        if labels.get(name, label) != label:
            raise LoptError(f"{name} is labelled twice: {labels[name]} and {label}.")
        if label in (other for key, other in labels.items() if key != name):
            raise LoptError(
                f"two sets are labelled {label}: they need different names."
            )
        labels[name] = label
    return labels
