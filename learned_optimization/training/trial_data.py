"""What a compiled run reads: data arrays, and which examples each step takes.

A program sees every data set as arrays and indices of their rows. This module is for
data that is in arrays; `training/iterated.py` has the same two classes for data that
comes from iterators, and `training/pools.py` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from learned_optimization.tasks.datasets.base import ArrayData
from learned_optimization.tasks.datasets.streams import EpochStream
from learned_optimization.training.plan import RunPlan

EVAL_SPLITS = ("train", "outer_valid", "test")
"""The splits that an evaluation covers."""

_TRAIN_STREAM = 0
_EVAL_STREAMS = {"train": 1, "outer_valid": 2, "test": 3}


@dataclass(frozen=True)
class ArrayPool:
    """A data set in arrays, or none, as a compiled program sees it.

    Attributes:
      data: the arrays, splits and decoding; None for a task without data.
      batch_size: examples per batch; 0 for a task without data.
    """

    data: ArrayData | None
    batch_size: int

    @property
    def can_restart(self) -> bool:
        """Whether another run with the same keys reads the same: always."""
        return True

    @property
    def stored(self) -> dict[str, Any]:
        """Field name to stored array `[num_examples, ...]`; empty without data."""
        return {} if self.data is None else dict(self.data.arrays)

    @property
    def arrays(self) -> dict[str, Any]:
        """As `stored`; empty where they are too large for memory."""
        return {} if self.is_streamed else self.stored

    @property
    def is_streamed(self) -> bool:
        """Whether the data is too large for memory: chunks bring what they read."""
        return self.data is not None and not self.data.is_in_memory

    @property
    def example_bytes(self) -> float:
        """Bytes an example takes; 0 without data."""
        return 0.0 if self.data is None else self.data.nbytes / self.data.num_examples

    def num_streams(self, num_seeds: int) -> int:
        """Return how many seeds read rows of their own: all of them."""
        return num_seeds

    def one_row(self) -> dict[str, np.ndarray]:
        """Return a row of the stored arrays, `[1, ...]`: the first example."""
        first = np.zeros(1, np.int32)
        return {field: np.asarray(array[first]) for field, array in self.stored.items()}

    def batch(self, arrays: Any, indices: Any) -> Any:
        """Return the decoded batch at `indices`, traceable; None without data."""
        if self.data is None:
            return None
        return self.data.decode({f: a[indices] for f, a in arrays.items()})

    def gather(
        self, indices: Sequence[np.ndarray], room: int
    ) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
        """Return the rows that some indices point to, each once.

        Args:
          indices: int32 arrays of any shape.
          room: length of the result, so that it is always the same.

        Returns:
          Field name to array `[room, ...]`, zero behind what is read, and the
          indices of the same rows there.
        """
        wanted = np.unique(np.concatenate([i.ravel() for i in indices]))
        arrays = {}
        for field, stored in self.stored.items():
            rows = np.asarray(stored[wanted])
            arrays[field] = np.zeros((room, *rows.shape[1:]), rows.dtype)
            arrays[field][: len(rows)] = rows
        return arrays, [np.searchsorted(wanted, i).astype(np.int32) for i in indices]

    def reader(
        self,
        keys: Sequence[np.ndarray],
        plan: RunPlan,
        *,
        is_trained: bool,
        is_evaluated: bool,
    ) -> ArrayReader:
        """Return what one run reads.

        Args:
          keys: words of the PRNG key of each seed.
          plan: number of steps and evaluations.
          is_trained: whether the run trains on this data.
          is_evaluated: whether it evaluates on this data.
        """
        return ArrayReader(self, keys, plan, is_trained, is_evaluated)


class ArrayReader:
    """What one run reads of data in arrays: index streams of each seed.

    Args:
      pool: the data.
      keys: as in `ArrayPool.reader`, and so are the others.
      plan: number of steps and evaluations.
      is_trained: whether the run trains on this data.
      is_evaluated: whether it evaluates on this data.
    """

    def __init__(
        self,
        pool: ArrayPool,
        keys: Sequence[np.ndarray],
        plan: RunPlan,
        is_trained: bool,
        is_evaluated: bool,
    ):
        self._pool, self._plan = pool, plan
        self._width = max(plan.eval_batches, plan.last_eval_batches)
        entropies = [[int(word) for word in words] for words in keys]
        self._num_seeds = len(entropies)

        def streams(number: int, split: str) -> list[EpochStream]:
            assert pool.data is not None
            examples = pool.data.splits[split]
            return [EpochStream([*e, number], examples) for e in entropies]

        self._train, self._evals = None, None
        if pool.data is not None and is_trained:
            self._train = streams(_TRAIN_STREAM, "train")
        if pool.data is not None and is_evaluated:
            self._evals = [streams(_EVAL_STREAMS[s], s) for s in EVAL_SPLITS]

    def train_indices(self, first: int, num_blocks: int) -> list[np.ndarray]:
        """Return rows of the updates of some blocks.

        Args:
          first: number of the first block, the one behind the last call's last.
          num_blocks: how many.

        Returns:
          int32 `[num_updates, batch_size]` for each seed.
        """
        updates = self._plan.updates_of_block[first : first + num_blocks]
        count = int(updates.sum())
        if self._train is None:
            return [np.zeros((count, 0), np.int32)] * self._num_seeds
        return [s.take(count, self._pool.batch_size) for s in self._train]

    def eval_indices(self, first: int, num_blocks: int) -> list[np.ndarray]:
        """Return rows of the evaluations of some blocks.

        Args:
          first: as of `train_indices`.
          num_blocks: as there.

        Returns:
          int32 `[num_blocks, width, 3, batch_size]` for each seed, where `width` is the
          most batches an evaluation has; zero where unused.
        """
        counts = self._plan.eval_batches_of_block[first : first + num_blocks]
        size = self._pool.batch_size
        shape = (self._num_seeds, num_blocks, self._width, len(EVAL_SPLITS), size)
        out = np.zeros(shape, np.int32)
        for split, of_seeds in enumerate(self._evals or []):
            for seed, stream in enumerate(of_seeds):
                for block, count in enumerate(counts):
                    drawn = stream.take(int(count), size)
                    out[seed, block, :count, split] = drawn
        return list(out)

    def gather(
        self, indices: Sequence[np.ndarray], room: int
    ) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
        """Return the rows that some indices point to, as `ArrayPool.gather`."""
        return self._pool.gather(indices, room)

    def skip(self, num_blocks: int) -> None:
        """Pass over the first blocks of a run, which were done before."""
        size = self._pool.batch_size
        updates = int(self._plan.updates_of_block[:num_blocks].sum())
        batches = int(self._plan.eval_batches_of_block[:num_blocks].sum())
        for stream in self._train or []:
            stream.skip(updates * size)
        for of_seeds in self._evals or []:
            for stream in of_seeds:
                stream.skip(batches * size)
