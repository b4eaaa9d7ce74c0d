"""How a race stands, as plain data and in a line."""

from __future__ import annotations

from typing import Any

from learned_optimization.baselines import stats
from learned_optimization.baselines.sweeps.race_standing import RaceStanding


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


def plain_data(standing: RaceStanding) -> dict[str, Any]:
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
