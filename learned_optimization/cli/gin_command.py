"""The command line of modules that are configured by gin alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from learned_optimization import configuration
from learned_optimization.cli.advice import with_advice
from learned_optimization.cli.output import say
from learned_optimization.errors import LoptError


def run_gin_command(
    argv: Sequence[str] | None, module: str, description: str, run: Callable[[], None]
) -> int:
    """Configure gin as the flags say, then run.

    The flags are those of the published scripts, and `--skip_unknown`.

    Args:
      argv: the arguments; those of the process if None.
      module: what the user typed after `python -m`.
      description: one line for `--help`.
      run: called once gin is configured.

    Returns:
      The exit code: 2 after an error that the user can correct, which is one line.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description
    )
    parser.add_argument(
        "--gin_file",
        "--config_file",
        action="append",
        default=[],
        help="a gin file; repeatable",
    )
    parser.add_argument(
        "--gin_import",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module whose configurables are needed; repeatable",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        help="a gin binding, e.g. Adam.learning_rate=0.001; repeatable",
    )
    parser.add_argument(
        "--skip_unknown",
        action="store_true",
        help="leave out bindings of what is not known, as in files of other versions",
    )
    # Job files pass these two to every published script; here they mean nothing.
    parser.add_argument("--train_log_dir", help="not used: see LOPT_BASELINE_DIR")
    parser.add_argument("--task", type=int, help="not used: one process, one trial")
    args = parser.parse_args(argv)
    try:
        configuration.import_modules(args.gin_import)
        configuration.load(args.gin_file, args.gin_bindings, args.skip_unknown)
        run()
    except LoptError as error:
        say(f"error: {with_advice(error)}", err=True)
        return 2
    return 0
