"""The options of commands that train on a Ray cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from learned_optimization.cluster.resources import GroupResources
from learned_optimization.errors import LoptError

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Train on a Ray cluster: HOST:PORT, ray://HOST:PORT, 'auto' on one of "
        "its nodes, or 'local' for this machine; without Ray by default.",
    ),
]
Cpus = Annotated[
    int | None,
    typer.Option(metavar="N", help="CPU cores of a group; 1 by default."),
]
Gpus = Annotated[
    float | None,
    typer.Option(metavar="N", help="GPUs of a group, e.g. 0.5; none by default."),
]
Trials = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Trials of a group; by default as many as use its devices well.",
    ),
]


def group_resources(
    address: str | None,
    cpus: int | None,
    gpus: float | None,
    trials: int | None = None,
) -> GroupResources:
    """Return what a group of trials, or of pairs, gets.

    Raises:
      LoptError: if that is impossible, or options of Ray are given without `--ray`.
    """
    options = {"--ray-cpus": cpus, "--ray-gpus": gpus, "--ray-trials": trials}
    given = [name for name, value in options.items() if value is not None]
    if address is None and given:
        raise LoptError(
            f"{', '.join(given)} without a Ray cluster: name it by --ray ADDRESS, or "
            "--ray local for this machine."
        )
    return GroupResources(
        1 if cpus is None else cpus, 0.0 if gpus is None else gpus, trials
    )
