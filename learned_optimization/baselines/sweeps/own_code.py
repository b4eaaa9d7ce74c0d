"""Code of one's own that trains: what it has trained before it changed is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.results import code_digests
from learned_optimization.baselines.results.files import CURVES
from learned_optimization.baselines.results.matching import scan
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import SETS
from learned_optimization.baselines.sweeps.checkpoints import remove_finished
from learned_optimization.baselines.sweeps.retraining import forget
from learned_optimization.baselines.sweeps.sweep import set_trials, set_trials_of
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.learned_optimizers.base import LearnedOptimizer
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.schedule_base import Schedule
from learned_optimization.registry import is_packaged
from learned_optimization.tasks.registry import TASKS

Pair = tuple[str, str]
"""Names of a task and a set."""


class OwnCode:
    """The code of one's own that trains sets on tasks: of optimizers and of tasks.

    Args:
      task_names: names of fixed tasks.
      hparam_sets: the sets.

    Raises:
      LoptError: if a set's configurations are not valid.
    """

    def __init__(self, task_names: Sequence[str], hparam_sets: Sequence[HParamSet]):
        self._sets = {s.name: s for s in hparam_sets}
        # Name of what is defined, to its digest, and to folders by task and set.
        self._digests: dict[str, str] = {}
        self._folders: dict[str, dict[Pair, list[str]]] = defaultdict(dict)
        # By task and set: folder of results, to the setting that they are to be of.
        self._settings: dict[Pair, dict[str, str]] = defaultdict(dict)
        packaged = set(SETS.packaged())
        for task in task_names:
            of_task = _of_task(task)
            for hparam_set in hparam_sets:
                if of_task or hparam_set.name not in packaged:
                    self._add(task, hparam_set, of_task)

    def _add(self, task: str, hparam_set: HParamSet, of_task: dict[str, Any]) -> None:
        pair = (task, hparam_set.name)
        places = [(i, 0) for i in range(hparam_set.num_configs)]
        for trial in set_trials_of(task, hparam_set, places):
            self._settings[pair][trial.save_dir] = trial.opt.name
            for name, thing in {**of_task, **_of_optimizer(trial.opt)}.items():
                digest = code_digests.digest_of(thing)
                if digest is not None:
                    self._digests[name] = digest
                    self._folders[name].setdefault(pair, []).append(trial.save_dir)

    def changed(self) -> dict[str, list[Pair]]:
        """Return what has results of other code than it has now.

        A setting may have changed too, as that of a checkpoint that was trained again.

        Returns:
          What has changed, as `the code of task Mine`, to the tasks and sets of these
          results.

        Raises:
          ResultError: if results cannot be reached.
        """
        found: dict[str, list[Pair]] = {}
        for name, pair in self._of_other_code():
            if any(_has_results(folder) for folder in self._folders[name][pair]):
                found.setdefault(f"the code of {name}", []).append(pair)
        for pair, settings in self._settings.items():
            for folder, entries in scan(settings).items():
                known = ("", settings[folder])
                if any(entry.opt_config not in known for entry in entries):
                    found.setdefault(f"a setting of {pair[1]}", []).append(pair)
                    break
        return found

    def note(self) -> None:
        """Note the code that trains from now on; call `forget_changed` before.

        What was begun with other code, and has no result, is not gone on with.
        """
        trials: list[Trial] = []
        for task, name in {pair for _, pair in self._of_other_code()}:
            trials += set_trials(task, self._sets[name])
        if trials:
            remove_finished(trials)
        for name, digest in self._digests.items():
            folders = [f for some in self._folders[name].values() for f in some]
            code_digests.note(name, digest, folders)

    def forget_changed(self) -> int:
        """Delete what other code has trained; return how many files that were.

        Raises:
          ResultError: if something cannot be deleted.
        """
        pairs = {pair for of_name in self.changed().values() for pair in of_name}
        return sum(forget(task, self._sets[name]) for task, name in sorted(pairs))

    def _of_other_code(self) -> Iterator[tuple[str, Pair]]:
        for name, digest in self._digests.items():
            of_name = self._folders[name]
            every = [f for some in of_name.values() for f in some]
            other = code_digests.trained_with_other_code(name, digest, every)
            for pair, folders in of_name.items() if other else ():
                if not set(other).isdisjoint(folders):
                    yield name, pair


def _has_results(folder: str) -> bool:
    return bool(filesystem.list_files(folder, f".{CURVES}"))


def _of_task(name: str) -> dict[str, Any]:
    task = TASKS.get(name)
    return {} if is_packaged(task.module) else {f"task {name}": task.make}


def _of_optimizer(opt: Any) -> dict[str, type]:
    """Return the classes of one's own of an optimizer and of what is inside it."""
    cls = type(opt)
    found = {} if is_packaged(cls.__module__) else {f"optimizer {cls.__name__}": cls}
    for held in vars(opt).values():
        if isinstance(held, (Optimizer, LearnedOptimizer, Schedule)):
            found |= _of_optimizer(held)
    return found
