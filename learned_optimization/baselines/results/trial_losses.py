"""The losses of a trial that decide: the one place that says where they are recorded.

`final/SPLIT/loss` is preferred, which is over a whole split; where a file has none, it
is the last evaluation of the curve.
"""

from __future__ import annotations

from dataclasses import dataclass

from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.errors import DamagedFileError

_SPLITS = ("outer_valid", "test")


@dataclass(frozen=True)
class TrialLosses:
    """Losses of one trial, on a task's own scale; not finite where it diverged.

    Attributes:
      outer_valid: after training, on the split that chooses.
      test: after training, on the split that is reported.
      initial_outer_valid: before training, on the split that chooses; NaN if it was
        not evaluated.
      initial: before training, on the split that is reported; NaN likewise.
    """

    outer_valid: float
    test: float
    initial_outer_valid: float
    initial: float


def read_trial_losses(path: str) -> TrialLosses:
    """Return the losses in a result file.

    Args:
      path: local path or URL.

    Raises:
      DamagedFileError: if it has no losses.
      ResultError: if it cannot be read.
    """
    keys = [f"{kind}/{split}/loss" for kind in ("eval", "final") for split in _SPLITS]
    result = read_result(path, ["eval/xs", *keys], missing_ok=True)
    for key in keys[: len(_SPLITS)]:
        if key not in result or not len(result[key]):
            raise DamagedFileError(path, "it has no losses", key=key)
    outer_valid, test = (_last(result, split) for split in _SPLITS)
    first = [float("nan")] * len(_SPLITS)
    if result["eval/xs"][0] == 0:
        first = [float(result[f"eval/{split}/loss"][0]) for split in _SPLITS]
    return TrialLosses(outer_valid, test, *first)


def _last(result: Result, split: str) -> float:
    final = result.get(f"final/{split}/loss")
    return float(result[f"eval/{split}/loss"][-1] if final is None else final)
