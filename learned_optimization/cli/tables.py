"""Tables on the terminal, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console

# Wide enough for every column where the output is no terminal.
_MIN_WIDTH = 120


def json_option(keys: str) -> Any:
    """Return the option `--json` of a list, whose objects have these keys."""
    text = f"Print a JSON list instead, one object per row: {keys}."
    return typer.Option("--json", help=text)


def print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a JSON list of objects."""
    typer.echo(json.dumps(list(rows), indent=1))


def console() -> Console:
    """Return a console that does not cut tables where there is no terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=max(plain.width, _MIN_WIDTH))


def size(num_bytes: float) -> str:
    """Return a number of bytes as people write it, e.g. `1.5 MB`."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} GB"
