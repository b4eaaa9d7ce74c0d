"""Index streams: every example once an epoch, however they are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_optimization.tasks.datasets.streams import EpochStream


@given(
    st.integers(1, 40),
    st.integers(0, 1000),
    st.lists(st.integers(0, 50), min_size=1, max_size=6),
)
def test_any_cut_gives_the_same_stream(size, start, counts):
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
