"""The losses of a trial that decide: the one place that says where they are recorded.

`final/SPLIT/loss` is preferred, which is over a whole split; where a file has none, it
is the last evaluation of the curve. What is compared is read alike:
`comparable_losses`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from learned_optimization.baselines.results.format import read_result
from learned_optimization.baselines.results.last_losses import measured_alike
from learned_optimization.errors import DamagedFileError

_SPLITS = ("outer_valid", "test")

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class TrialLosses:
    """Losses of one trial, on a task's own scale; not finite where it diverged.

    Attributes:
      outer_valid: after training, on the split that chooses: over the whole of it
        where the file has that of both splits, or else of the last evaluation.
      test: after training, on the split that is reported; likewise.
      initial_outer_valid: before training, on the split that chooses; NaN if it was
        not evaluated.
      initial: before training, on the split that is reported; NaN likewise.
      last_evaluation: `outer_valid` and `test` of the last evaluation, where they are
        over whole splits; None where they are those of the last evaluation.
    """

    outer_valid: float
    test: float
    initial_outer_valid: float
    initial: float
    last_evaluation: tuple[float, float] | None = None

    @property
    def is_of_whole(self) -> bool:
        """Whether the losses after training are over whole splits."""
        return self.last_evaluation is not None

    def of_last_evaluation(self) -> TrialLosses:
        """Return the same with the losses of the last evaluation."""
        if self.last_evaluation is None:
            return self
        outer_valid, test = self.last_evaluation
        return replace(self, outer_valid=outer_valid, test=test, last_evaluation=None)


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
    first = [float("nan")] * len(_SPLITS)
    if result["eval/xs"][0] == 0:
        first = [float(result[f"eval/{split}/loss"][0]) for split in _SPLITS]
    outer_valid, test = (float(result[f"eval/{s}/loss"][-1]) for s in _SPLITS)
    initial_outer_valid, initial = first
    last = TrialLosses(outer_valid, test, initial_outer_valid, initial)
    if not all(f"final/{split}/loss" in result for split in _SPLITS):
        return last
    outer_valid, test = (float(result[f"final/{split}/loss"]) for split in _SPLITS)
    of_last = last.outer_valid, last.test
    return replace(last, outer_valid=outer_valid, test=test, last_evaluation=of_last)


def comparable_losses(losses: Mapping[_Key, TrialLosses]) -> dict[_Key, TrialLosses]:
    """Return the losses of trials on a task, all measured in the same way.

    They are over whole splits where all trials have these, or else those of the last
    evaluations.
    """
    return dict(zip(losses, measured_alike(losses.values()), strict=True))
