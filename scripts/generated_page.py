"""Write a page of the documentation, or check it: for the scripts that make pages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def main(path: Path, page: Callable[[], str]) -> None:
    """Write a page, or with `--check` compare it with a fresh one."""
    parser = argparse.ArgumentParser(description=f"Make docs/{path.name}.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args().check:
        path.write_text(page())
    elif path.read_text() != page():
        sys.exit(f"{path} is out of date: run python {sys.argv[0]}")
