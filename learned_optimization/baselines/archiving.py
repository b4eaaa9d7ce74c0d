"""Gathers the trials of a set into one archive, or says which are missing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.hparam_sets import HParamSet, get_hparam_set
from learned_optimization.baselines.repetitions import (
    check_setting,
    fill,
    is_synthetic,
    scan,
)
from learned_optimization.baselines.settings import make_optimizer
from learned_optimization.baselines.user_files import on_command_line
from learned_optimization.baselines.utils import Result, write_archive
from learned_optimization.configurable import configurable, configurable_names
from learned_optimization.errors import LoptError, ResultError
from learned_optimization.tasks import registry


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
) -> tuple[list[list[Result]], list[MissingResults]]:
    """Loads the results of a set on a task.

    Returns:
      The results found, a list of repetitions for each configuration, and what
      is missing. A file that cannot be read is as good as missing.
    """
    found, missing = [], []
    for save_dir, repetitions in hparam_set(task_name)[1]:
        results, unreadable = scan(save_dir)
        filled = fill(results, range(repetitions), synthetic=True)
        found.append([filled[seed] for seed in sorted(filled)])
        lacking = tuple(seed for seed in range(repetitions) if seed not in filled)
        if lacking:
            missing.append(MissingResults(save_dir, lacking, tuple(unreadable)))
    return found, missing


def stack(results: list[list[Result]]) -> Result:
    """Stacks results `[configs][seeds]` into arrays with those leading axes.

    Keys that not every result has are left out.

    Raises:
      ResultError: if the same key has different shapes, or results of synthetic
        and of real data would stand side by side.
    """
    everything = [result for row in results for result in row]
    if len({is_synthetic(result) for result in everything}) > 1:
        raise ResultError(
            "some results were trained on synthetic data (LOPT_SYNTHETIC_DATA=1) "
            "and some on real data: they do not belong in one archive. Delete one kind."
        )
    keys = [k for k in everything[0] if all(k in r for r in everything)]
    stacked = {}
    for key in keys:
        shapes = {result[key].shape for result in everything}
        if len(shapes) > 1:
            raise ResultError(
                f"results differ in the shape of {key!r}: {sorted(shapes)}. "
                "They come from different settings and cannot share an archive."
            )
        stacked[key] = np.stack([np.stack([r[key] for r in row]) for row in results])
    return stacked


def maybe_get_hparam_set(task_name: str, hparam_set_name: str) -> Result | None:
    """The stacked results of a set on a task, or None if any is missing.

    Args:
      task_name: the task's name.
      hparam_set_name: the set's name.

    Returns:
      Result key to array `[num_configs, num_seeds, ...]`.
    """
    results, missing = gather(task_name, get_hparam_set(hparam_set_name))
    return None if missing else stack(results)


def maybe_archive_hparam_set(task_name: str, hparam_set_name: str) -> bool:
    """Archives a set on a task if it is complete; returns whether it was."""
    arrays = maybe_get_hparam_set(task_name, hparam_set_name)
    if arrays is None:
        return False
    write_archive(task_name, hparam_set_name, arrays)
    return True


def archive(task_name: str, hparam_set: HParamSet) -> str:
    """Archives a complete set on a task.

    Returns:
      The path written.

    Raises:
      ResultError: naming what is missing, or results of another setting;
        nothing is written then.
    """
    results, missing = gather(task_name, hparam_set)
    if missing:
        raise ResultError(describe_missing(task_name, hparam_set, missing))
    for (folder, _), setting, row in zip(
        hparam_set(task_name)[1], hparam_set.hparams, results, strict=True
    ):
        opt = make_optimizer(hparam_set.optimizer, setting)
        check_setting(folder, row, opt.name)
    return write_archive(task_name, hparam_set.name, stack(results))


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
