"""When a run evaluates and updates, as plain numbers.

A run is a sequence of blocks. Each block is one evaluation followed by the
updates up to the next one; the last block ends with update `num_steps`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from learned_optimization.errors import check_at_least

MAX_STEPS = 100_000_000
"""Updates of the longest run: each trial's loss at every one is in memory at once."""

# Of the other settings, which programs count in 32 bits.
_MAX_COUNT = (1 << 31) - 1


@dataclass(frozen=True)
class RunPlan:
    """The settings of a run that decide its shape.

    A run does `num_steps + 1` updates, numbered from 0. Before every update
    whose number is a multiple of `eval_every` it evaluates.

    Attributes:
      num_steps: number of the last update.
      eval_every: updates between two evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: batches of each split in an evaluation at `num_steps`.

    Raises:
      LoptError: if a setting is not a whole number of at least 1, or too large.
    """

    num_steps: int
    eval_every: int = 10
    eval_batches: int = 5
    last_eval_batches: int = 10

    def __post_init__(self) -> None:
        for key, value in self.as_keys().items():
            check_at_least(
                key, value, 1, MAX_STEPS if key == "num_steps" else _MAX_COUNT
            )

    @property
    def folder(self) -> str:
        """Name of the folder of results of this plan, e.g. `1000_10_5_10`."""
        return "_".join(str(value) for value in self.as_keys().values())

    def as_keys(self) -> dict[str, int]:
        """Return the four settings by name, in the order of a folder's name.

        The names are those of the keys of a result file, of the fields of a
        hyper-parameter set, and of the parameters of `inner_train_task`.
        """
        return {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }

    @property
    def num_evals(self) -> int:
        """Evaluations in a run, one per block."""
        return self.num_steps // self.eval_every + 1

    @property
    def block_updates(self) -> int:
        """Updates in a block at most."""
        return min(self.eval_every, self.num_steps + 1)

    @property
    def eval_steps(self) -> np.ndarray:
        """Number of the update each evaluation precedes, int64 `[num_evals]`."""
        return np.arange(0, self.num_steps + 1, self.eval_every, dtype=np.int64)

    @property
    def eval_batches_of_block(self) -> np.ndarray:
        """Batches of each split evaluated in each block, int32 `[num_evals]`."""
        last = self.eval_steps == self.num_steps
        return np.where(last, self.last_eval_batches, self.eval_batches).astype(
            np.int32
        )

    @property
    def updates_of_block(self) -> np.ndarray:
        """Updates done in each block, int32 `[num_evals]`; they sum to num_steps+1."""
        left = self.num_steps + 1 - self.eval_steps
        return np.minimum(left, self.eval_every).astype(np.int32)
