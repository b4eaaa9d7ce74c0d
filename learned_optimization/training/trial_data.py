"""What a compiled run reads: data arrays, and which examples each step takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from learned_optimization.tasks.datasets.base import ArrayData, Datasets
from learned_optimization.tasks.datasets.streams import EpochStream

EVAL_SPLITS = ("train", "outer_valid", "test")

_TRAIN_STREAM = 0
_EVAL_STREAMS = {"train": 1, "outer_valid": 2, "test": 3}


@dataclass(frozen=True)
class Pool:
    """A data set as a compiled program sees it.

    Attributes:
      data: the arrays, splits and decoding; None for a task without data.
      batch_size: examples a batch; 0 for a task without data.
    """

    data: ArrayData | None
    batch_size: int

    @classmethod
    def of(cls, datasets: Datasets | None) -> Pool:
        """Loads the arrays of a data set."""
        if datasets is None:
            return cls(None, 0)
        return cls(datasets.load(), datasets.batch_size)

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Field name to stored array `[num_examples, ...]`; empty without data."""
        return {} if self.data is None else self.data.arrays

    @property
    def is_streamed(self) -> bool:
        """Whether the data is too large for memory: chunks bring what they read."""
        return self.data is not None and not self.data.is_in_memory

    @property
    def example_bytes(self) -> float:
        """Bytes an example takes; 0 without data."""
        return 0.0 if self.data is None else self.data.nbytes / self.data.num_examples

    def gather(
        self, indices: Sequence[np.ndarray], room: int
    ) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
        """The examples that some indices point to, each once.

        Args:
          indices: int32 arrays of any shape.
          room: length of the result, so that it is always the same.

        Returns:
          Field name to array `[room, ...]`, zero behind what is read, and the
          indices of the same examples there.
        """
        wanted = np.unique(np.concatenate([i.ravel() for i in indices]))
        arrays = {}
        for field, stored in self.arrays.items():
            rows = np.asarray(stored[wanted])
            arrays[field] = np.zeros((room, *rows.shape[1:]), rows.dtype)
            arrays[field][: len(rows)] = rows
        return arrays, [np.searchsorted(wanted, i).astype(np.int32) for i in indices]

    def batch(self, arrays: Mapping[str, jax.Array], indices: jax.Array) -> Any:
        """The decoded batch at `indices`, traceable; None without data."""
        if self.data is None:
            return None
        return self.data.decode({f: a[indices] for f, a in arrays.items()})


class SeedStreams:
    """The index streams of one seed: one for training, one an evaluated split.

    Args:
      key_data: the words of the seed's PRNG key.
      train: pool that is trained on.
      evaluation: pool that is evaluated on.
    """

    def __init__(self, key_data: Sequence[int], train: Pool, evaluation: Pool):
        entropy = [int(word) for word in key_data]
        self._train_batch = train.batch_size
        self._eval_batch = evaluation.batch_size
        self._train = self._evals = None
        if train.data is not None:
            self._train = EpochStream(
                [*entropy, _TRAIN_STREAM], train.data.splits["train"]
            )
        if evaluation.data is not None:
            self._evals = [
                EpochStream(
                    [*entropy, _EVAL_STREAMS[split]], evaluation.data.splits[split]
                )
                for split in EVAL_SPLITS
            ]

    def skip(self, num_updates: int, num_eval_batches: int) -> None:
        """Passes over the indices of the next updates and evaluated batches."""
        if self._train is not None:
            self._train.skip(num_updates * self._train_batch)
        for stream in self._evals or []:
            stream.skip(num_eval_batches * self._eval_batch)

    def train_indices(self, num_updates: int) -> np.ndarray:
        """Examples of the next updates, int32 `[num_updates, batch_size]`."""
        if self._train is None:
            return np.zeros((num_updates, 0), np.int32)
        return self._train.take(num_updates, self._train_batch)

    def eval_indices(self, batches_of_block: np.ndarray, width: int) -> np.ndarray:
        """Examples of the next evaluations.

        Args:
          batches_of_block: int32 `[num_blocks]`, batches of each evaluation.
          width: batches there is room for in the result.

        Returns:
          int32 `[num_blocks, width, 3, batch_size]`; zero where unused.
        """
        out = np.zeros(
            (len(batches_of_block), width, len(EVAL_SPLITS), self._eval_batch),
            np.int32,
        )
        for s, stream in enumerate(self._evals or []):
            for b, count in enumerate(batches_of_block):
                out[b, :count, s] = stream.take(int(count), self._eval_batch)
        return out
