"""Trials as the runs of experiment trackers, whichever it is that shows them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.best_of_set import (
    FinalLosses,
    best_of_set,
    check_eval_split,
    comparable_ends,
    load_final_losses,
)
from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.exporting.archives import (
    Archive,
    find_archives,
    of_each,
)
from learned_optimization.baselines.exporting.frames import ALL_SPLITS
from learned_optimization.baselines.results.format import Result
from learned_optimization.errors import DamagedFileError


@dataclass(frozen=True)
class Run:
    """A trial as experiment trackers know it.

    Attributes:
      task: name of the task.
      set_name: name of the set.
      opt_name: name of the configuration.
      seed: of the trial; its place among the seeds where the archive holds none.
      hparams: hyper-parameters, as far as they are known: numbers, booleans or text.
      steps: int64 `[num_evals]`, number of the update each evaluation precedes.
      curves: tag to float `[num_evals]`: `loss/SPLIT`, `loss_normalized/SPLIT`, what
        else the task reports as `AUX/SPLIT`, and `train/loss`, the loss of the
        update's own batch.
      started: seconds since 1970 of the archive's file: trials hold no times.
      seconds_per_step: mean of the trial, or that of its grid; 0 if it is not known.
    """

    task: str
    set_name: str
    opt_name: str
    seed: int
    hparams: Mapping[str, Any]
    steps: np.ndarray
    curves: Mapping[str, np.ndarray]
    started: float
    seconds_per_step: float

    @property
    def group(self) -> str:
        """The name on its task that the seeds of its configuration share."""
        return posixpath.join(self.set_name, self.opt_name)

    @property
    def name(self) -> str:
        """The name that no other trial on its task has."""
        return posixpath.join(self.group, f"seed{self.seed}")

    @property
    def config(self) -> dict[str, Any]:
        """What it is of, and its hyper-parameters."""
        whose = {"task": self.task, "set": self.set_name, "opt_name": self.opt_name}
        return {**whose, **self.hparams}

    @property
    def times(self) -> np.ndarray:
        """Float64 `[num_evals]`, seconds since 1970 of each evaluation."""
        return self.started + self.seconds_per_step * self.steps


def write_runs(
    task_names: str | Sequence[str],
    set_names: str | Sequence[str],
    write: Callable[[Iterator[Run]], object],
    *,
    every_config: bool = False,
    select: str = "outer_valid",
    on_left_out: OnLeftOut | None = None,
) -> int:
    """Write archived trials as runs, an archive after the other.

    Args:
      task_names: name of a task, or several.
      set_names: name of a set, or several, each archived for every task.
      write: called once with all runs, which it takes one by one; an error may come
        in the place of the next.
      every_config: with all configurations, not just the best of each set.
      select: split whose final loss says which is best.
      on_left_out: told of each set on a task that is archived and cannot be read,
        while the others are; where it is None, that is an error.

    Returns:
      How many runs there are.

    Raises:
      UnknownNameError: if `select` is no split.
      LoptError: if no task or no set is named.
      ResultError: if an archive is missing or cannot be read, or none can.
    """
    check_eval_split(select)
    left: list[LeftOut] = []
    collect = None if on_left_out is None else left.append

    def ends_of(archive: Archive) -> FinalLosses:
        return load_final_losses(archive.task, archive.set_name)

    archives = of_each(find_archives(task_names, set_names, collect), ends_of, collect)
    ends = _comparable(archives)
    count = 0

    def runs() -> Iterator[Run]:
        nonlocal count
        for archive, _ in archives:
            best = best_of_set(ends[archive.task][archive.set_name], select)
            only = None if every_config else best.index
            # Read whole before any of it is written.
            for _, (tags, data) in of_each([archive], _read, collect):
                for run in _runs_of(archive, tags, data, only):
                    count += 1
                    yield run
        check_some_left(range(count), left)

    write(runs())
    if on_left_out is not None:
        for one in left:
            on_left_out(one)
    return count


def _comparable(
    archives: Sequence[tuple[Archive, FinalLosses]],
) -> dict[str, dict[str, FinalLosses]]:
    """Return how sets end, by task and set; those on a task are read alike."""
    ends: dict[str, dict[str, FinalLosses]] = {}
    for archive, of_set in archives:
        ends.setdefault(archive.task, {})[archive.set_name] = of_set
    return {task: comparable_ends(row) for task, row in ends.items()}


def _read(archive: Archive) -> tuple[dict[str, str], Result]:
    """Return the tags of an archive's keys, and its arrays."""
    tags = {
        key: f"{name}/{split}"
        for split in ALL_SPLITS
        for key, name in archive.metrics(split).items()
    }
    optional = ["seed", "timing/run_seconds_per_trial", "train/xs", "train/loss"]
    data = archive.read("opt_name", "eval/xs", *tags, optional=optional)
    for opt_name in np.unique(data["opt_name"]):
        _check_is_folder_name(archive.path, str(opt_name))
    return tags, data


def _check_is_folder_name(path: str, opt_name: str) -> None:
    # An archive from elsewhere must not choose where on this disk files are written.
    if posixpath.basename(opt_name) != opt_name or opt_name in ("", ".", ".."):
        raise DamagedFileError(path, f"{opt_name!r} is no name", key="opt_name")


def _runs_of(
    archive: Archive, tags: Mapping[str, str], data: Result, only: int | None
) -> Iterator[Run]:
    started = filesystem.info(archive.path).modified
    num_configs, num_seeds = data["opt_name"].shape
    for config in range(num_configs) if only is None else [only]:
        for repetition in range(num_seeds):
            trial = {key: values[config, repetition] for key, values in data.items()}
            steps = trial["eval/xs"].astype(np.int64)
            seconds = float(trial.get("timing/run_seconds_per_trial", 0))
            yield Run(
                task=archive.task,
                set_name=archive.set_name,
                opt_name=str(trial["opt_name"]),
                seed=int(trial.get("seed", repetition)),
                hparams={
                    name: value if _is_plain(value) else str(value)
                    for name, value in archive.hparams_of(config).items()
                },
                steps=steps,
                curves=_curves(trial, tags, steps),
                started=started,
                # Without any step done there is no time between them.
                seconds_per_step=seconds / max(int(steps[-1]), 1),
            )


def _curves(
    trial: Result, tags: Mapping[str, str], steps: np.ndarray
) -> dict[str, np.ndarray]:
    curves = {tag: trial[key] for key, tag in tags.items()}
    if {"train/xs", "train/loss"} <= trial.keys():
        evaluated = np.isin(trial["train/xs"], steps)
        if evaluated.sum() == len(steps):
            curves["train/loss"] = trial["train/loss"][evaluated]
    return curves


def _is_plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))
