"""Reads tables of curves: CSV and parquet, column by column."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from learned_optimization import filesystem
from learned_optimization.errors import LoptError, TooLargeError
from learned_optimization.npz.limits import max_read_bytes

Table = Mapping[str, Sequence[Any]]
"""Column name to its values, all columns of one length; of CSV they are text."""

_MAX_BYTES = 1 << 30
_READERS = (".csv", ".parquet")
_ROWS_AT_ONCE = 1024


def read_table(path: str) -> tuple[Table, bytes]:
    """Return a table, and the bytes of its file.

    Args:
      path: local path or URL, its name ending in `.csv` or `.parquet`.

    Raises:
      LoptError: if it is of another kind, or no table.
      ResultError: if it is missing or cannot be reached.
    """
    ending = posixpath.splitext(path)[1].lower()
    if ending not in _READERS:
        raise LoptError(
            f"cannot read curves from {path}: its name must end in "
            f"{' or '.join(_READERS)}."
        )
    content = filesystem.read_all(path, _MAX_BYTES)
    table = _of_csv(path, content) if ending == ".csv" else _of_parquet(path, content)
    if not table or not len(next(iter(table.values()))):
        raise LoptError(f"{path} holds no rows: there are no curves to import.")
    return table, content


def _of_csv(path: str, content: bytes) -> Table:
    try:
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LoptError(f"{path} is no CSV: {error}.") from error
    if not rows:
        return {}
    header, *rows = rows
    if twice := [name for i, name in enumerate(header) if name in header[:i]]:
        raise LoptError(f"{path} has the column {twice[0]!r} twice.")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise LoptError(
                f"{path}, line {number}: it has {len(row)} values, and the header "
                f"{len(header)}."
            )
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _of_parquet(path: str, content: bytes) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise LoptError(
            f"{path} cannot be read: parquet needs pyarrow, pip install "
            "'optimizer-baselines[data]'."
        ) from error
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(content))
        table: dict[str, list[Any]] = {name: [] for name in file.schema_arrow.names}
        limit, num_bytes = max_read_bytes(len(content)), 0
        # What repeats takes no room in the file, and its metadata do not say how much.
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            num_bytes += batch.nbytes
            if num_bytes > limit:
                raise TooLargeError(path, f"it holds more than {limit:,} bytes")
            for name, column in batch.to_pydict().items():
                table[name] += column
    except (pyarrow.ArrowException, OSError) as error:
        raise LoptError(f"{path} is no parquet file: {error}.") from error
    return table
