"""What lies at an address, a release or a folder of archives, and what is wanted of it.

What is wanted is said by names, which are told apart by what is offered: no task and no
set of it need be known here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from learned_optimization import filesystem
from learned_optimization.baselines.release.manifest import Manifest, read_manifest
from learned_optimization.baselines.suites.registry import all_suites
from learned_optimization.errors import (
    LoptError,
    MissingFileError,
    ResultError,
    UnknownNameError,
)

ARCHIVE = ".npz"
"""How names of others' archives end."""

Pair = tuple[str, str]
"""Names of a task and of a set."""

# Tasks that a message has room for.
_MOST = 3


@dataclass(frozen=True)
class Offer:
    """What is wanted of what lies at an address.

    Attributes:
      address: the address.
      manifest: of a release, whole; None of a folder of archives.
      pairs: task and set of each archive wanted.
    """

    address: str
    manifest: Manifest | None
    pairs: tuple[Pair, ...]


def look_at(address: str, names: Collection[str] = ()) -> Offer:
    """Return what lies at an address; nothing is fetched but a manifest.

    Args:
      address: folder or URL of any store that fsspec knows.
      names: of the tasks and sets wanted, all of either where none is named; a suite
        stands for those of its tasks that are there. A store is asked for each task of
        a folder of archives, which takes a while where there are thousands.

    Raises:
      UnknownNameError: if a name is of nothing that is there.
      LoptError: if nothing of a task or suite named is of the sets named.
      ResultError: if the address cannot be reached, or has neither.
    """
    try:
        manifest = read_manifest(address)
    except MissingFileError:
        manifest = None
    if manifest is None:
        tasks = set(filesystem.list_folders(address))
    else:
        tasks = {archive.task for archive in manifest.archives}
    tasks_of = {name: found for name in names if (found := _tasks_of(name, tasks))}
    wanted = {task for found in tasks_of.values() for task in found} or tasks
    if manifest is None:
        offered = _listed(address, sorted(wanted))
    else:
        offered = [a.pair for a in manifest.archives if a.task in wanted]
    if not offered and manifest is None:
        of_tasks = f" of {', '.join(sorted(wanted))}" if tasks_of else ""
        raise ResultError(
            f"{address} has no manifest of a release and no archives{of_tasks}, which "
            "would be TASK/SET.npz in it."
        )
    sets = [name for name in names if name not in tasks_of]
    of_sets = {of_task for _, of_task in offered}
    for name in sets:
        if name not in of_sets:
            raise _unknown(name, address, tasks, of_sets, bool(tasks_of))
    chosen = [(t, s) for t, s in offered if not sets or s in sets]
    for name, found in tasks_of.items():
        if not any(task in found for task, _ in chosen):
            raise LoptError(
                f"{address} has nothing of {', '.join(sets)} on {name}: leave that "
                "out, or name another set."
            )
    return Offer(address, manifest, tuple(chosen))


def _tasks_of(name: str, tasks: Collection[str]) -> list[str]:
    """Return the tasks among those there that a name stands for."""
    if name in tasks:
        return [name]
    suite = all_suites().get(name)
    return [] if suite is None else [task for task in suite.tasks if task in tasks]


def _listed(address: str, tasks: Iterable[str]) -> list[Pair]:
    return [
        (task, posixpath.basename(path).removesuffix(ARCHIVE))
        for task in tasks
        for path in filesystem.list_files(filesystem.join(address, task), ARCHIVE)
    ]


def _unknown(
    name: str,
    address: str,
    tasks: Collection[str],
    sets: Collection[str],
    of_some_tasks: bool,
) -> LoptError:
    if name in all_suites():
        some = ", ".join(sorted(tasks)[:_MOST]) + ", ..." * (len(tasks) > _MOST)
        return LoptError(
            f"{address} has no task of the suite {name}: it has {some or 'none'}."
        )
    suites = [suite for suite in all_suites() if _tasks_of(suite, tasks)]
    where = f"{address}, on the tasks named" if of_some_tasks else address
    known = {*tasks, *suites, *sets}
    return UnknownNameError("task, suite or set", name, known, f"of those at {where}")
