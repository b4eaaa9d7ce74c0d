"""Files of finished curves, whose results are not all written yet: where they are.

`sweeps.finished` writes them, and their results.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir, results_dir
from learned_optimization.baselines.results.index import trial_entries
from learned_optimization.cache import cache_dir
from learned_optimization.errors import DamagedFileError, LoptError, ResultError
from learned_optimization.npz import read_npz
from learned_optimization.training.plan import RunPlan

_FOLDER = ".finished"


def folders() -> list[str]:
    """Return where finished curves are: with the results, or else on this machine."""
    root = get_root_baseline_dir()
    name = os.path.abspath(root) if filesystem.is_local(root) else root
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:24]
    return [filesystem.join(root, _FOLDER), str(cache_dir() / "finished" / digest)]


def trials_of(path: str) -> list[tuple[str, int]]:
    """Return folder and seed of each trial that a file has the curves of.

    Raises:
      DamagedFileError: if the file holds none.
      ResultError: if it cannot be read.
    """
    keys = ("task_name", "opt_name", "seed", *RunPlan(1).as_keys())
    arrays = read_npz(path, keys)
    try:
        rows = zip(*(arrays[key].tolist() for key in keys), strict=True)
        return [
            (results_dir(task, opt, RunPlan(*plan)), int(seed))
            for task, opt, seed, *plan in rows
        ]
    except (LoptError, TypeError, ValueError) as error:
        raise DamagedFileError(path, "it holds no finished trials") from error


def only_of(trials: Callable[[str, int], bool]) -> list[str]:
    """Return paths of those files that nobody needs but for some trials.

    Of the other trials in such a file each has a result. None is behind a link to a
    folder.

    Args:
      trials: whether the trial of a folder and a seed is one of those.
    """
    found = []
    for root, folder in zip(
        (get_root_baseline_dir(), str(cache_dir())), folders(), strict=True
    ):
        for path in filesystem.list_files(folder, ".npz"):
            # Of a file that cannot be read, nobody knows; it stays.
            with suppress(ResultError):
                if filesystem.is_behind_link(path, root):
                    continue
                of_file = trials_of(path)
                if any(trials(*trial) for trial in of_file) and all(
                    trials(*trial) or has_result(*trial) for trial in of_file
                ):
                    found.append(path)
    return found


def has_result(folder: str, seed: int) -> bool:
    """Return whether a trial has a result file that can be read.

    Raises:
      ResultError: if its folder cannot be reached.
    """
    entries = trial_entries(folder)
    return any(entry.seed == seed and entry.status != "bad" for entry in entries)
