"""Trains one task with one optimizer and writes the result file.

From a shell, configured by gin:

    python -m learned_optimization.baselines.run_trainer \
        --gin_bindings="inner_train_task.task=@ImageMLP_FashionMnist8_Relu32()" \
        --gin_bindings="inner_train_task.opt=@Adam()" \
        --gin_bindings="inner_train_task.num_steps=1000"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from learned_optimization import configuration
from learned_optimization.baselines.sweeps.inner_training import inner_train_task
from learned_optimization.cli.gin_command import run_gin_command
from learned_optimization.eval_training import EVAL_SPLITS, keep_compiled, use_all_cores

__all__ = ["inner_train_task", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return run_gin_command(
        argv,
        "learned_optimization.baselines.run_trainer",
        "Train one task with one optimizer, configured by gin.",
        train_and_print,
    )


def train_and_print() -> None:
    """Train the trial gin has configured, and print its seed and final losses.

    Raises:
      LoptError: if the configuration is wrong or the data is not available.
    """
    use_all_cores()
    keep_compiled()
    result = configuration.call_bound(inner_train_task)
    print(f"{'seed':>12} {int(result['seed'])}")
    for split in EVAL_SPLITS:
        print(f"{split:>12} loss {float(result[f'eval/{split}/loss'][-1]):.6g}")


if __name__ == "__main__":
    sys.exit(main())
