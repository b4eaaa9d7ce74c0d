"""Divides the trials of a sweep among processes that do not talk to each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from learned_optimization.baselines.sweeps.grids import make_grids
from learned_optimization.baselines.sweeps.trials import Trial, num_updates
from learned_optimization.errors import LoptError

# With fewer configurations per shard than this, trials are divided one by one, or
# some shards would have much more to do than others.
_CONFIGS_PER_SHARD = 4


@dataclass(frozen=True)
class Shard:
    """One of several parts of a sweep, which share no trial.

    Attributes:
      index: which part, from 1.
      count: how many parts there are.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return a shard from its text, e.g. `3/10`.

        Raises:
          LoptError: if it is not of this form, or there is no such part.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        shard = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= shard.index <= shard.count:
            raise LoptError(
                "a shard is I/N, part I of N parts, from 1/N to N/N, e.g. 3/10; got "
                f"{text!r}."
            )
        return shard

    def of(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return this shard's trials.

        It depends on the trials alone, not on which have results. Those of one
        configuration stay together where there are many, so that each shard trains
        wide grids; shards do about as many updates each.

        Args:
          trials: all trials of the sweep, in any order.
        """
        rows = [row for grid in make_grids(trials) for row in grid.rows]
        if len(rows) < _CONFIGS_PER_SHARD * self.count:
            rows = [[trial] for row in rows for trial in row]
        updates = [num_updates(row) for row in rows]
        total = sum(updates)
        # A row belongs to the shard in whose share of the updates its middle lies.
        before = itertools.accumulate(updates, initial=0)
        return [
            trial
            for row, start, size in zip(rows, before, updates, strict=False)
            if (2 * start + size) * self.count // (2 * total) == self.index - 1
            for trial in row
        ]
