"""Tables as files: Parquet, CSV and JSON, each there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from learned_optimization import filesystem
from learned_optimization.baselines.exporting.escapes import csv_text
from learned_optimization.errors import UnknownNameError

_ROWS_AT_ONCE = 10_000

# Its functions are made as it is imported, which type checkers do not see.
pc: Any = pyarrow.compute


def write_table(table: pa.Table, path: str | os.PathLike, kind: str) -> None:
    """Write a table.

    Args:
      table: any table of `to_frame`.
      path: local path or URL; what is there is replaced.
      kind: `parquet` (with every type, readable by all libraries), `csv` (nulls
        are empty, others `NaN` and `inf`; text that a spreadsheet would take for a
        formula has a single quote before it) or `json` (a list of objects, one per row
        and line; JSON has no NaN or infinity: they are null).

    Raises:
      UnknownNameError: if the kind is none of these.
      ResultError: if the file cannot be written; nothing is changed then.
    """
    if kind not in _WRITERS:
        raise UnknownNameError("kind of file", kind, _WRITERS)
    filesystem.write_whole(path, lambda file: _WRITERS[kind](table, file))


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    pyarrow.parquet.write_table(table, file)


def _write_csv(table: pa.Table, file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(map(csv_text, table.column_names))
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        rows.writerows(zip(*map(_cells, batch.columns), strict=True))
    text.detach()


def _cells(column: pa.Array) -> list[str | None]:
    text = column.cast(pa.string())
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return [t if t is None else csv_text(t) for t in text.to_pylist()]
    if pa.types.is_floating(column.type):
        # In a form that polars and pandas both read as a number.
        text = pc.if_else(pc.is_nan(column), "NaN", text)
    return text.to_pylist()


def _write_json(table: pa.Table, file: IO[bytes]) -> None:
    separator = b"[\n"
    for batch in _plain(table).to_batches(max_chunksize=_ROWS_AT_ONCE):
        for row in _finite(batch).to_pylist():
            file.write(separator + json.dumps(row, allow_nan=False).encode())
            separator = b",\n"
    file.write(b"\n]\n")


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with strings in place of dictionaries."""
    fields = [
        field.with_type(field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _finite(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with null in place of NaN and infinity."""
    columns = [
        pc.if_else(pc.is_finite(column), column, None)
        if pa.types.is_floating(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "json": _write_json,
}
