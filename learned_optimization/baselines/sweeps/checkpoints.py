"""Where the checkpoint of a grid of trials is, and how the two are matched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable

from learned_optimization import filesystem, numerics
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.format import SCHEMA_VERSION
from learned_optimization.baselines.sweeps.grids import TrialGrid, make_grids
from learned_optimization.baselines.sweeps.trials import Trial, versions
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import Checkpoint
from learned_optimization.tasks.task import identity_of
from learned_optimization.training.checkpoint import read_identity

_FOLDER = ".checkpoints"
# The lines of an identity that name a trial begin so.
_TRIAL = "trial "


def checkpoint_of(grid: TrialGrid, should_stop: Callable[[], bool]) -> Checkpoint:
    """Return the checkpoint of a grid, below `LOPT_BASELINE_DIR`.

    It is valid for exactly these trials with these versions of the packages and this
    configuration of jax: with others the run begins again, since its curve might
    differ. It is written again
    every minute, or every `LOPT_CHECKPOINT_SECONDS`.

    Args:
      grid: the trials.
      should_stop: asked after every chunk of the run.

    Raises:
      LoptError: if `LOPT_CHECKPOINT_SECONDS` is not a number of seconds.
    """
    path = filesystem.join(_folder(), f"{grid_name(grid)}.npz")
    checkpoint = Checkpoint(path, _identity(grid), should_stop=should_stop)
    if seconds := os.environ.get("LOPT_CHECKPOINT_SECONDS"):
        checkpoint.seconds_between = _seconds(seconds)
    return checkpoint


def remove_finished(trials: Iterable[Trial]) -> None:
    """Delete the checkpoints of those trials that all have results.

    A sweep that is killed while it writes the results of a grid leaves the grid's
    checkpoint behind, and no run would go on from it: the trials still missing are
    another grid. A checkpoint that has any other trial stays, since it may be of a
    run under way, say of another shard.

    Args:
      trials: trials that have results.
    """
    paths = filesystem.list_files(_folder(), ".npz")
    if not paths:
        return
    finished = {name for grid in make_grids(trials) for name in _names(grid)}
    for path in paths:
        lines = (read_identity(path) or "").splitlines()
        names = {line for line in lines if line.startswith(_TRIAL)}
        if names and names <= finished:
            filesystem.remove_file(path)


def grid_name(grid: TrialGrid) -> str:
    """Return a file name that depends on the trials and package versions alone."""
    return _digest(_identity(grid))


def _identity(grid: TrialGrid) -> str:
    first = [f"schema {SCHEMA_VERSION}", *versions(), *numerics.record().splitlines()]
    return "\n".join([*first, *_names(grid)])


def _names(grid: TrialGrid) -> list[str]:
    """Return a line for each trial of a grid, which tells it from every other trial."""
    first = grid.first
    identity = "\n".join(
        [
            f"{first.task_name} {identity_of(first.task)}",
            f"{first.eval_task_name} {identity_of(first.eval_task)}",
            f"{first.plan} synthetic={first.is_synthetic}",
        ]
    )
    start = f"{_TRIAL}{_digest(identity)}"
    return [f"{start} {t.opt_name} {t.opt.name} seed {t.seed}" for t in grid.trials]


def _folder() -> str:
    return filesystem.join(get_root_baseline_dir(), _FOLDER)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


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
