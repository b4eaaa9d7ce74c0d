"""Splits of texts: by hand, and in exact fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_optimization.tasks.datasets.base import SPLITS
from learned_optimization.tasks.datasets.catalog import get_text_dataset
from learned_optimization.tasks.datasets.text_splits import shuffled_order, text_splits

LM1B, KJV = get_text_dataset("lm1b"), get_text_dataset("kjv")


@pytest.mark.parametrize(
    ("num_train", "num_test", "train", "inner_valid", "outer_valid", "test"),
    [
        (1000, 40, (20, 1000), (0, 10), (10, 20), (1000, 1040)),
        (1000, 0, (30, 1000), (0, 10), (10, 20), (20, 30)),
        # 0.49 rounds to 0, 0.5 and 1.5 up.
        (49, 5, (1, 49), (0, 0), (0, 1), (49, 54)),
        (50, 0, (2, 50), (0, 1), (1, 1), (1, 2)),
        # The training part of the One Billion Word Benchmark.
        (
            30_301_028,
            306_688,
            (606_021, 30_301_028),
            (0, 303_010),
            (303_010, 606_021),
            (30_301_028, 30_607_716),
        ),
    ],
)
def test_hundredths_by_hand(num_train, num_test, train, inner_valid, outer_valid, test):
    assert text_splits(LM1B, num_train, num_test) == {
        "train": train,
        "inner_valid": inner_valid,
        "outer_valid": outer_valid,
        "test": test,
    }


def test_tenths_by_hand():
    assert text_splits(KJV, 1000, 40) == {
        "train": (0, 800),
        "inner_valid": (800, 900),
        "outer_valid": (900, 1000),
        "test": (1000, 1040),
    }
    assert text_splits(KJV, 1000, 0) == {
        "train": (0, 720),
        "inner_valid": (720, 810),
        "outer_valid": (810, 900),
        "test": (900, 1000),
    }


@given(st.integers(0, 10**8), st.integers(0, 10**8), st.sampled_from([LM1B, KJV]))
def test_splits_are_a_partition(num_train, num_test, row):
    splits = text_splits(row, num_train, num_test)
    assert splits.keys() == set(SPLITS)
    place = 0
    for start, stop in sorted(splits.values()):
        assert place == start <= stop
        place = stop
    assert place == num_train + num_test
    if row is LM1B:
        rounded = floor(Fraction(num_train, 100) + Fraction(1, 2))
        assert splits["inner_valid"] == (0, rounded)


@given(st.integers(0, 500), st.integers(0, 50))
def test_only_the_training_part_is_shuffled(num_train, num_test):
    order = shuffled_order(num_train, num_test)
    np.testing.assert_array_equal(np.sort(order), np.arange(num_train + num_test))
    rest = np.arange(num_train, num_train + num_test)
    np.testing.assert_array_equal(order[num_train:], rest)
    np.testing.assert_array_equal(order, shuffled_order(num_train, num_test))


def test_an_order_is_even():
    first = shuffled_order(100_000, 0)[:1000]
    # The mean of a thousand of them has a standard error of 913.
    assert abs(first.mean() - 50_000) < 4 * 913
