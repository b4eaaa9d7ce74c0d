"""Index streams: every example once an epoch, however they are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_optimization.tasks.datasets import streams
from learned_optimization.tasks.datasets.permutation import draw_keys, permuted
from learned_optimization.tasks.datasets.streams import EpochStream


@settings(deadline=None)  # another process may have the processor
@given(
    st.integers(1, 40),
    st.integers(0, 1000),
    st.lists(st.integers(0, 50), min_size=1, max_size=6),
)
def test_any_cut_gives_the_same_stream(size, start, counts):
    assert_any_cut_gives_the_same(size, start, counts)


def assert_any_cut_gives_the_same(size, start, counts):
    whole = EpochStream([1, 2], (start, start + size)).take(sum(counts))
    stream = EpochStream([1, 2], (start, start + size))
    parts = np.concatenate([stream.take(n) for n in counts])
    np.testing.assert_array_equal(whole, parts)
    for epoch in range(sum(counts) // size):
        seen = np.sort(whole[epoch * size : (epoch + 1) * size])
        np.testing.assert_array_equal(seen, np.arange(start, start + size))


def test_shape_dtype_and_independence():
    batches = EpochStream([0, 1], (0, 100)).take(3, 2, 5)
    assert batches.shape == (3, 2, 5)
    assert batches.dtype == np.int32
    other = EpochStream([0, 2], (0, 100)).take(3, 2, 5)
    assert not np.array_equal(batches, other)


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match=r"\(5, 5\)"):
        EpochStream([0], (5, 5))


@settings(deadline=None)  # another process may have the processor
@given(
    st.integers(2, 40),
    st.integers(0, 1000),
    st.lists(st.integers(0, 50), min_size=1, max_size=6),
)
def test_large_ranges_are_permuted_too(size, start, counts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_LARGE", 1)
        assert_any_cut_gives_the_same(size, start, counts)


def test_a_large_range_takes_no_memory():
    stream = EpochStream([0], (7, 2**31 - 1))
    drawn = stream.take(1000)
    assert len(np.unique(drawn)) == 1000
    assert drawn.min() >= 7
    assert drawn.max() > 2**30


@settings(deadline=None)  # another process may have the processor
@given(st.integers(1, 300), st.integers(0, 2**32))
def test_permutations(length, seed):
    keys = draw_keys(np.random.default_rng(seed))
    sent = permuted(np.arange(length), length, keys)
    np.testing.assert_array_equal(np.sort(sent), np.arange(length))


def test_every_place_is_as_likely():
    rng = np.random.default_rng(0)
    num, length = 4_000, 7
    sent = np.stack(
        [permuted(np.arange(length), length, draw_keys(rng)) for _ in range(num)]
    )
    counts = (sent[:, :, None] == np.arange(length)).sum(0)
    # Chi-squared with 36 degrees of freedom: 99.9% lie below 68.
    assert ((counts - num / length) ** 2 / (num / length)).sum() < 68
