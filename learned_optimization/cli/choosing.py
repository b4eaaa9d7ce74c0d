"""Which tasks and sets a command is given: what its names and files stand for.

One rule for every command. Names are of tasks, of suites, which stand for their tasks,
of sets and, where archives are read, of archives, in any order. `--set FILE` defines
sets and suites, and names choose among all that are known; where no set is named, the
sets of the files are chosen. `--checkpoint` makes
sets of learned optimizers known, for which templates stand among the names.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from learned_optimization import configuration, filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.release import places
from learned_optimization.baselines.results.archives import (
    is_own_archive,
    list_archived_tasks,
    list_hparam_sets_for_task,
)
from learned_optimization.baselines.sets.checkpoint_sets import TEMPLATES
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import known_hparam_sets
from learned_optimization.cli.checkpoints import (
    load_archived,
    load_checkpoints,
    with_checkpoints,
)
from learned_optimization.errors import (
    LoptError,
    NotRegisteredError,
    ResultError,
    UnknownNameError,
)

_LISTS = "`lopt tasks`, `lopt suites` and `lopt sets` list them"


def split_tasks_and_sets(
    names: Iterable[str] | None,
    set_files: list[str] | None,
    imports: list[str] | None,
    checkpoints: list[str] | None = None,
) -> tuple[list[str], list[HParamSet]]:
    """Tell tasks from sets: no name is of both.

    Args:
      names: tasks, suites and sets, in any order. What has results is a task too.
      set_files: files that define sets.
      imports: Python files that are imported before.
      checkpoints: checkpoints of learned optimizers, `NAME=PATH` each.

    Returns:
      The tasks' names and the sets, each in the order of `names`, once; the sets of
      the files if no set is named. Either may be empty.

    Raises:
      UnknownNameError: if a name is neither.
      LoptError: if a file is wrong.
    """
    from_files = load_sets(set_files, imports)
    names = with_checkpoints(names or (), load_checkpoints(checkpoints))
    load_archived(names)
    tasks, set_names = _split(names, from_files, with_archives=False)
    known = known_hparam_sets(set_names)
    return tasks, [known[name] for name in set_names]


def split_tasks_and_archives(
    names: Iterable[str] | None,
    set_files: list[str] | None,
    imports: list[str] | None,
    checkpoints: list[str] | None = None,
) -> tuple[list[str], list[str]]:
    """Tell tasks from sets that may be archived only.

    Args:
      names: as of `split_tasks_and_sets`; of archives of the tasks named, too.
      set_files: files that define sets.
      imports: Python files that are imported before.
      checkpoints: checkpoints of learned optimizers, `NAME=PATH` each.

    Returns:
      Names of the tasks and of the sets, as of `split_tasks_and_sets`; where neither
      names nor files say a set, those of `usual_archives`.

    Raises:
      UnknownNameError: if a name is of no task, set or archive.
      LoptError: if a file is wrong, or a name is an archive of other tasks alone.
    """
    from_files = load_sets(set_files, imports)
    names = with_checkpoints(names or (), load_checkpoints(checkpoints))
    tasks, sets = _split(names, from_files, with_archives=True)
    return tasks, sets or usual_archives(tasks)


def usual_archives(tasks: Sequence[str]) -> list[str]:
    """Return names of the sets that are compared where none is named.

    They are all those that have archives of one's own on every task, and, of releases
    that have them on every task, the usual baselines of the shortest length.

    Args:
      tasks: names of tasks.
    """
    if not tasks:
        return []
    there = [set(list_hparam_sets_for_task(task)) for task in tasks]
    found = [places.find(task, name) for task in tasks for name in places.sets_of(task)]
    steps = {f.archive.hparam_set: f.archive.num_steps for f in found if f is not None}
    everywhere = sorted(set.intersection(*there))
    own = [n for n in everywhere if all(is_own_archive(task, n) for task in tasks)]
    released = [name for name in everywhere if name not in own and name in steps]
    if not released:
        return own
    # It imports jax, which takes seconds; `lopt status` does without.
    from learned_optimization.baselines.suites.challengers import BASELINES

    usual = [n for n in released if n.partition("LR_")[0] in BASELINES]
    shortest = min((steps[name] for name in usual), default=0)
    return sorted([*own, *(name for name in usual if steps[name] == shortest)])


def tasks_and_sets_to_run(
    names: Iterable[str] | None,
    set_files: list[str] | None,
    imports: list[str] | None,
    checkpoints: list[str] | None = None,
) -> tuple[list[str], list[HParamSet]]:
    """Return at least one task that is defined, and at least one set.

    No results are looked for, except of what is not known by its name, for the message
    about it or for the checkpoint that an archive of it records: a store that is not
    used need not be reachable.

    Raises:
      NotRegisteredError: if a task has results but is not defined here.
      UnknownNameError: if a name is of no task and no set.
      LoptError: if no task or no set is given, or a file is wrong.
    """
    from_files = load_sets(set_files, imports)
    names = with_checkpoints(names or (), load_checkpoints(checkpoints))
    load_archived(names)
    names = _without_suites(names)
    defined, known = fixed_tasks(), known_hparam_sets(names)
    for name in names:
        if name not in known and name not in defined:
            raise _unknown_to_run(name, [*defined, *_suites(), *known, *TEMPLATES])
    tasks = [name for name in names if name not in known]
    chosen = [known[name] for name in names if name in known]
    sets = chosen or list({s.name: s for s in from_files}.values())
    if not tasks:
        raise LoptError(
            "no task is given: name some, or a suite (`lopt tasks` and `lopt suites` "
            "list them)."
        )
    if not sets:
        raise LoptError(
            "no set is given: name some (`lopt sets` lists them), or a file that "
            "defines some, as --set my_set.yaml"
        )
    return tasks, sets


def _unknown_to_run(name: str, known: list[str]) -> LoptError:
    # The name is wrong even where the store of the results cannot be reached.
    with suppress(ResultError):
        if name in tasks_with_files():
            return NotRegisteredError("task", name, fixed_tasks())
    return UnknownNameError("task, suite or set", name, set(known), _LISTS)


def _split(
    names: Sequence[str], from_files: list[HParamSet], with_archives: bool
) -> tuple[list[str], list[str]]:
    defined = known_hparam_sets(names)
    others = [name for name in names if name not in defined]
    tasks = tasks_with_files()
    archives = _archives_of(tasks.intersection(others)) if with_archives else set()
    if not tasks.union(archives).issuperset(others):
        names, tasks = _without_suites(names), tasks | fixed_tasks()
        others = [name for name in names if name not in defined]
        archives = _archives_of(tasks.intersection(others)) if with_archives else set()
    chosen = [name for name in others if name in tasks]
    sets = [name for name in names if name not in chosen]
    for name in sets:
        if name not in defined and name not in archives:
            known = [*tasks, *_suites(), *defined, *TEMPLATES]
            raise _unknown(name, known, with_archives)
    return chosen, sets or list({s.name: s for s in from_files})


def _archives_of(tasks: Iterable[str]) -> set[str]:
    return {name for task in tasks for name in list_hparam_sets_for_task(task)}


def _unknown(name: str, known: list[str], with_archives: bool) -> LoptError:
    if with_archives:
        archived = {t: list_hparam_sets_for_task(t) for t in list_archived_tasks()}
        having = [task for task, of_task in archived.items() if name in of_task]
        if having:
            return LoptError(
                f"{name} is no set that is defined, but an archive of "
                f"{', '.join(having)}: name that task too."
            )
        known = [*known, *(n for of_task in archived.values() for n in of_task)]
    return UnknownNameError("task, suite or set", name, set(known), _LISTS)


def from_seed(
    hparam_sets: Iterable[HParamSet], first_seed: int | None
) -> list[HParamSet]:
    """Return sets with another first seed; as they are if it is None."""
    return [s if first_seed is None else s.from_seed(first_seed) for s in hparam_sets]


def matching(kind: str, pattern: str | None, known: Collection[str]) -> list[str]:
    """Return the names that match a pattern such as `Adam*`; all if it is None.

    Args:
      kind: what they are names of, in the singular.
      pattern: the pattern; case matters.
      known: the names.

    Raises:
      NotRegisteredError: with the nearest names, if none matches.
    """
    chosen = [
        name for name in known if pattern is None or fnmatch.fnmatchcase(name, pattern)
    ]
    if pattern is not None and not chosen:
        raise NotRegisteredError(kind, pattern, known)
    return chosen


def is_pattern(name: str) -> bool:
    """Return whether a name stands for all that match it."""
    return any(character in name for character in "*?[")


def load_sets(files: list[str] | None, imports: list[str] | None) -> list[HParamSet]:
    """Return the sets that files define, after importing others; suites are known."""
    import_files(imports)
    if not files:
        return []
    # It imports jax, which takes seconds; `lopt status` does without.
    from learned_optimization.baselines.suites.files import load_sets_and_suites

    return [s for file in files for s in load_sets_and_suites(file)[0]]


def import_files(files: list[str] | None) -> None:
    """Make known what Python files define."""
    if not files:
        return
    from learned_optimization.baselines.sets.files import import_file

    for file in files:
        import_file(file)


def tasks_with_files() -> set[str]:
    """Return names of the tasks that have results or archives."""
    with_results = filesystem.list_folders(get_root_baseline_dir())
    return {*with_results, *list_archived_tasks()}


def fixed_tasks() -> set[str]:
    """Return names of the registered tasks."""
    # Importing them takes seconds, and those that have files need no import.
    from learned_optimization.tasks import registry

    return set(registry.all_fixed_tasks())


def _without_suites(names: Sequence[str]) -> list[str]:
    # Importing them is importing the tasks.
    from learned_optimization.baselines.suites import registry

    return registry.without_suites(names)


def _suites() -> list[str]:
    from learned_optimization.baselines.suites import registry

    return list(registry.all_suites())


def load_gin(
    files: list[str] | None,
    bindings: list[str] | None,
    modules: list[str] | None = None,
    skip_unknown: bool = False,
) -> None:
    """Replace the gin configuration by that of the command line."""
    configuration.import_modules(modules or [])
    configuration.load(files or [], bindings or [], skip_unknown)
