"""Where the checkpoint of a grid of trials is, and what makes it that grid's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from learned_optimization import filesystem
from learned_optimization.baselines.trials import SCHEMA_VERSION, TrialGrid, versions
from learned_optimization.baselines.utils import get_root_baseline_dir
from learned_optimization.eval_training import Checkpoint

_FOLDER = ".checkpoints"


def checkpoint_of(grid: TrialGrid, should_stop: Callable[[], bool]) -> Checkpoint:
    """The checkpoint of a grid, below `LOPT_BASELINE_DIR`.

    It belongs to these very trials under these versions of the packages: under
    others the run begins anew, since its curve might differ.

    Args:
      grid: the trials.
      should_stop: asked after every chunk of the run.
    """
    first = grid.rows[0][0]
    identity = "\n".join(
        [
            f"schema {SCHEMA_VERSION}",
            *versions(),
            f"{first.task_name} {first.task!r}",
            f"{first.eval_task_name} {first.eval_task!r}",
            f"{first.plan} synthetic={first.is_synthetic}",
            *(f"{t.opt_name} {t.opt.name} seed {t.seed}" for t in grid.trials),
        ]
    )
    digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
    path = filesystem.join(get_root_baseline_dir(), _FOLDER, f"{digest}.npz")
    return Checkpoint(path, identity, should_stop=should_stop)
