"""Rows gathered from flat tokens: by hand, and against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_optimization.tasks.datasets import token_rows
from learned_optimization.tasks.datasets.token_rows import (
    TokenRows,
    count_rows,
    rows_of_documents,
)

TOKENS = np.arange(1, 11, dtype=np.uint8)
LENGTHS = np.array([4, 1, 5])


def test_documents_by_hand():
    rows = rows_of_documents(TOKENS, LENGTHS, 4, "documents")
    assert (rows.shape, rows.ndim, len(rows)) == ((3, 4), 2, 3)
    assert rows.dtype == np.uint8
    assert rows.nbytes == 12
    want = [[1, 2, 3, 4], [5, 0, 0, 0], [6, 7, 8, 9]]
    np.testing.assert_array_equal(rows.to_array(), want)


def test_windows_by_hand():
    rows = rows_of_documents(TOKENS, LENGTHS, 3, "windows")
    # The token between two windows is the target of the one and begins the other.
    want = [[1, 2, 3], [3, 4, 0], [6, 7, 8], [8, 9, 10]]
    np.testing.assert_array_equal(rows.to_array(), want)
    assert count_rows(LENGTHS, 3, "windows") == 4


def test_another_order_by_hand():
    rows = rows_of_documents(TOKENS, LENGTHS, 4, "documents")
    turned = rows.in_order(np.array([2, 0, 1]))
    want = [[6, 7, 8, 9], [1, 2, 3, 4], [5, 0, 0, 0]]
    np.testing.assert_array_equal(turned.to_array(), want)
    np.testing.assert_array_equal(turned[np.array([1])], want[1:2])


def test_indices_are_those_of_numpy():
    rows = rows_of_documents(TOKENS, LENGTHS, 3, "windows")
    array = rows.to_array()
    for index in (
        2,
        -1,
        np.array([3, 0, 0]),
        np.array([[1, -1], [2, 0]], np.int32),
        np.zeros(0, np.int64),
        np.zeros((2, 0), np.int64),
        slice(None),
        slice(1, 3),
        slice(None, None, -2),
        slice(3, 99),
        [0, 2],
        np.array([True, False, True, False]),
    ):
        got = rows[index]
        assert type(got) is np.ndarray
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array[index])
    with pytest.raises(IndexError):
        rows[np.array([4])]


def test_mapped_tokens_are_read_as_arrays(tmp_path):
    path = tmp_path / "tokens"
    TOKENS.astype(np.uint16).tofile(path)
    mapped = np.memmap(path, np.uint16, "r")
    rows = rows_of_documents(mapped, LENGTHS, 4, "documents")
    got = rows[np.array([2, 1])]
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, [[6, 7, 8, 9], [5, 0, 0, 0]])
    got[0, 0] = 99  # a batch is its own memory
    assert mapped[5] == 6


def test_large_sets_are_gathered_in_pieces(monkeypatch):
    rows = rows_of_documents(TOKENS, LENGTHS, 3, "windows")
    want = rows.to_array()
    monkeypatch.setattr(token_rows, "_ROWS_AT_ONCE", 3)
    np.testing.assert_array_equal(rows.to_array(), want)


def test_no_documents():
    none = np.zeros(0, np.int32)
    for examples in ("documents", "windows"):
        rows = rows_of_documents(np.zeros(0, np.uint8), none, 5, examples)
        assert rows.to_array().shape == rows[:].shape == (0, 5)
        assert count_rows(none, 5, examples) == 0


def test_rows_behind_the_tokens_are_refused():
    with pytest.raises(ValueError, match="rows end after the 10 tokens"):
        TokenRows(TOKENS, np.array([8]), np.array([3]), 2)
    with pytest.raises(ValueError, match="expected two of the same length"):
        TokenRows(TOKENS, np.array([8, 1]), np.array([3]), 2)


documents = st.lists(st.integers(0, 30), max_size=12)


@given(documents, st.integers(2, 12))
def test_every_token_but_the_first_is_a_target_once(lengths, width):
    lengths = np.array(lengths, np.int32)
    tokens = np.arange(1, lengths.sum() + 1, dtype=np.uint16)
    rows = rows_of_documents(tokens, lengths, width, "windows")
    array = rows.to_array()
    assert len(array) == count_rows(lengths, width, "windows")
    obs, target = array[:, :-1], array[:, 1:]
    first = np.cumsum(lengths) - lengths + 1
    want = np.setdiff1d(tokens, first)
    np.testing.assert_array_equal(target[target > 0], want)
    # Tokens are numbered: the one observed is the one before the target.
    np.testing.assert_array_equal(obs[target > 0], want - 1)
    # No row is padding alone, and padding is at the end.
    assert (target[:, 0] > 0).all()
    assert ((target[:, 1:] == 0) | (target[:, :-1] > 0)).all()


@given(documents, st.integers(2, 12))
def test_documents_are_cropped_and_padded(lengths, width):
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.uint16)
    rows = rows_of_documents(tokens, np.array(lengths, int), width, "documents")
    want, start = np.zeros((len(lengths), width), np.uint16), 0
    for i, length in enumerate(lengths):
        beginning = tokens[start : start + length][:width]
        want[i, : len(beginning)] = beginning
        start += length
    np.testing.assert_array_equal(rows.to_array(), want)
    assert count_rows(np.array(lengths, int), width, "documents") == len(lengths)
