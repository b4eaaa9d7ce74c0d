"""What a chunk of a run reads: indices, numbers, and data too large to hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import PartitionSpec

from learned_optimization.training.grid import Layout
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.pools import Pool
from learned_optimization.training.program import ChunkInputs, TrialProgram
from learned_optimization.training.trial_data import EVAL_SPLITS

# A chunk has room for about this many updates: index streams stay small, and
# the program's shape does not depend on the length of the run.
_CHUNK_UPDATES = 1000
# ... or less, where many evaluation batches would take more than this a seed,
_CHUNK_INDEX_BYTES = 32 << 20
# ... or examples of a data set that is too large for memory more than this.
_CHUNK_DATA_BYTES = 256 << 20


class FedChunk(NamedTuple):
    """What one call of the program reads besides the trials' state.

    Attributes:
      train_indices: int32 `[seeds, max_blocks * block_updates, batch]`.
      eval_indices: int32 `[seeds, max_blocks, max_eval_batches, 3, eval_batch]`.
      data: arrays of the training and of the evaluation data.
      numbers: what else varies between calls.
    """

    train_indices: Any
    eval_indices: Any
    data: tuple[Any, Any]
    numbers: ChunkInputs


class Feed:
    """Brings the devices what each chunk of a run reads.

    Data that fits memory is put there once. Of data that does not, and of data from
    iterators, a chunk brings what it reads; to the program both look the same.

    Args:
      plan: number of steps and evaluations.
      layout: the devices.
      program: the program that is fed.
      keys: words of the PRNG key of each seed.
    """

    def __init__(
        self,
        plan: RunPlan,
        layout: Layout,
        program: TrialProgram,
        keys: Sequence[np.ndarray],
    ):
        self._plan, self._layout, self._room = plan, layout, program.max_blocks
        self._train_pool, self._eval_pool = program.train_pool, program.eval_pool
        self._num_seeds = len(keys)
        same = self._eval_pool is self._train_pool
        self._train_reader = self._train_pool.reader(
            keys, plan, is_trained=True, is_evaluated=same
        )
        self._eval_reader = self._train_reader
        if not same:
            self._eval_reader = self._eval_pool.reader(
                keys, plan, is_trained=False, is_evaluated=True
            )
        on_devices = self._put_data(self._train_pool.arrays)
        # The same object twice is one buffer twice: memory is not doubled where
        # the evaluation reads the training data.
        evaluation = on_devices if same else self._put_data(self._eval_pool.arrays)
        self._data = on_devices, evaluation

    def inputs(self, first: int, num_blocks: int) -> FedChunk:
        """Return what a chunk reads.

        Args:
          first: number of its first block, the one behind the last call's last.
          num_blocks: its blocks, at most as many as there is room for.
        """
        plan, room = self._plan, self._room
        updates = plan.updates_of_block[first : first + num_blocks]
        batches = plan.eval_batches_of_block[first : first + num_blocks]
        rows = room * plan.block_updates

        train = self._train_reader.train_indices(first, num_blocks)
        evals = self._eval_reader.eval_indices(first, num_blocks)
        train, evals, data = self._read(train, evals)
        train = [_pad(indices, rows) for indices in train]
        evals = [_pad(indices, room) for indices in evals]
        put = partial(self._layout.put, spec=self._layout.over_seeds)
        inputs = ChunkInputs(
            first_step=np.int32(first * plan.eval_every),
            num_blocks=np.int32(num_blocks),
            updates=_pad(updates, room),
            eval_batches=_pad(batches, room),
        )
        return FedChunk(
            put(np.stack(self._layout.pad_seeds(train))),
            put(np.stack(self._layout.pad_seeds(evals))),
            data,
            self._layout.put(inputs, PartitionSpec()),
        )

    @property
    def eval_arrays(self) -> Any:
        """Stored arrays of the evaluation data, on the devices, where they fit."""
        return self._data[1]

    def skip(self, num_blocks: int) -> None:
        """Pass over the first blocks of a run, which were done before."""
        self._train_reader.skip(num_blocks)
        if self._eval_reader is not self._train_reader:
            self._eval_reader.skip(num_blocks)

    def _read(
        self, train: list[np.ndarray], evals: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray], Any]:
        """Bring what a chunk reads, where it is not all there."""
        train_pool, eval_pool = self._train_pool, self._eval_pool
        if not (train_pool.is_streamed or eval_pool.is_streamed):
            return train, evals, self._data
        room = self._room * _examples_a_block(
            self._plan, train_pool, eval_pool, self._num_seeds
        )
        num_seeds = self._num_seeds
        if train_pool is eval_pool:
            arrays, indices = self._train_reader.gather([*train, *evals], room)
            data = self._put_data(arrays)
            return indices[:num_seeds], indices[num_seeds:], (data, data)
        train_data, eval_data = self._data
        if train_pool.is_streamed:
            arrays, train = self._train_reader.gather(train, room)
            train_data = self._put_data(arrays)
        if eval_pool.is_streamed:
            arrays, evals = self._eval_reader.gather(evals, room)
            eval_data = self._put_data(arrays)
        return train, evals, (train_data, eval_data)

    def _put_data(self, arrays: Any) -> Any:
        """Return arrays on every device."""
        return self._layout.put(arrays, PartitionSpec())


def max_blocks(plan: RunPlan, train_pool: Pool, eval_pool: Pool, num_seeds: int) -> int:
    """Return blocks a chunk has room for."""
    index_bytes = 4 * len(EVAL_SPLITS) * max(eval_pool.batch_size, 1)
    index_bytes *= max(plan.eval_batches, plan.last_eval_batches)
    limits = [_CHUNK_UPDATES // plan.block_updates, _CHUNK_INDEX_BYTES // index_bytes]
    if train_pool.is_streamed or eval_pool.is_streamed:
        examples = _examples_a_block(plan, train_pool, eval_pool, num_seeds)
        example_bytes = max(train_pool.example_bytes, eval_pool.example_bytes)
        limits.append(int(_CHUNK_DATA_BYTES / (examples * example_bytes)))
    return max(1, min(limits))


def _examples_a_block(
    plan: RunPlan, train_pool: Pool, eval_pool: Pool, num_seeds: int
) -> int:
    """Return rows a block reads at most, all seeds together."""
    eval_batches = max(plan.eval_batches, plan.last_eval_batches) * len(EVAL_SPLITS)
    trained = plan.block_updates * train_pool.batch_size
    evaluated = eval_batches * eval_pool.batch_size
    return trained * train_pool.num_streams(num_seeds) + (
        evaluated * eval_pool.num_streams(num_seeds)
    )


def _pad(values: np.ndarray, length: int) -> np.ndarray:
    """Return zeros behind `values` up to `length` rows."""
    out = np.zeros((length, *values.shape[1:]), values.dtype)
    out[: len(values)] = values
    return out
