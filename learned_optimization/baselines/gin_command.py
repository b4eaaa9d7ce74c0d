"""The command line of modules that are configured by gin alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from learned_optimization import configuration
from learned_optimization.errors import LoptError


def run_gin_command(
    argv: Sequence[str] | None, module: str, description: str, run: Callable[[], None]
) -> int:
    """Reads `--gin_file` and `--gin_bindings`, both repeatable, then runs.

    Args:
      argv: the arguments; those of the process if None.
      module: what the user typed after `python -m`.
      description: one line for `--help`.
      run: called once gin is configured.

    Returns:
      The exit code: 2 after an error the user can mend, which is one line.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description
    )
    parser.add_argument(
        "--gin_file", action="append", default=[], help="a gin file; repeatable"
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        help="one gin binding, e.g. Adam.learning_rate=0.001; repeatable",
    )
    args = parser.parse_args(argv)
    try:
        configuration.load(args.gin_file, args.gin_bindings)
        run()
    except LoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
