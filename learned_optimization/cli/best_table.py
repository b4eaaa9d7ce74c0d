"""The table of the best configuration of each set."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines.analysis.best_of_set import (
    best_of_set,
    comparable_ends,
    load_final_losses,
)
from learned_optimization.baselines.analysis.left_out import LeftOut, load_usable
from learned_optimization.cli.tables import Table, console
from learned_optimization.eval_training import EVAL_SPLITS


def print_best_of_sets(
    task: str, set_names: Sequence[str], select: str = "outer_valid"
) -> None:
    """Print the best configuration of each set and its losses, best set first.

    Sets that cannot be read are not in the table; the figure's command has named them.
    """
    left: list[LeftOut] = []
    load = functools.partial(load_final_losses, task)
    ends = comparable_ends(load_usable(task, set_names, load, left.append))
    if not ends:
        return
    best = {name: best_of_set(losses, select) for name, losses in ends.items()}
    table = Table(title=f"{task}: best of each set by final {select} loss")
    table.add_column("set", overflow="fold")
    table.add_column("best configuration", overflow="fold")
    for split in EVAL_SPLITS:
        table.add_column(split, justify="right")
    table.add_column("diverged", justify="right")

    def order(name: str) -> float:
        mean = best[name].final[select].mean()
        return float(mean) if np.isfinite(mean) else np.inf

    edge = False
    for name in sorted(best, key=order):
        b = best[name]
        edge |= b.at_edge
        table.add_row(
            name,
            "all diverged" if b.all_diverged else b.opt_name + " *" * b.at_edge,
            *(_mean_and_spread(b.final[split]) for split in EVAL_SPLITS),
            f"{b.num_diverged}/{b.num_trials}",
        )
    out = console()
    out.print(table)
    of_whole = all(losses.is_of_whole for losses in ends.values())
    measured = "whole splits" if of_whole else "some batches, at the last evaluation"
    out.print(f"mean ± standard deviation over seeds of the loss over {measured}")
    if edge:
        out.print("* at the edge of its set: a better one may lie outside")


def _mean_and_spread(values: np.ndarray) -> str:
    mean = f"{values.mean():.4f}"
    return mean if len(values) < 2 else f"{mean} ± {values.std(ddof=1):.4f}"
