"""How far a trial that is trained again is from the stored one, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.release.thin import Thinned, thinned_of
from learned_optimization.baselines.results import differences
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.sweeps.replay import SAME_STEPS, TOLERANCE
from learned_optimization.errors import LoptError

AMPLIFIED = 10.0
"""How many times as far as by rounding alone a trial may be from the stored one."""

SOONER = 2
"""By how many times fewer steps it may be as far.

Curves that rounding drives apart do so at one pace, but not from the same step on.
"""


@dataclass(frozen=True, eq=False)
class Gap:
    """How far two curves of losses are apart.

    Attributes:
      steps: the steps that both have, rising, up to `SAME_STEPS`.
      sizes: relative differences there; infinite where one of the two is finite.
    """

    steps: np.ndarray
    sizes: np.ndarray


def gaps(stored: Result, again: Result) -> dict[str, Gap]:
    """Return how far the losses of two results of a trial are apart, by key.

    Losses over whole splits count where there are no more than `SAME_STEPS` steps. What
    was rounded as an archive was thinned is taken off.

    Args:
      stored: a trial of an archive, which may be thin.
      again: a result of the same trial.

    Raises:
      LoptError: as `at_steps_of`.
    """
    thinned, num_steps = thinned_of(stored), int(stored["eval/xs"][-1])
    found = {}
    for key, losses in at_steps_of(stored, again).items():
        if not key.endswith("/loss"):
            continue
        steps = stored.get(f"{key.partition('/')[0]}/xs", np.asarray([num_steps]))
        early = steps <= SAME_STEPS
        old, new = np.atleast_1d(stored[key]), np.atleast_1d(losses)
        sizes = _relative(old[early], new[early]) - _rounding_of(key, thinned)
        found[key] = Gap(steps[early], np.maximum(sizes, 0.0))
    return found


def at_steps_of(stored: Result, again: Result) -> Result:
    """Return the losses of a result, at the steps at which another has them.

    Args:
      stored: a trial of an archive, which may be thin.
      again: a result of the same trial.

    Raises:
      LoptError: if it lacks a step that `stored` has.
    """
    kept = {}
    for key in [k for k in stored if k.endswith("/loss") and k in again]:
        steps = f"{key.partition('/')[0]}/xs"
        if steps in stored:
            if lacking := np.setdiff1d(stored[steps], again[steps]).tolist():
                raise LoptError(
                    f"its {steps} has {lacking[0]}, which a trial of its configuration "
                    "does not have."
                )
            kept[steps] = stored[steps]
            kept[key] = again[key][np.searchsorted(again[steps], stored[steps])]
        else:
            kept[key] = again[key]
    return kept


def worst(found: Mapping[str, Gap]) -> tuple[str, float]:
    """Return the key with the largest gap, empty if there is none, and its size.

    Args:
      found: what `gaps` returns.
    """
    largest = "", 0.0
    for key, gap in found.items():
        size = float(gap.sizes.max(initial=0.0))
        if size > largest[1]:
            largest = key, size
    return largest


def larger(found: Mapping[str, Gap], other: Mapping[str, Gap]) -> dict[str, Gap]:
    """Return the larger of two gaps of the same keys and steps, step by step."""
    return {
        key: Gap(gap.steps, np.maximum(gap.sizes, other[key].sizes))
        for key, gap in found.items()
    }


def is_amplified(found: Mapping[str, Gap], by_rounding: Mapping[str, Gap]) -> bool:
    """Return whether rounding takes a trial about as far about as soon.

    Args:
      found: how far the stored result and a new one are apart.
      by_rounding: how far the new one is from others, which differ in nothing but how
        numbers are rounded.
    """
    return all(
        bool(np.all(gap.sizes <= TOLERANCE + AMPLIFIED * _reached(by_rounding[key])))
        for key, gap in found.items()
    )


def _reached(gap: Gap) -> np.ndarray:
    """Return how large a gap becomes by `SOONER` times each of its steps."""
    up_to = np.searchsorted(gap.steps, SOONER * gap.steps, side="right")
    return np.maximum.accumulate(gap.sizes)[up_to - 1]


def _relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    _, relative = differences.gaps(a, b)
    return np.where(np.isfinite(a) != np.isfinite(b), np.inf, relative)


def _rounding_of(key: str, thinned: Thinned | None) -> float:
    """Return the largest relative error that rounding has made of a key's values."""
    if thinned is None or key.startswith("final/"):
        return 0.0
    bits = thinned.loss_bits if key.startswith("eval/") else thinned.other_bits
    return 2.0 ** -(bits + 1)
