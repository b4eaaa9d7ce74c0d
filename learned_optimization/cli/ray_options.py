"""The options of `lopt sweep` that are for a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from learned_optimization.errors import LoptError

if TYPE_CHECKING:
    from learned_optimization.cluster.resources import GroupResources

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Train on a Ray cluster: HOST:PORT, ray://HOST:PORT, 'auto' on one of "
        "its nodes, or 'local' for this machine.",
    ),
]
Cpus = Annotated[
    int | None,
    typer.Option(metavar="N", help="CPUs of a group of trials; 1 by default."),
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
    address: str | None, cpus: int | None, gpus: float | None, trials: int | None
) -> GroupResources:
    """Return what a group gets.

    Raises:
      LoptError: if it cannot be, or is said without a cluster.
    """
    from learned_optimization.cluster.resources import GroupResources

    if address is None and (cpus, gpus, trials) != (None, None, None):
        raise LoptError(
            "--ray-cpus, --ray-gpus and --ray-trials are for a Ray cluster: name it "
            "by --ray ADDRESS, or --ray local for this machine."
        )
    return GroupResources(
        1 if cpus is None else cpus, 0.0 if gpus is None else gpus, trials
    )
