"""How a report says what optimizers cost, and which costs nobody measured."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.stats.race_words import listed


def three_digits(value: float) -> str:
    """Return a cost as text: a dash for NaN, `never` where it has no end."""
    if math.isnan(value):
        return "-"
    return "never" if math.isinf(value) else f"{float(f'{value:.3g}'):,.15g}"


def not_measured(results: Sequence[Sequence[SetResult]]) -> list[str]:
    """Return a sentence on the sets whose cost is unknown, and how to measure it.

    Args:
      results: for each task one result per set.

    Returns:
      No sentence where all are known.
    """
    without = [result for row in results for result in row if result.cost is None]
    if not without:
        return []
    places = listed([f"{r.set_name} on {r.task_name}" for r in without])
    of_all = len(without) == sum(map(len, results))
    names = dict.fromkeys(r.task_name for r in without)
    names |= dict.fromkeys(r.set_name for r in without)
    return [
        "What a step and the state of the optimizer cost was not measured on this "
        f"machine{'' if of_all else f' for {places}'}: `lopt bench --optimizers "
        f"{shlex.join(names)}` measures it."
    ]
