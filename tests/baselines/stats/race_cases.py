"""Losses of races, drawn, and those kept beside the project with right answers."""

import functools
import json
from typing import Any

import numpy as np

from learned_optimization.baselines.stats.chains import TaskLosses
from tests.golden import reference


@functools.cache
def golden() -> dict[str, Any]:
    """Return units and cases; the keys are explained in race.md."""
    return json.loads(reference("race/cases.json").read_text())


def drawn(
    rng: np.random.Generator,
    better: tuple[float, ...],
    num_seeds: int,
    curve: tuple[float, ...] = (3.0, 0.5, 0.0, 1.0),
    **more: Any,
) -> TaskLosses:
    """Return losses whose differences have a standard deviation of 0.01.

    Args:
      rng: of the noise.
      better: per set, how many of these it is better.
      num_seeds: of each set.
      curve: how many of these each configuration is worse than the best of its set.
      more: of the losses.
    """
    of_seed = 0.05 * rng.normal(size=num_seeds)
    test = [
        0.5
        + 0.01 * (np.asarray(curve)[:, None] - b)
        + of_seed
        + 0.01 / np.sqrt(2) * rng.normal(size=(len(curve), num_seeds))
        for b in better
    ]
    valid = [x + 0.004 * rng.normal(size=x.shape) for x in test]
    return TaskLosses(valid, test, **{"ceiling": 2.3, **more})
