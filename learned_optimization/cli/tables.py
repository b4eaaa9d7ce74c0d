"""Tables on the terminal, and the same as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import rich.console
import rich.table
import typer
from rich.cells import cell_len
from rich.segment import Segment, Segments
from rich.text import Text

from learned_optimization.cli.output import say
from learned_optimization.text import one_line, printable

# Wide enough for every column where the output is no terminal.
_MIN_WIDTH = 120


def json_option(keys: str) -> Any:
    """Return the option `--json` of a list, whose objects have these keys."""
    text = f"Print a JSON list instead, one object per row: {keys}."
    return typer.Option("--json", help=text)


def print_json(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    """Print rows as a JSON list of objects, or a single object."""
    say(json_text(rows))


def json_text(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    """Return rows as JSON: numbers that it does not have are null."""
    return json.dumps(_finite(rows), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the value with null for each number that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return None if is_odd else value


class Console(rich.console.Console):
    """A console that shows texts as they are: no markup of rich, no control characters.

    Args:
      **options: those of rich's own.
    """

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as rich prints it: every string comes through here."""
        return super().render_str(printable(text), **options)


class Table(rich.table.Table):
    """A table whose cells and title are one line each, whatever they hold."""

    def __init__(self, *, title: str | None = None, **options: Any):
        super().__init__(title=title and one_line(title), **options)

    def add_row(self, *cells: str, **options: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Add a row."""
        super().add_row(*map(one_line, cells), **options)


class GrowingTable:
    """A table that is printed row by row, for rows that take a while to be known.

    Args:
      out: where to.
      columns: the header of each, and whether it holds numbers.
      samples: rows as wide as those to come.
    """

    def __init__(
        self,
        out: rich.console.Console,
        columns: Mapping[str, bool],
        samples: Sequence[Sequence[str]],
    ):
        self._out, self._columns = out, columns
        self._widths = [
            max(cell_len(one_line(text)) for text in column)
            for column in zip(columns, *samples, strict=True)
        ]
        # A border and a space on both sides of each, and the last border.
        room = out.width - 3 * len(columns) - 1
        while sum(self._widths) > max(room, len(columns)):
            self._widths[self._widths.index(max(self._widths))] -= 1
        self._print(self._table(show_header=True), slice(None, -1))

    def add_row(self, *cells: str) -> None:
        """Print a row."""
        table = self._table()
        table.add_row(*cells)
        self._print(table, slice(1, -1))

    def close(self, *cells: str) -> None:
        """Print a last row apart from the others, and the lower edge."""
        table = self._table()
        table.add_row(*[""] * len(self._columns), end_section=True)
        table.add_row(*cells)
        # Without the edge and the row above the line between sections.
        self._print(table, slice(2, None))

    def _table(self, show_header: bool = False) -> Table:
        table = Table(show_header=show_header)
        for (name, is_number), width in zip(
            self._columns.items(), self._widths, strict=True
        ):
            justify = "right" if is_number else "left"
            table.add_column(name, width=width, justify=justify, overflow="fold")
        return table

    def _print(self, table: Table, lines: slice) -> None:
        for line in self._out.render_lines(table, pad=False)[lines]:
            self._out.print(Segments([*line, Segment.line()]), end="")


def console() -> Console:
    """Return a console that does not cut tables where there is no terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=max(plain.width, _MIN_WIDTH))


def is_live(console: rich.console.Console) -> bool:
    """Return whether what a console shows can be drawn over, as a bar is.

    A log file keeps every refresh. So does the cell of a notebook, whose `!lopt` has a
    terminal that is none: programs that a kernel starts know it by a variable.

    Args:
      console: where to.
    """
    return console.is_terminal and "JPY_PARENT_PID" not in os.environ


def size(num_bytes: float) -> str:
    """Return a number of bytes as people write it, e.g. `1.5 MB`."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} GB"
