"""Data from iterators: whole batches are drawn, and brought chunk by chunk.

A batch is what an example is to data in arrays: one row. Every split is one sequence
of batches, for each seed where the data set makes it from a seed, and for all seeds
together where it does not. A run takes them in the order of a plain loop: before the
updates of a block, its evaluation draws from each split it evaluates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets.arrays import abstract_array
from learned_optimization.tasks.datasets.base import Datasets
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.trial_data import EVAL_SPLITS

# A row's number is that of its sequence, from 1, times this, plus its place there.
# Number 0 is no row.
_ROOM_OF_A_SEQUENCE = 1 << 40


@dataclass(frozen=True)
class IteratedPool:
    """A data set of iterators as a compiled program sees it.

    Attributes:
      datasets: the data set.
    """

    datasets: Datasets

    @property
    def batch_size(self) -> int:
        """Rows a batch takes: it is one."""
        return 1

    @property
    def arrays(self) -> Any:
        """Nothing: chunks bring what they read."""
        return {}

    @property
    def is_streamed(self) -> bool:
        """Whether chunks bring what they read: always."""
        return True

    @property
    def can_restart(self) -> bool:
        """Whether another run with the same keys reads the same batches."""
        return all(self.datasets.source(split).replays for split in EVAL_SPLITS)

    @property
    def example_bytes(self) -> float:
        """Bytes a batch takes."""
        leaves = jax.tree.leaves(self.datasets.abstract_batch)
        return float(sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)) or 1.0

    def num_streams(self, num_seeds: int) -> int:
        """Return how many seeds read batches of their own, at most."""
        sources = [self.datasets.source(split) for split in EVAL_SPLITS]
        return num_seeds if any(source.is_seeded for source in sources) else 1

    def one_row(self) -> Any:
        """Return a tree of arrays `[1, ...]` like one batch."""
        return self.empty(1)

    def empty(self, room: int) -> Any:
        """Return zeros in which that many batches have room."""
        return jax.tree.map(
            lambda x: np.zeros((room, *x.shape), x.dtype), self.datasets.abstract_batch
        )

    def batch(self, arrays: Any, indices: Any) -> Any:
        """Return the batch at `indices`, int32 `[1]`, traceable."""
        return jax.tree.map(lambda a: a[indices[0]], arrays)

    def reader(
        self,
        keys: Sequence[np.ndarray],
        plan: RunPlan,
        *,
        is_trained: bool,
        is_evaluated: bool,
    ) -> IteratedReader:
        """Return what one run reads; the arguments are those of `ArrayPool.reader`."""
        return IteratedReader(self, keys, plan, is_trained, is_evaluated)


class IteratedReader:
    """What one run reads of data from iterators.

    The methods are those of `ArrayReader`, but for int64 as the dtype of what
    `train_indices` and `eval_indices` return.

    Args:
      pool: the data.
      keys: as in `ArrayPool.reader`, and so are the others.
      plan: number of steps and evaluations.
      is_trained: whether the run trains on this data.
      is_evaluated: whether it evaluates on this data.
    """

    def __init__(
        self,
        pool: IteratedPool,
        keys: Sequence[np.ndarray],
        plan: RunPlan,
        is_trained: bool,
        is_evaluated: bool,
    ):
        self._pool, self._plan = pool, plan
        self._width = max(plan.eval_batches, plan.last_eval_batches)
        self._num_seeds = len(keys)
        # The sequence of each evaluated split, one for each seed.
        self._sequences: dict[str, list[int]] = {}
        self._drawn: list[_Sequence] = []
        for split in EVAL_SPLITS:
            source = pool.datasets.source(split)
            seeds = [_seed_of(words) for words in keys] if source.is_seeded else [0]
            first = len(self._drawn) + 1
            self._drawn += [_Sequence(source.start(s), split) for s in seeds]
            own = range(first, first + len(seeds))
            self._sequences[split] = (
                list(own) if source.is_seeded else [first] * len(keys)
            )
        evals = plan.eval_batches_of_block.astype(np.int64) * is_evaluated
        updates = plan.updates_of_block.astype(np.int64) * is_trained
        self._evaluated_before = np.cumsum(evals) - evals
        self._trained_before = np.cumsum(updates) - updates
        # An evaluation draws from the training split as well, before its updates.
        self._evaluated_until = np.cumsum(evals)

    def train_indices(self, first: int, num_blocks: int) -> list[np.ndarray]:
        """Return batches of the updates of some blocks, int64, as `ArrayReader`."""
        places = [np.zeros(0, np.int64)]
        for block in range(first, first + num_blocks):
            start = self._evaluated_until[block] + self._trained_before[block]
            places.append(start + np.arange(self._plan.updates_of_block[block]))
        rows = np.concatenate(places)[:, None]
        return [_numbers(s, rows) for s in self._sequences["train"]]

    def eval_indices(self, first: int, num_blocks: int) -> list[np.ndarray]:
        """Return batches of the evaluations of some blocks, int64, as `ArrayReader`."""
        shape = (self._num_seeds, num_blocks, self._width, len(EVAL_SPLITS), 1)
        out = np.zeros(shape, np.int64)
        for i, split in enumerate(EVAL_SPLITS):
            for block in range(num_blocks):
                number = first + block
                start = self._evaluated_before[number]
                if split == "train":
                    start += self._trained_before[number]
                count = self._plan.eval_batches_of_block[number]
                for seed, sequence in enumerate(self._sequences[split]):
                    places = _numbers(sequence, start + np.arange(count))
                    out[seed, block, :count, i, 0] = places
        return list(out)

    def gather(
        self, indices: Sequence[np.ndarray], room: int
    ) -> tuple[Any, list[np.ndarray]]:
        """Return the batches that indices point to, each once, as `ArrayReader`."""
        wanted = np.unique(np.concatenate([i.ravel() for i in indices]))
        wanted = wanted[wanted > 0]
        table = self._pool.empty(room)
        rows, treedef = jax.tree.flatten(table)
        for row, number in enumerate(wanted):
            sequence, place = divmod(int(number), _ROOM_OF_A_SEQUENCE)
            drawn = self._drawn[sequence - 1]
            batch = drawn.draw(place)
            values = jax.tree.leaves(batch)
            is_like_others = jax.tree.structure(batch) == treedef
            if not (is_like_others and all(map(_fits, values, rows))):
                raise _misfit(drawn, batch, self._pool.datasets.abstract_batch)
            for stored, value in zip(rows, values, strict=True):
                stored[row] = value
        return table, [np.searchsorted(wanted, i).astype(np.int32) for i in indices]

    def skip(self, num_blocks: int) -> None:
        """Pass over blocks done before: their batches are drawn with the next."""


class _Sequence:
    """The batches of one split, drawn one after another."""

    def __init__(self, iterator: Iterator[Any], split: str):
        self._iterator, self.split = iterator, split
        self.num_drawn = 0

    def draw(self, place: int) -> Any:
        """Return the batch at a place behind the last one; those between are lost."""
        batch = None
        while self.num_drawn <= place:
            try:
                batch = next(self._iterator)
            except StopIteration:
                raise LoptError(
                    f"the iterator of the split {self.split!r} ended after "
                    f"{self.num_drawn} batches of this run, which needs more. Give a "
                    "function that makes the iterator: it is called again at each end."
                ) from None
            self.num_drawn += 1
        return batch


def _fits(value: Any, rows: np.ndarray) -> bool:
    array = abstract_array(value)
    return array.shape == rows.shape[1:] and array.dtype == rows.dtype


def _misfit(drawn: _Sequence, batch: Any, wanted: Any) -> LoptError:
    def text(tree: Any) -> str:
        leaves = jax.tree_util.tree_leaves_with_path(jax.tree.map(abstract_array, tree))
        return ", ".join(
            f"{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}".strip()
            for path, leaf in leaves
        )

    return LoptError(
        f"batch {drawn.num_drawn - 1} of the split {drawn.split!r} holds "
        f"{text(batch)}, where abstract_batch, or else the first batch of 'train', "
        f"holds {text(wanted)}: all batches must have one structure, and the same "
        "shapes and dtypes."
    )


def _numbers(sequence: int, places: np.ndarray) -> np.ndarray:
    return sequence * _ROOM_OF_A_SEQUENCE + places


def _seed_of(words: np.ndarray) -> int:
    """Return the seed of a key `jax.random.PRNGKey(seed)`; of others, the bits."""
    seed = 0
    for word in words.tolist():
        seed = (seed << 32) | int(word)
    return seed
