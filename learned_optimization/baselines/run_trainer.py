"""Trains one task with one optimizer and writes the result file.

From a shell, configured by gin:

    python -m learned_optimization.baselines.run_trainer \
        --gin_bindings="inner_train_task.task=@ImageMLP_FashionMnist8_Relu32()" \
        --gin_bindings="inner_train_task.opt=@Adam()" \
        --gin_bindings="inner_train_task.num_steps=1000"
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from learned_optimization import configuration
from learned_optimization.baselines.inner_training import inner_train_task
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import EVAL_SPLITS, use_all_cores

__all__ = ["inner_train_task", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m learned_optimization.baselines.run_trainer",
        description="Train one task with one optimizer, configured by gin.",
    )
    add_gin_arguments(parser)
    args = parser.parse_args(argv)
    try:
        return run(args.gin_file, args.gin_bindings)
    except LoptError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> int:
    """Trains one trial, prints its final losses, returns the exit code.

    Raises:
      LoptError: if the configuration is wrong or its data is not at hand.
    """
    use_all_cores()
    configuration.load(gin_files, gin_bindings)
    result = configuration.call_bound(inner_train_task)
    assert result is not None
    for split in EVAL_SPLITS:
        print(f"{split:>12} loss {float(result[f'eval/{split}/loss'][-1]):.6g}")
    return 0


def add_gin_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the repeatable `--gin_file` and `--gin_bindings`."""
    parser.add_argument(
        "--gin_file", action="append", default=[], help="a gin file; repeatable"
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        help="one gin binding, e.g. Adam.learning_rate=0.001; repeatable",
    )


if __name__ == "__main__":
    sys.exit(main())
