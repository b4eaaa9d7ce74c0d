"""Examples of one width, taken from tokens that lie end to end.

A corpus of tokens may be far larger than memory. `TokenRows` looks like the
array of all its examples, but only reads the rows that are asked for.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Examples = Literal["documents", "windows"]

_ROWS_AT_ONCE = 1 << 16


class TokenRows:
    """Rows of a flat token array, cropped or padded with 0 to one width.

    Args:
      tokens: integers `[num_tokens]`, in memory or mapped from disk.
      starts: integers `[num_rows]`, where each row begins in `tokens`.
      lengths: integers `[num_rows]`, tokens of each row; what is beyond `width`
        is cropped.
      width: tokens per row.
    """

    def __init__(
        self, tokens: np.ndarray, starts: np.ndarray, lengths: np.ndarray, width: int
    ):
        if starts.shape != lengths.shape or starts.ndim != 1:
            raise ValueError(
                f"starts and lengths are of shapes {starts.shape} and "
                f"{lengths.shape}, expected two of the same length."
            )
        if len(starts) and int((starts + lengths).max()) > len(tokens):
            raise ValueError(f"rows end after the {len(tokens)} tokens.")
        self._tokens, self._starts, self._lengths = tokens, starts, lengths
        self._width = width

    @property
    def shape(self) -> tuple[int, int]:
        """`(num_rows, width)`."""
        return len(self._starts), self._width

    @property
    def ndim(self) -> int:
        """Two axes."""
        return 2

    @property
    def dtype(self) -> np.dtype:
        """That of the tokens."""
        return self._tokens.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, were they an array."""
        return len(self) * self._width * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Gather rows.

        Args:
          index: an integer, integers of any shape `[...]`, or a slice.

        Returns:
          `[..., width]` in the dtype of the tokens.
        """
        starts = np.asarray(self._starts[index], np.int64)[..., None]
        lengths = np.asarray(self._lengths[index])[..., None]
        columns = np.arange(self._width)
        inside = columns < lengths
        # Positions after a row's end are read from its start, then blanked.
        positions = np.where(inside, starts + columns, starts)
        if not positions.size or not len(self._tokens):
            return np.zeros(positions.shape, self.dtype)
        # A row of no tokens at the very end starts after the last token.
        rows = np.asarray(np.take(self._tokens, positions, mode="clip"))
        rows[~inside] = 0
        return rows

    def in_order(self, order: np.ndarray) -> TokenRows:
        """Return the rows in another order, without reading them.

        Args:
          order: integers `[num_rows]`: which row comes at each place.
        """
        starts, lengths = self._starts[order], self._lengths[order]
        return TokenRows(self._tokens, starts, lengths, self._width)

    def to_array(self) -> np.ndarray:
        """Return all rows as an array in memory, `[num_rows, width]`."""
        rows = np.empty(self.shape, self.dtype)
        # Positions take eight times as much memory as bytes: not all at once.
        for i in range(0, len(self), _ROWS_AT_ONCE):
            rows[i : i + _ROWS_AT_ONCE] = self[i : i + _ROWS_AT_ONCE]
        return rows


def rows_of_documents(
    tokens: np.ndarray, document_lengths: np.ndarray, width: int, examples: Examples
) -> TokenRows:
    """Return the examples of documents that lie end to end.

    Args:
      tokens: integers `[num_tokens]`, the documents one after another.
      document_lengths: integers `[num_documents]`, tokens of each.
      width: tokens per example: one more than the targets it gives.
      examples: `"documents"` for one example per document, its first `width`
        tokens; `"windows"` to cut documents from end to end into examples that
        overlap by one token, so that every token but a document's first is a
        target exactly once. A document of fewer than two tokens has no window.

    Returns:
      The rows, in the order of the documents.
    """
    lengths = np.asarray(document_lengths, np.int64)
    first = np.cumsum(lengths) - lengths
    if examples == "documents":
        return TokenRows(tokens, first, np.minimum(lengths, width), width)
    counts = _windows(lengths, width)
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    offset = number * (width - 1)
    left = np.minimum(lengths[document] - offset, width)
    return TokenRows(tokens, first[document] + offset, left, width)


def count_rows(document_lengths: np.ndarray, width: int, examples: Examples) -> int:
    """Return the number of rows that `rows_of_documents` gives."""
    if examples == "documents":
        return len(document_lengths)
    return int(_windows(np.asarray(document_lengths, np.int64), width).sum())


def _windows(lengths: np.ndarray, width: int) -> np.ndarray:
    """Return windows of each document: its targets, divided by those of a window."""
    return np.maximum(-(-(lengths - 1) // (width - 1)), 0)
