"""How far `lopt plan` has come, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from learned_optimization.baselines.sweeps.estimate import Estimate
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.planning import SweepPlan
from learned_optimization.cli.tables import Console, is_live


class PlanProgress:
    """A bar below the rows that are known, with the total of their times.

    It is drawn where a terminal is: behind the table, or else on standard error.

    Args:
      out: where the table goes.
      has_no_table: whether `out` must be left to something else than a table.
    """

    def __init__(self, out: Console, has_no_table: bool):
        is_below = out.is_terminal and not has_no_table
        shown = out if is_below else Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[known]} in all so far", markup=False),
            console=shown,
            disable=not is_live(shown),
            # The table stays where it was sent to.
            redirect_stdout=is_below,
            transient=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def followed(self, plan: SweepPlan) -> Iterator[Estimate]:
        """Give the estimates of a plan, and draw a bar meanwhile."""
        if not plan.num_to_measure:
            yield from plan.estimates()
            return
        known, begun = 0.0, 0
        row = self._bar.add_task("", total=plan.num_to_measure, known=duration(known))

        def on_measuring(grid: TrialGrid) -> None:
            nonlocal begun
            what = f"measuring {grid.first.opt.defined_by.__name__} on {grid.task_name}"
            self._bar.update(row, description=what, completed=begun)
            begun += 1

        self._bar.start()
        for e in plan.estimates(on_measuring):
            known += e.seconds or 0.0
            self._bar.update(row, known=duration(known))
            yield e


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:,.1f} h"
