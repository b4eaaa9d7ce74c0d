"""Where the checkpoint of a grid of trials is, and what makes it that grid's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from learned_optimization import filesystem
from learned_optimization.baselines.result_format import SCHEMA_VERSION
from learned_optimization.baselines.trials import TrialGrid, versions
from learned_optimization.baselines.utils import get_root_baseline_dir
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import Checkpoint
from learned_optimization.tasks.base import setting_of

_FOLDER = ".checkpoints"


def checkpoint_of(grid: TrialGrid, should_stop: Callable[[], bool]) -> Checkpoint:
    """The checkpoint of a grid, below `LOPT_BASELINE_DIR`.

    It belongs to these very trials under these versions of the packages: under
    others the run begins anew, since its curve might differ. It is renewed every
    minute, or every `LOPT_CHECKPOINT_SECONDS`.

    Args:
      grid: the trials.
      should_stop: asked after every chunk of the run.

    Raises:
      LoptError: if `LOPT_CHECKPOINT_SECONDS` is not a number of seconds.
    """
    identity = _identity(grid)
    name = f"{grid_name(grid)}.npz"
    path = filesystem.join(get_root_baseline_dir(), _FOLDER, name)
    checkpoint = Checkpoint(path, identity, should_stop=should_stop)
    if seconds := os.environ.get("LOPT_CHECKPOINT_SECONDS"):
        checkpoint.seconds_between = _seconds(seconds)
    return checkpoint


def grid_name(grid: TrialGrid) -> str:
    """A file's name that the same trials always have, under the same versions."""
    return hashlib.sha256(_identity(grid).encode()).hexdigest()[:24]


def _identity(grid: TrialGrid) -> str:
    first = grid.rows[0][0]
    return "\n".join(
        [
            f"schema {SCHEMA_VERSION}",
            *versions(),
            f"{first.task_name} {setting_of(first.task)}",
            f"{first.eval_task_name} {setting_of(first.eval_task)}",
            f"{first.plan} synthetic={first.is_synthetic}",
            *(f"{t.opt_name} {t.opt.name} seed {t.seed}" for t in grid.trials),
        ]
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise LoptError(
            "LOPT_CHECKPOINT_SECONDS must be a number of seconds of at least 0, "
            f"got {text!r}."
        )
    return seconds
