"""Archives the trials of a set, configured by gin; waits until all are there.

    python -m learned_optimization.baselines.run_archive \
        --gin_bindings="wait_until_ready_then_archive_task.task_name='MyTask'" \
        --gin_bindings="wait_until_ready_then_archive_task.hparam_set_name='AdamLR_10000_R5'"

`lopt archive` does the same without waiting.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from learned_optimization import configuration
from learned_optimization.baselines.archiving import (
    maybe_archive_hparam_set,
    maybe_get_hparam_set,
    wait_until_ready_then_archive_task,
)
from learned_optimization.baselines.run_trainer import add_gin_arguments
from learned_optimization.errors import LoptError

__all__ = [
    "main",
    "maybe_archive_hparam_set",
    "maybe_get_hparam_set",
    "wait_until_ready_then_archive_task",
]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m learned_optimization.baselines.run_archive",
        description="Archive the trials of a set once all of them are there.",
    )
    add_gin_arguments(parser)
    args = parser.parse_args(argv)
    try:
        configuration.load(args.gin_file, args.gin_bindings)
        configuration.call_bound(wait_until_ready_then_archive_task)
    except LoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
