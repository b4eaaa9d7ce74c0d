"""Every name there is, for the shell to complete: of the package, and of results.

Names of tasks and optimizers are known once jax and all their modules are imported,
which takes seconds. They are stored in the cache folder, until a file of the package
changes.
"""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import learned_optimization
from learned_optimization import filesystem
from learned_optimization.baselines.layout import (
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
)
from learned_optimization.baselines.release import places
from learned_optimization.cache import cache_dir
from learned_optimization.errors import ResultError


def names_of(*kinds: str) -> list[str]:
    """Return every name of some kinds, sorted.

    Args:
      *kinds: some of `completion.KINDS`.

    Returns:
      Names of the package, and of what has files on this machine, as far as they can
      be printed.
    """
    packaged = packaged_names()
    names = {name for kind in kinds for name in packaged.get(kind, ())}
    archives = get_baseline_archive_rootdir()
    for root in (get_root_baseline_dir(), archives):
        if "task" in kinds and _is_near(root):
            names.update(filesystem.list_folders(root))
    if "archive" in kinds and _is_near(archives):
        names.update(path.stem for path in Path(archives).glob("*/*.npz"))
    released = [a for release in places.releases() for a in release.manifest.archives]
    if "task" in kinds:
        names.update(archive.task for archive in released)
    if "archive" in kinds:
        names.update(archive.hparam_set for archive in released)
    # The shell would print a name of a folder that holds control characters as it is.
    return sorted(name for name in names if name.isprintable())


def _is_near(root: str) -> bool:
    """Return whether a root is looked into: a remote store takes too long to ask."""
    return "://" not in root


def packaged_names() -> dict[str, list[str]]:
    """Return the names of the package by kind, from the cache if it has them."""
    path = cache_dir() / "names.json"
    stamp = _stamp()
    with suppress(OSError, ValueError):
        stored = json.loads(path.read_text())
        if _is_whole(stored) and stored["stamp"] == stamp:
            return stored["names"]
    names = _registered()
    text = json.dumps({"stamp": stamp, "names": names})
    # A cache that cannot be written makes the next completion slow, no more.
    with suppress(ResultError):
        filesystem.write_bytes(path, text.encode())
    return names


def _is_whole(stored: Any) -> bool:
    """Return whether the cache's file holds what is written into it."""
    if not isinstance(stored, dict) or stored.keys() != {"stamp", "names"}:
        return False
    names = stored["names"]
    return isinstance(names, dict) and all(
        isinstance(of_kind, list) and all(isinstance(name, str) for name in of_kind)
        for of_kind in names.values()
    )


def _registered() -> dict[str, list[str]]:
    # The one place where completion pays for jax.
    from learned_optimization.baselines.hparam_sets import TEMPLATES
    from learned_optimization.baselines.sets.registry import with_pretrained
    from learned_optimization.baselines.suites.registry import all_suites
    from learned_optimization.learned_optimizers.base import all_learned_optimizers
    from learned_optimization.learned_optimizers.pretrained import pretrained_names
    from learned_optimization.optimizers.base import all_optimizers
    from learned_optimization.tasks.datasets.catalog import all_datasets
    from learned_optimization.tasks.registry import all_fixed_tasks

    return {
        "task": list(all_fixed_tasks()),
        "suite": list(all_suites()),
        "set": [*(s.name for s in with_pretrained()), *TEMPLATES],
        "optimizer": list(all_optimizers()),
        "learned optimizer": [*all_learned_optimizers(), *pretrained_names()],
        "data set": list(all_datasets()),
    }


def _stamp() -> str:
    """Return what changes with the package: its version, and when a file did."""
    root = Path(learned_optimization.__path__[0])
    newest = max(path.stat().st_mtime_ns for path in root.rglob("*.py"))
    try:
        installed = version("optimizer-baselines")
    except PackageNotFoundError:
        # The package runs from a source tree that was never installed.
        installed = "unknown"
    return f"{installed} {root} {newest}"
