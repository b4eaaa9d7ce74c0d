"""How a race stands, on the terminal: a table, lines, or JSON."""

from __future__ import annotations

import math
from typing import Any

from learned_optimization.baselines import stats
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.cli.tables import Table


def headline(standing: RaceStanding) -> str:
    """Return one line: seeds, trials, what is left, seconds."""
    result = standing.result
    if not result.looks:
        return (
            f"{result.num_seeds} seed{'s' * (result.num_seeds > 1)}: "
            f"{standing.num_trials:,} trials, {standing.seconds:.0f} s"
        )
    look = result.looks[-1]
    num_left = sum(len(c) for of_set in look.configs.values() for c in of_set)
    less = look.num_uniform / look.num_trials
    return (
        f"{look.look.num_seeds} seeds: {look.num_trials:,} trials (uniform "
        f"{look.num_uniform:,}, {less:.1f} times as many), {len(look.left)} of "
        f"{len(standing.sets)} sets and {num_left} of {standing.num_configs} "
        f"configurations left, {standing.seconds:.0f} s"
    )


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


def as_json(standing: RaceStanding) -> dict[str, Any]:
    """Return all that a race has found, with names in place of numbers."""
    result = standing.result
    return {
        "verdict": standing.sentence(),
        "outcome": result.outcome.name.lower(),
        "left": list(standing.left),
        "leader": standing.names[result.looks[-1].leader] if result.looks else None,
        "tasks": list(standing.task_names),
        "tolerance": result.rules.tolerance,
        "alpha": result.rules.alpha,
        "first_seed": standing.first_seed,
        "seeds": result.num_seeds,
        "trials": standing.num_trials,
        "uniform_trials": standing.num_uniform,
        "trials_run": standing.num_run,
        "seconds": standing.seconds,
        "remarks": standing.remarks(),
        "missing": standing.missing(),
        "sets": _sets(standing) if result.num_seeds else [],
        "looks": [_look(standing, look) for look in result.looks],
    }


def _sets(standing: RaceStanding) -> list[dict[str, Any]]:
    return [
        {
            "task": task,
            "set": standing.names[row.set_index],
            "is_left": row.is_left,
            "out_at": row.out_at,
            "lost_to": {standing.names[a]: n for a, n in row.lost_to},
            "configurations_left": row.num_configs if row.is_left else 0,
            "chosen": standing.sets[row.set_index].opt_names[row.chosen],
            "loss": row.loss,
            "loss_error": row.error,
            "difference": row.difference,
            "difference_error": row.difference_error,
            "lower": row.lower,
            "diverged": row.num_diverged,
            "seeds": row.num_seeds,
        }
        for q, task in enumerate(standing.task_names)
        for row in stats.race_rows(standing.result, q)
    ]


def _look(standing: RaceStanding, look: stats.RaceLook) -> dict[str, Any]:
    return {
        "seeds": look.look.num_seeds,
        "trials": look.num_trials,
        "uniform_trials": look.num_uniform,
        "left": [standing.names[a] for a in look.left],
        "out": [standing.names[a] for a in look.out],
        "dropped": [
            {
                "task": standing.task_names[q],
                "set": standing.names[a],
                "configuration": standing.sets[a].opt_names[b],
            }
            for q, a, b in look.dropped
        ],
        "leader": standing.names[look.leader],
        "leader_within_tolerance": look.within,
        "equivalent": look.equivalent,
    }
