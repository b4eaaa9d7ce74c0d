"""The archives that are exported: what they hold, and what their sets know."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from learned_optimization.baselines.analysis.hyperparameters import (
    Hyperparameters,
    defined,
    of_file,
    recorded,
)
from learned_optimization.baselines.analysis.left_out import OnLeftOut, load_usable
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.baselines.sets.checkpoint_sets import split_set_name
from learned_optimization.baselines.sets.registry import all_hparam_sets
from learned_optimization.cache import local_copy
from learned_optimization.errors import LoptError
from learned_optimization.npz import open_npz

Made = TypeVar("Made")


@dataclass(frozen=True)
class Archive:
    """An archive, and what is known of its set.

    Attributes:
      task: name of the task.
      set_name: name of the set.
      path: local path or URL.
      keys: the result keys it holds.
      optimizer: gin name of the set's optimizer; None if the set is not known.
      hparams: hyper-parameters of each configuration: those that the set gives, or
        all that the archive records, where the set is not known.
    """

    task: str
    set_name: str
    path: str
    keys: tuple[str, ...]
    optimizer: str | None
    hparams: Hyperparameters

    def hparams_of(self, config: int) -> Mapping[str, Any]:
        """Return the hyper-parameters of a configuration, as far as they are known."""
        return self.hparams.rows[config] if self.hparams.rows else {}

    def read(self, *keys: str, optional: Iterable[str] = ()) -> Result:
        """Read keys, and those of the optional ones that it holds.

        Raises:
          ResultError: if it cannot be read, or lacks one of `keys`.
        """
        there = [key for key in optional if key in self.keys]
        return read_archive(self.path, [*keys, *there])

    def metrics(self, split: str) -> dict[str, str]:
        """Return keys and names of what a split was evaluated for, losses first."""
        prefix = f"eval/{split}/"
        metrics = {k.removeprefix(prefix) for k in self.keys if k.startswith(prefix)}
        losses = [name for name in ("loss", "loss_normalized") if name in metrics]
        names = [*losses, *sorted(metrics.difference(losses))]
        return {prefix + name: name for name in names}


def find_archives(
    task_names: str | Sequence[str],
    set_names: str | Sequence[str],
    on_left_out: OnLeftOut | None = None,
) -> list[Archive]:
    """Return the archive of every set on every task, task by task.

    Args:
      task_names: name of a task, or several.
      set_names: name of a set, or several.
      on_left_out: as of `load_usable`.

    Raises:
      LoptError: if no task or no set is named.
      ResultError: if there is no such archive, or it cannot be read.
    """
    tasks, sets = _names(task_names), _names(set_names)
    for kind, names in (("task", tasks), ("set", sets)):
        if not names:
            raise LoptError(
                f"nothing to export: no {kind} is named. Name at least one task and "
                "one set."
            )
    found = []
    for task in tasks:
        find = functools.partial(_find, task)
        found += load_usable(task, sets, find, on_left_out).values()
    return found


def of_each(
    archives: Sequence[Archive],
    make: Callable[[Archive], Made],
    on_left_out: OnLeftOut | None,
) -> list[tuple[Archive, Made]]:
    """Return what is made of each archive, of those that can be used.

    Args:
      archives: the archives.
      make: reads an archive.
      on_left_out: as of `load_usable`.

    Raises:
      LoptError: as `load_usable`.
    """
    made = []
    for archive in archives:
        done = load_usable(
            archive.task,
            [archive.set_name],
            lambda _, archive=archive: make(archive),
            on_left_out,
        )
        made += [(archive, value) for value in done.values()]
    return made


def _names(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(dict.fromkeys(names))


def _find(task: str, set_name: str) -> Archive:
    path = find_archive(task, set_name)
    with open_npz(local_copy(path), name=path) as npz:
        keys = npz.keys
    known = all_hparam_sets().get(set_name)
    if known is None:
        hparams = recorded(of_file(path))
    else:
        opt_names = read_archive(path, ["opt_name"])["opt_name"][:, 0]
        hparams = defined(set_name, [str(name) for name in opt_names])
    of_checkpoint = split_set_name(set_name)
    if known is not None:
        optimizer = known.optimizer
    else:
        optimizer = None if of_checkpoint is None else of_checkpoint[1].optimizer
    return Archive(task, set_name, path, keys, optimizer, hparams or Hyperparameters())
