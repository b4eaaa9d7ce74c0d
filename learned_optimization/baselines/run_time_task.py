"""Measures how fast a task trains here, configured by gin, and writes it down.

    python -m learned_optimization.baselines.run_time_task \
        --gin_bindings="run_many_eval_and_save.task=@ImageMLP_FashionMnist8_Relu32()" \
        --gin_bindings="run_many_eval_and_save.save_dir='timings'"

See `task_timing` for what is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from learned_optimization import configuration
from learned_optimization.baselines.task_timing import run_many_eval_and_save
from learned_optimization.cli.gin_command import run_gin_command

__all__ = ["main", "run_many_eval_and_save"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return run_gin_command(
        argv,
        "learned_optimization.baselines.run_time_task",
        "Measure how fast a task trains here.",
        lambda: print(configuration.call_bound(run_many_eval_and_save)),
    )


if __name__ == "__main__":
    sys.exit(main())
