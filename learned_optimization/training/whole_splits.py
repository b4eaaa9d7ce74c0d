"""Whole splits, cut into batches: what a run is evaluated on at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.tasks.datasets.streams import EpochStream
from learned_optimization.training.trial_data import EVAL_SPLITS, ArrayPool

MOST_EXAMPLES = 20_000
"""Examples of a split that are evaluated: of a larger one, a sample of that size."""

# Chooses the order, and the sample: the same for every run, whatever its seed.
_ENTROPY = 20_000


@dataclass(frozen=True)
class Batches:
    """Batches of one size, of all splits.

    Attributes:
      rows: int32 `[num_batches, batch_size]`, rows of the stored arrays.
      splits: int `[num_batches]`, place in `EVAL_SPLITS` of the split of each.
    """

    rows: np.ndarray
    splits: np.ndarray


def whole_splits(
    pool: ArrayPool, takes: Callable[[int], bool]
) -> tuple[list[Batches], dict[str, int]]:
    """Cut every evaluated split into batches, each example once.

    Args:
      pool: the data.
      takes: whether the task can be evaluated on a batch of another size than the
        data set's. If not, what is left behind the last whole batch is left out.

    Returns:
      The batches, grouped by their size, and how many examples each split has in
      them; nothing where the task has no data, or a split fills no batch and the task
      takes no smaller one.
    """
    if pool.data is None:
        return [], {}
    examples = {
        split: _examples(i, pool.data.splits[split])
        for i, split in enumerate(EVAL_SPLITS)
    }
    counts = [len(rows) for rows in examples.values()]
    size = common_batch_size(counts, pool.batch_size)
    sizes = {size, *(count % size for count in counts)} - {0, pool.batch_size}
    if not all(takes(other) for other in sizes):
        size = pool.batch_size
        examples = {s: rows[: len(rows) // size * size] for s, rows in examples.items()}
    if not all(len(rows) for rows in examples.values()):
        return [], {}
    return _grouped(examples, size), {s: len(rows) for s, rows in examples.items()}


def common_batch_size(counts: Sequence[int], most: int) -> int:
    """Return a batch size that leaves no rest of any split, if there is a good one.

    One size of batch is one program: it is compiled once.

    Args:
      counts: examples of each split.
      most: the size of the data set's batches.

    Returns:
      The largest one from half of `most` to `most`; `most` if there is none.
    """
    common = math.gcd(*counts)
    fitting = (size for size in range(most, most // 2, -1) if common % size == 0)
    return next(fitting, most)


def _examples(number: int, split: tuple[int, int]) -> np.ndarray:
    """Return the rows of a split, or of a sample of it, in an order of chance.

    Losses that depend on what else is in a batch see batches like those of training.
    """
    start, stop = split
    return EpochStream((_ENTROPY, number), split).take(min(stop - start, MOST_EXAMPLES))


def _grouped(examples: Mapping[str, np.ndarray], size: int) -> list[Batches]:
    rows: dict[int, list[np.ndarray]] = {}
    splits: dict[int, list[int]] = {}
    for i, of_split in enumerate(examples.values()):
        for first in range(0, len(of_split), size):
            batch = of_split[first : first + size]
            rows.setdefault(len(batch), []).append(batch)
            splits.setdefault(len(batch), []).append(i)
    return [Batches(np.stack(rows[n]), np.asarray(splits[n])) for n in rows]
