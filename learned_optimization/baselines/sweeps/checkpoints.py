"""Where the checkpoint of a grid of trials is, and how the two are matched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence

from learned_optimization import filesystem, numerics
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.format import SCHEMA_VERSION
from learned_optimization.baselines.results.tidying import tidying
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


def grids_of(missing: Sequence[Trial], trials: Iterable[Trial]) -> list[TrialGrid]:
    """Arrange trials without results into grids: those of checkpoints as they were.

    A grid goes on from its checkpoint even where some of its trials have results by
    now, or others lost theirs: its curves depend a little on which trials it has.

    Args:
      missing: the trials without results; each is in one of the grids.
      trials: all trials of the sweep.
    """
    left = dict.fromkeys(missing)
    saved, grids = _identities().values() if left else (), []
    named = _by_name(trials) if saved else {}
    for identity in saved:
        own = [named[name] for name in _trials_of(identity) if name in named]
        adopted = make_grids(own) if any(trial in left for trial in own) else []
        if len(adopted) == 1 and _identity(adopted[0]) == identity:
            grids += adopted
            left = {trial: None for trial in left if trial not in own}
    return grids + make_grids(left)


def remove_finished(trials: Iterable[Trial]) -> None:
    """Delete the checkpoints of those trials that all have results.

    Trials may get results in another grid than a checkpoint's, say in a sweep of
    some of them. A checkpoint that has any other trial stays, since it may be of a
    run under way, say of another shard.

    Args:
      trials: trials that have results.
    """
    saved = _identities()
    finished = _by_name(trials).keys() if saved else set()
    for path, identity in saved.items():
        names = set(_trials_of(identity))
        if names and names <= finished:
            with tidying():
                filesystem.remove_file(path)


def _identities() -> dict[str, str]:
    """Return the identity of each checkpoint, by its path."""
    paths = filesystem.list_files(_folder(), ".npz")
    return {path: read_identity(path) or "" for path in paths}


def _trials_of(identity: str) -> list[str]:
    return [line for line in identity.splitlines() if line.startswith(_TRIAL)]


def _by_name(trials: Iterable[Trial]) -> dict[str, Trial]:
    return {
        name: trial
        for grid in make_grids(trials)
        for name, trial in zip(_names(grid), grid.trials, strict=True)
    }


def grid_name(grid: TrialGrid) -> str:
    """Return a file name that depends on the trials and package versions alone."""
    return _digest(_identity(grid))


def _identity(grid: TrialGrid) -> str:
    decided_by = [*versions(grid.first.opt), *numerics.record().splitlines()]
    return "\n".join([f"schema {SCHEMA_VERSION}", *decided_by, *_names(grid)])


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
