"""Batches of whole splits: every example once, one size where that can be."""

import numpy as np
import pytest

from learned_optimization.tasks.datasets.base import ArrayData
from learned_optimization.training.trial_data import ArrayPool
from learned_optimization.training.whole_splits import (
    MOST_EXAMPLES,
    common_batch_size,
    whole_splits,
)


def pool(train, outer_valid, test, batch_size):
    """A pool whose splits lie one behind another, a gap between the first two."""
    bounds = np.cumsum([0, train, 7, outer_valid, test]).tolist()
    splits = {
        "train": (0, train),
        "outer_valid": (bounds[2], bounds[3]),
        "test": (bounds[3], bounds[4]),
    }
    data = ArrayData({"x": np.zeros((bounds[4], 1), np.uint8)}, splits)
    return ArrayPool(data, batch_size)


def rows_of(groups, split):
    found = [group.rows[group.splits == split].ravel() for group in groups]
    return np.sort(np.concatenate(found))


def test_every_example_once_with_a_rest():
    groups, counts = whole_splits(pool(101, 20, 16, 8), lambda size: True)
    assert counts == {"train": 101, "outer_valid": 20, "test": 16}
    # 12 batches and 5 left, 2 and 4 left, 2.
    assert {g.rows.shape for g in groups} == {(16, 8), (1, 5), (1, 4)}
    np.testing.assert_array_equal(rows_of(groups, 0), np.arange(101))
    np.testing.assert_array_equal(rows_of(groups, 1), np.arange(108, 128))
    np.testing.assert_array_equal(rows_of(groups, 2), np.arange(128, 144))


def test_of_more_examples_a_sample():
    large = 3 * MOST_EXAMPLES
    groups, counts = whole_splits(pool(large, 6_000, 10_000, 128), lambda size: True)
    assert counts == {"train": 20_000, "outer_valid": 6_000, "test": 10_000}
    assert [g.rows.shape for g in groups] == [(288, 125)]
    sample = rows_of(groups, 0)
    assert len(np.unique(sample)) == 20_000
    # From all of the split: the mean of 20,000 of 60,000 numbers has a deviation of
    # 60,000 / sqrt(12 * 20,000) * sqrt(2 / 3) = 100.
    assert sample.min() >= 0
    assert sample.max() < large
    assert abs(sample.mean() - large / 2) < 500
    again, _ = whole_splits(pool(large, 6_000, 10_000, 128), lambda size: True)
    np.testing.assert_array_equal(again[0].rows, groups[0].rows)


def test_a_task_that_takes_one_size_only_is_given_whole_batches():
    groups, counts = whole_splits(pool(101, 20, 16, 8), lambda size: False)
    assert counts == {"train": 96, "outer_valid": 16, "test": 16}
    assert [g.rows.shape for g in groups] == [(16, 8)]


@pytest.mark.parametrize("counts", [(101, 20, 5), (101, 5, 16), (5, 20, 16), (5, 5, 3)])
def test_a_split_that_fills_no_batch_leaves_nothing(counts):
    train, outer_valid, test = counts
    data = pool(train, outer_valid, test, 8)
    assert whole_splits(data, lambda size: False) == ([], {})
    _, of_other_sizes = whole_splits(data, lambda size: True)
    assert tuple(of_other_sizes.values()) == counts


@pytest.mark.parametrize(
    ("counts", "most", "want"),
    [
        ([20_000, 6_000, 10_000], 128, 125),
        ([20_000, 5_000, 10_000], 32, 25),
        ([192, 24, 60], 8, 6),
        ([256, 128, 64], 64, 64),
        ([101, 20, 16], 8, 8),
        # 2 would leave no rest, and is far smaller.
        ([18, 10, 4], 8, 8),
        ([3, 3, 3], 1, 1),
    ],
)
def test_common_batch_size(counts, most, want):
    assert common_batch_size(counts, most) == want


def test_without_data_there_is_nothing():
    assert whole_splits(ArrayPool(None, 0), lambda size: True) == ([], {})
