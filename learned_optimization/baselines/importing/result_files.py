"""Writes a result file for each trial that was trained elsewhere.

They lie where those of one's own trials lie, but for the name of the innermost folder:
it says how many steps there are, and `imported` in place of how often and on how many
batches they are evaluated, which is not known. So no sweep takes them for its own.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.files import CURVES
from learned_optimization.baselines.results.format import Result
from learned_optimization.npz import write_npz

_ID_CHARS = 10


def write_result_files(task_name: str, set_name: str, archive: Result) -> list[str]:
    """Write the result file of each trial of an archive, in place of an earlier one.

    Args:
      task_name: the task.
      set_name: the set; trials of two sets have files of their own, even where they
        are of one optimizer and seed.
      archive: key to array `[num_configs, num_seeds, ...]`.

    Returns:
      The paths written, one configuration after the other.

    Raises:
      ResultError: if one cannot be written.
    """
    now = datetime.now().strftime("%Y%m%d_%H%M%S")
    written = []
    for place in np.ndindex(archive["seed"].shape):
        trial = {key: values[place] for key, values in archive.items()}
        trial["task_name"] = np.asarray(task_name)
        earlier = _files_of(task_name, set_name, trial)
        ending = _ending(set_name, trial)
        path = filesystem.join(_folder(task_name, trial), f"{now}{ending}")
        write_npz(path, trial)
        written.append(path)
        _remove(set(earlier) - {path})
    return written


def delete_result_files(
    task_name: str, set_name: str, archive: Result, kept: list[str]
) -> None:
    """Delete the result files of trials of an imported archive.

    Args:
      task_name: the task.
      set_name: the set.
      archive: key to array, with `opt_name`, `num_steps` and `seed` at least.
      kept: paths that stay.
    """
    for place in np.ndindex(archive["seed"].shape):
        trial = {key: values[place] for key, values in archive.items()}
        _remove(set(_files_of(task_name, set_name, trial)) - set(kept))


def _folder(task_name: str, trial: Result) -> str:
    plan = f"{int(trial['num_steps'])}_imported"
    return filesystem.join(
        get_root_baseline_dir(), task_name, str(trial["opt_name"]), plan
    )


def _ending(set_name: str, trial: Result) -> str:
    text = f"{set_name}\n{int(trial['seed'])}"
    return f"_{hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]}.{CURVES}"


def _files_of(task_name: str, set_name: str, trial: Result) -> list[str]:
    return filesystem.list_files(_folder(task_name, trial), _ending(set_name, trial))


def _remove(paths: set[str]) -> None:
    for path in sorted(paths):
        filesystem.remove_file(path)
