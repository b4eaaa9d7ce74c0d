"""Writes a result file for each trial that was trained elsewhere.

They lie where those of one's own trials lie, but for the name of the innermost folder:
it says how many steps there are, and `imported` in place of how often and on how many
batches they are evaluated, which is not known. So no sweep takes them for its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.files import file_name
from learned_optimization.baselines.results.format import Result
from learned_optimization.npz import write_npz


def write_result_files(task_name: str, set_name: str, archive: Result) -> set[str]:
    """Write the result file of each trial of an archive.

    Args:
      task_name: the task.
      set_name: the set; trials of two sets have files of their own, even where they
        are of one optimizer and seed.
      archive: key to array `[num_configs, num_seeds, ...]`.

    Returns:
      The paths written.

    Raises:
      ResultError: if one cannot be written.
    """
    written = set()
    for place in np.ndindex(archive["seed"].shape):
        trial = {key: values[place] for key, values in archive.items()}
        name = file_name(_identity(set_name, trial["seed"]))
        path = filesystem.join(_folder(task_name, trial), name)
        write_npz(path, {**trial, "task_name": np.asarray(task_name)})
        written.add(path)
    return written


def delete_result_files(
    task_name: str, set_name: str, archive: Result, kept: Collection[str]
) -> None:
    """Delete the result files of trials of an imported archive.

    Args:
      task_name: the task.
      set_name: the set.
      archive: key to array, with `opt_name`, `num_steps` and `seed` at least.
      kept: paths that stay.

    Raises:
      ResultError: if one cannot be deleted.
    """
    keys = ("opt_name", "num_steps", "seed")
    for place in np.ndindex(archive["seed"].shape):
        trial = {key: archive[key][place] for key in keys}
        ending = _ending(file_name(_identity(set_name, trial["seed"])))
        for path in filesystem.list_files(_folder(task_name, trial), ending):
            if path not in kept:
                filesystem.remove_file(path)


def _folder(task_name: str, trial: Result) -> str:
    plan = f"{int(trial['num_steps'])}_imported"
    return filesystem.join(
        get_root_baseline_dir(), task_name, str(trial["opt_name"]), plan
    )


def _identity(set_name: str, seed: np.ndarray) -> str:
    return hashlib.sha256(f"{set_name}\n{int(seed)}".encode()).hexdigest()


def _ending(name: str) -> str:
    """Return what names of a trial's files have in common, whenever written."""
    return name[name.rindex("_") :]
