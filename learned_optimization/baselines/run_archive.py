"""Archives the trials of a set, configured by gin; waits until all are there.

    python -m learned_optimization.baselines.run_archive \
        --gin_bindings="wait_until_ready_then_archive_task.task_name='MyTask'" \
        --gin_bindings="wait_until_ready_then_archive_task.hparam_set_name='AdamLR_10000_R5'"

`lopt archive` does the same without waiting.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from learned_optimization import configuration

# gin text names sets as soon as this module is imported.
from learned_optimization.baselines import hparam_sets  # noqa: F401
from learned_optimization.baselines.results.archiving import (
    maybe_archive_hparam_set,
    maybe_get_hparam_set,
    wait_until_ready_then_archive_task,
)
from learned_optimization.cli.gin_command import run_gin_command

__all__ = [
    "main",
    "maybe_archive_hparam_set",
    "maybe_get_hparam_set",
    "wait_until_ready_then_archive_task",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return run_gin_command(
        argv,
        "learned_optimization.baselines.run_archive",
        "Archive the trials of a set once all of them are there.",
        partial(configuration.call_bound, wait_until_ready_then_archive_task),
    )


if __name__ == "__main__":
    sys.exit(main())
