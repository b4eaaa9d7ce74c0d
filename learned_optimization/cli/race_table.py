"""How a race stands, on the terminal: a table, or lines."""

from __future__ import annotations

import math

from learned_optimization.baselines import stats
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.cli.tables import Table


def lines(standing: RaceStanding) -> list[str]:
    """Return a line for each set on each task, and each of `losers`."""
    found = []
    for q, task in enumerate(standing.task_names):
        where = f" on {task}" if len(standing.task_names) > 1 else ""
        for row in stats.race_rows(standing.result, q):
            cells = dict(zip(_COLUMNS, _cells(standing, row), strict=True))
            found.append(
                f"{cells['set']}{where}: {cells['verdict']}; {cells['left']} left, "
                f"chosen {cells['chosen']}, test loss {cells['test loss']}, to the "
                f"leader {cells['to the leader']}, at least {cells['at least']}, "
                f"diverged {cells['diverged']}"
            )
    return [*found, *losers(standing)]


def losers(standing: RaceStanding) -> list[str]:
    """Return a line for each set that is out: at how many seeds, and against whom."""
    if not standing.result.looks:
        return []
    return [
        f"{standing.names[row.set_index]} is out at {row.out_at} seeds: "
        f"{stats.lost_sentence(row, standing.names)}"
        for row in stats.race_rows(standing.result)
        if not row.is_left
    ]


def tables(standing: RaceStanding) -> list[Table]:
    """Return a table for each task: one row per set, those left first."""
    made = []
    for q, task in enumerate(standing.task_names):
        table = Table(title=task if len(standing.task_names) > 1 else None)
        rows = stats.race_rows(standing.result, q)
        # It is for the last column, where there is anything to say.
        num = len(_COLUMNS) - (not any(row.num_diverged for row in rows))
        for name in _COLUMNS[:num]:
            is_text = name in ("set", "verdict", "chosen")
            table.add_column(
                name,
                justify="left" if is_text else "right",
                overflow="fold",
                no_wrap=name not in ("set", "chosen"),
            )
        for row in sorted(rows, key=lambda r: (not r.is_left, r.loss)):
            table.add_row(*_cells(standing, row)[:num])
        made.append(table)
    return made


_COLUMNS = (
    "set",
    "verdict",
    "left",
    "chosen",
    "test loss",
    "to the leader",
    "at least",
    "diverged",
)


def _cells(standing: RaceStanding, row: stats.RaceRow) -> tuple[str, ...]:
    hparam_set = standing.sets[row.set_index]
    verdict = "may be best" if row.is_left else f"out at {row.out_at} seeds"
    num_left = row.num_configs if row.is_left else 0
    return (
        hparam_set.name,
        verdict,
        f"{num_left} of {hparam_set.num_configs}",
        hparam_set.opt_names[row.chosen],
        f"{row.loss:.4g}{_plus_minus(row.error)}",
        "-"
        if row.difference == 0
        else f"{row.difference:+.2g}{_plus_minus(row.difference_error)}",
        "-" if math.isnan(row.lower) else f"{row.lower:+.2g}",
        f"{row.num_diverged} of {row.num_seeds}",
    )


def _plus_minus(error: float) -> str:
    # A single seed has no standard error.
    return "" if math.isnan(error) else f" +- {error:.2g}"
