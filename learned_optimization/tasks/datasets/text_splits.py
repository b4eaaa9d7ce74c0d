"""Which examples of a text are in which split, and in what order they lie."""

from __future__ import annotations

import numpy as np

from learned_optimization.tasks.datasets.base import split_ranges
from learned_optimization.tasks.datasets.catalog import TextDataset

_ORDER_KEY = 2018


def text_splits(
    row: TextDataset, num_train: int, num_test: int
) -> dict[str, tuple[int, int]]:
    """Return the ranges of the four splits among the examples of a text.

    In hundredths, as published for `lm1b` and `wikipedia`: of the training part
    `inner_valid` is 0 to 1%, `outer_valid` 1 to 2% and `train` the rest. Where there
    is no test part, `test` is 2 to 3% and `train` what is after it. In tenths the
    splits are those of images, and without a test part the last tenth is it.

    Args:
      row: the data set, which says which of the two it is.
      num_train: examples of the training part, which come first.
      num_test: examples of the test part, 0 where the text is in one part.

    Returns:
      Split name to its half-open range. A boundary at p% of n examples is
      `p n / 100`, rounded to the nearest example, halves up.
    """
    total = num_train + num_test
    if row.splits == "tenths":
        held_out = num_test or total // 10
        return split_ranges(total - held_out, held_out)
    first, second, third = ((p * num_train + 50) // 100 for p in (1, 2, 3))
    return {
        "train": (second if num_test else third, num_train),
        "inner_valid": (0, first),
        "outer_valid": (first, second),
        "test": (num_train, total) if num_test else (second, third),
    }


def shuffled_order(num_train: int, num_test: int) -> np.ndarray:
    """Return the examples in an order drawn once, those of the test part as they lie.

    Args:
      num_train: examples of the training part, which come first.
      num_test: examples of the test part.

    Returns:
      int64 `[num_train + num_test]`: which example comes at each place.
    """
    # The bits of a bit generator stay the same in every version of numpy; the
    # permutations drawn from them may not.
    keys = np.random.Philox(key=_ORDER_KEY).random_raw(num_train)
    rest = np.arange(num_train, num_train + num_test)
    return np.concatenate([np.argsort(keys, kind="stable"), rest])
