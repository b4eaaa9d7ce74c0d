"""The results of a set on a task: those that are there, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from learned_optimization.baselines.results.index import TrialEntry
from learned_optimization.baselines.results.matching import check_setting, fill, scan
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.settings import make_optimizer
from learned_optimization.errors import ResultError

SetFunction = Callable[[str], tuple[Sequence[Any], Sequence[tuple[str, int]]]]
"""A function of a task's name, like an `HParamSet`: it returns configurations, which
archiving does not use, and for each the folder of its results and the number of
repetitions."""


def save_dirs_of(
    hparam_set: HParamSet | SetFunction, task_name: str
) -> Sequence[tuple[str, int]]:
    """Return the folder of each configuration's results, and its repetitions."""
    if isinstance(hparam_set, HParamSet):
        return hparam_set.save_dirs(task_name)
    return hparam_set(task_name)[1]


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
    save_dirs: Sequence[tuple[str, int]],
) -> tuple[list[list[TrialEntry]], list[MissingResults]]:
    """Find the results of a set on a task.

    Args:
      save_dirs: folder of the results of each configuration, and its repetitions.

    Returns:
      The results found, a list of repetitions for each configuration, and what
      is missing. A file that cannot be read counts as missing.
    """
    entries_of = scan(folder for folder, _ in save_dirs)
    rows, missing = [], []
    for save_dir, repetitions in save_dirs:
        entries = entries_of[save_dir]
        filled = fill(entries, range(repetitions), synthetic=True)
        rows.append([filled[seed] for seed in sorted(filled)])
        lacking = tuple(seed for seed in range(repetitions) if seed not in filled)
        if lacking:
            unreadable = tuple(e.path for e in entries if e.status == "bad")
            missing.append(MissingResults(save_dir, lacking, unreadable))
    return rows, missing


def check_together(
    hparam_set: HParamSet | SetFunction,
    save_dirs: Sequence[tuple[str, int]],
    rows: Sequence[Sequence[TrialEntry]],
) -> None:
    """Refuse results that do not belong in one archive.

    Args:
      hparam_set: the set.
      save_dirs: folder of the results of each configuration, and its repetitions.
      rows: the results, a list of repetitions for each configuration.

    Raises:
      ResultError: if some are of another setting than the set's, or some were
        trained on synthetic data and some on real data.
    """
    if isinstance(hparam_set, HParamSet):
        for (folder, _), setting, row in zip(
            save_dirs, hparam_set.hparams, rows, strict=True
        ):
            opt = make_optimizer(hparam_set.optimizer, setting)
            check_setting(folder, row, opt.name)
    if len({entry.synthetic for row in rows for entry in row}) > 1:
        raise ResultError(
            "some results were trained on synthetic data (LOPT_SYNTHETIC_DATA=1) "
            "and some on real data: they do not belong in one archive. Delete one kind."
        )


def describe_missing(
    task_name: str, set_name: str, missing: Sequence[MissingResults], num_trials: int
) -> str:
    """Return one message: how many trials are missing, and which."""
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
        f"{count} of {num_trials} trials of {set_name} on {task_name} are missing:\n"
        + "\n".join(lines)
    )
