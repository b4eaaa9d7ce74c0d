"""Gathers the trials of a set into one archive, or says which are missing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from learned_optimization import filesystem
from learned_optimization.baselines.hparam_sets import HParamSet, get_hparam_set
from learned_optimization.baselines.index import TrialEntry, bad_entry, remember
from learned_optimization.baselines.repetitions import check_setting, fill, scan
from learned_optimization.baselines.result_format import Result
from learned_optimization.baselines.settings import make_optimizer
from learned_optimization.baselines.stacking import Paths, stack, write_stacked
from learned_optimization.baselines.user_files import on_command_line
from learned_optimization.baselines.utils import get_baseline_archive_path
from learned_optimization.configurable import configurable, configurable_names
from learned_optimization.errors import DamagedFileError, LoptError, ResultError
from learned_optimization.tasks import registry

_T = TypeVar("_T")


@dataclass(frozen=True)
class MissingResults:
    """What one configuration of a set lacks.

    Attributes:
      save_dir: folder of the configuration's results.
      seeds: seeds that have no readable result there.
      unreadable: files there that cannot be read.
    """

    save_dir: str
    seeds: tuple[int, ...]
    unreadable: tuple[str, ...]


def gather(
    task_name: str, hparam_set: HParamSet
) -> tuple[list[list[TrialEntry]], list[MissingResults]]:
    """Finds the results of a set on a task.

    Returns:
      The results found, a list of repetitions for each configuration, and what
      is missing. A file that cannot be read is as good as missing.
    """
    save_dirs = hparam_set.save_dirs(task_name)
    entries_of = scan(folder for folder, _ in save_dirs)
    found, missing = [], []
    for save_dir, repetitions in save_dirs:
        entries = entries_of[save_dir]
        filled = fill(entries, range(repetitions), synthetic=True)
        found.append([filled[seed] for seed in sorted(filled)])
        lacking = tuple(seed for seed in range(repetitions) if seed not in filled)
        if lacking:
            unreadable = tuple(e.path for e in entries if e.status == "bad")
            missing.append(MissingResults(save_dir, lacking, unreadable))
    return found, missing


def maybe_get_hparam_set(task_name: str, hparam_set_name: str) -> Result | None:
    """The stacked results of a set on a task, or None if any is missing.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.

    Returns:
      Result key to array `[num_configs, num_seeds, ...]`.
    """
    return _use_all(task_name, get_hparam_set(hparam_set_name), [], stack)


def maybe_archive_hparam_set(task_name: str, hparam_set_name: str) -> bool:
    """Archives a set on a task if it is complete; returns whether it was."""
    hparam_set = get_hparam_set(hparam_set_name)
    return _archive(task_name, hparam_set, []) is not None


def archive(task_name: str, hparam_set: HParamSet) -> str:
    """Archives a complete set on a task.

    Returns:
      The path written.

    Raises:
      ResultError: naming what is missing, or results of another setting;
        nothing is written then.
    """
    missing: list[MissingResults] = []
    path = _archive(task_name, hparam_set, missing)
    if path is None:
        raise ResultError(describe_missing(task_name, hparam_set, missing))
    return path


def _archive(
    task_name: str, hparam_set: HParamSet, missing: list[MissingResults]
) -> str | None:
    path = get_baseline_archive_path(task_name, hparam_set.name)

    def write(paths: Paths) -> str:
        write_stacked(path, paths)
        return path

    return _use_all(task_name, hparam_set, missing, write)


def _use_all(
    task_name: str,
    hparam_set: HParamSet,
    missing: list[MissingResults],
    use: Callable[[Paths], _T],
) -> _T | None:
    """What becomes of the results of a set, or None if any is missing; notes which."""
    # Until now no more than their beginnings may have been read: a file that turns
    # out to be damaged is missing, and another may stand in for it.
    while (found := _complete(task_name, hparam_set, missing)) is not None:
        try:
            return use([[entry.path for entry in row] for row in found])
        except DamagedFileError as error:
            info = filesystem.info(error.path)
            remember(info, bad_entry(info, error))
    return None


def _complete(
    task_name: str, hparam_set: HParamSet, missing: list[MissingResults]
) -> list[list[TrialEntry]] | None:
    """The results of a set, or None if any is missing; notes which."""
    found, missing[:] = gather(task_name, hparam_set)
    if missing:
        return None
    for (folder, _), setting, row in zip(
        hparam_set.save_dirs(task_name), hparam_set.hparams, found, strict=True
    ):
        opt = make_optimizer(hparam_set.optimizer, setting)
        check_setting(folder, row, opt.name)
    if len({entry.synthetic for row in found for entry in row}) > 1:
        raise ResultError(
            "some results were trained on synthetic data (LOPT_SYNTHETIC_DATA=1) "
            "and some on real data: they do not belong in one archive. Delete one kind."
        )
    return found


def describe_missing(
    task_name: str, hparam_set: HParamSet, missing: Iterable[MissingResults]
) -> str:
    """One message: how many trials are missing, which, and what to do."""
    missing = list(missing)
    count = sum(len(m.seeds) for m in missing)
    lines = [
        line
        for m in missing
        for line in (
            f"  {m.save_dir}: seeds {', '.join(map(str, m.seeds))}",
            *(f"    cannot be read: {path}" for path in m.unreadable),
        )
    ]
    return (
        f"{count} of {hparam_set.num_trials} trials of {hparam_set.name} on "
        f"{task_name} are missing; run `lopt sweep {task_name} "
        f"{on_command_line(hparam_set.name)}`.\n" + "\n".join(lines)
    )


@configurable("learned_optimization.baselines.run_archive")
def wait_until_ready_then_archive_task(
    task_name: str,
    hparam_set_name: str,
    poll_seconds: float = 60.0,
    timeout_seconds: float | None = None,
) -> None:
    """Archives a set on a task as soon as all its results are there.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.
      poll_seconds: seconds between two looks.
      timeout_seconds: give up after this long; never if None.

    Raises:
      LoptError: if a name or number is wrong, or when the time is up, naming
        what is still missing.
    """
    hparam_set = get_hparam_set(hparam_set_name)
    if task_name not in configurable_names():
        registry.get(task_name)
    for name, seconds in (("poll", poll_seconds), ("timeout", timeout_seconds)):
        if seconds is not None and not (
            isinstance(seconds, (int, float)) and seconds > 0
        ):
            raise LoptError(f"{name}_seconds must be above 0, got {seconds!r}.")
    deadline = math.inf
    if timeout_seconds is not None:
        deadline = time.monotonic() + timeout_seconds
    while not maybe_archive_hparam_set(task_name, hparam_set_name):
        left = deadline - time.monotonic()
        if left <= 0:
            _, missing = gather(task_name, hparam_set)
            raise LoptError(
                f"gave up after {timeout_seconds:g} s: "
                + describe_missing(task_name, hparam_set, missing)
            )
        time.sleep(min(poll_seconds, left))
