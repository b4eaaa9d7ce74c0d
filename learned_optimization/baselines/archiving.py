"""Gathers the trials of a set into one archive, or says which are missing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.hparam_sets import HParamSet, get_hparam_set
from learned_optimization.baselines.utils import (
    Result,
    load_baseline_results_from_dir,
    write_archive,
)
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, ResultError


@dataclass(frozen=True)
class MissingResults:
    """What one configuration of a set lacks.

    Attributes:
      save_dir: folder of the configuration's results.
      seeds: seeds that have no result there.
    """

    save_dir: str
    seeds: tuple[int, ...]


def gather(
    task_name: str, hparam_set: HParamSet
) -> tuple[list[list[Result]], list[MissingResults]]:
    """Loads the results of a set on a task.

    A repetition is filled by the result with its seed; a file that records no
    seed, as older ones do, fills any repetition left.

    Returns:
      The results found, a list of repetitions for each configuration, and what
      is missing.

    Raises:
      ResultError: if a file cannot be read.
    """
    found, missing = [], []
    for save_dir, repetitions in hparam_set(task_name)[1]:
        by_seed: dict[int, Result] = {}
        without_seed: list[Result] = []
        results = load_baseline_results_from_dir(save_dir)
        # Real data before synthetic, where there are both.
        for result in sorted(results, key=_is_synthetic):
            if "seed" in result:
                by_seed.setdefault(int(result["seed"]), result)
            else:
                without_seed.append(result)
        chosen, lacking = [], []
        for seed in range(repetitions):
            if seed in by_seed:
                chosen.append(by_seed[seed])
            elif without_seed:
                chosen.append(without_seed.pop(0))
            else:
                lacking.append(seed)
        found.append(chosen)
        if lacking:
            missing.append(MissingResults(save_dir, tuple(lacking)))
    return found, missing


def stack(results: list[list[Result]]) -> Result:
    """Stacks results `[configs][seeds]` into arrays with those leading axes.

    Keys that not every result has are left out.

    Raises:
      ResultError: if the same key has different shapes, or results of synthetic
        and of real data would stand side by side.
    """
    everything = [result for row in results for result in row]
    if len({_is_synthetic(result) for result in everything}) > 1:
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


def _is_synthetic(result: Result) -> bool:
    return bool(result.get("synthetic_data", False))


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
      ResultError: naming what is missing; nothing is written then.
    """
    results, missing = gather(task_name, hparam_set)
    if missing:
        raise ResultError(describe_missing(task_name, hparam_set, missing))
    return write_archive(task_name, hparam_set.name, stack(results))


def describe_missing(
    task_name: str, hparam_set: HParamSet, missing: Iterable[MissingResults]
) -> str:
    """One message: how many trials are missing, which, and what to do."""
    missing = list(missing)
    count = sum(len(m.seeds) for m in missing)
    lines = [f"  {m.save_dir}: seeds {', '.join(map(str, m.seeds))}" for m in missing]
    return (
        f"{count} of {hparam_set.num_trials} trials of {hparam_set.name} on "
        f"{task_name} are missing; run `lopt sweep {task_name} {hparam_set.name}`.\n"
        + "\n".join(lines)
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
      LoptError: when the time is up, naming what is still missing.
    """
    hparam_set = get_hparam_set(hparam_set_name)
    start = time.monotonic()
    while not maybe_archive_hparam_set(task_name, hparam_set_name):
        if timeout_seconds is not None and (
            time.monotonic() - start + poll_seconds > timeout_seconds
        ):
            _, missing = gather(task_name, hparam_set)
            raise LoptError(
                f"gave up after {timeout_seconds:g} s: "
                + describe_missing(task_name, hparam_set, missing)
            )
        time.sleep(poll_seconds)
