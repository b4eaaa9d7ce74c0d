"""The losses of a race, read from the result files of its trials."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.results.trial_losses import (
    TrialLosses,
    comparable_losses,
    read_trial_losses,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.looks import FIRST_LOOK
from learned_optimization.baselines.sweeps.missing import found_results
from learned_optimization.baselines.sweeps.sweep import set_trials_of
from learned_optimization.baselines.sweeps.trials import Trial
from learned_optimization.errors import ResultError

Place = tuple[int, int, int, int]
"""A trial of a race: task, set, configuration, and how many seeds come before it."""


class RaceLosses:
    """The losses of a race, as far as they have been read.

    Args:
      task_names: the tasks.
      hparam_sets: the sets.
      seed_offset: the first seed.
    """

    def __init__(
        self,
        task_names: Sequence[str],
        hparam_sets: Sequence[HParamSet],
        seed_offset: int = 0,
    ):
        self._tasks, self._sets = tuple(task_names), tuple(hparam_sets)
        self._seed_offset = seed_offset
        self._trials: dict[Place, Trial] = {}
        self._shared: dict[tuple[str, int], Trial] = {}
        self._losses: dict[Place, TrialLosses] = {}
        self._synthetic: bool | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether what was read is of trials on made-up data."""
        return bool(self._synthetic)

    def trials(
        self, wanted: stats.Wanted, fill: int = 0, max_seeds: int = 0
    ) -> list[Trial]:
        """Return every trial that a look is made of, those with results too.

        Args:
          wanted: the look.
          fill: where a set has trials to train on a task, but fewer than this, seeds
            of later looks are added.
          max_seeds: seeds of the last look.

        Raises:
          LoptError: as `set_trials`.
        """
        places = [*_places(wanted), *self._ahead(wanted, fill, max_seeds)]
        self._make(places)
        return list(dict.fromkeys(self._trials[place] for place in places))

    def read(self, wanted: stats.Wanted) -> bool:
        """Read the losses of those trials of a look that have results.

        Returns:
          Whether all have.

        Raises:
          ResultError: if results cannot be read, are of another setting, or some are
            of made-up data and some of real data.
        """
        found, _ = found_results(self.trials(wanted))
        for place in _places(wanted):
            entry = found.get(self._trials[place])
            if entry is None or place in self._losses:
                continue
            if self._synthetic not in (None, entry.synthetic):
                raise ResultError(
                    f"{entry.path} and other results of this race were trained on "
                    "made-up data (LOPT_SYNTHETIC_DATA=1) and on real data: they "
                    "cannot be compared. Delete one kind."
                )
            self._synthetic = entry.synthetic
            self._losses[place] = read_trial_losses(entry.path)
        return all(place in self._losses for place in _places(wanted))

    def tasks(self) -> list[stats.TaskLosses]:
        """Return what was read, with the constants of each task.

        The ceiling of a split is the mean loss on it before training of the trials of
        the first look. Of several tasks, a test loss equal to its ceiling is 1. One
        that is lower by as much as the best configuration improves on outer_valid in
        that look is 0: later seeds change neither.

        Raises:
          ResultError: if a task has no finite loss before training.
        """
        return [self._task(q) for q in range(len(self._tasks))]

    def num_without_whole(self) -> tuple[int, ...]:
        """Return, per task, the number of trials without losses over whole splits.

        Where there is one such trial, all losses on the task are those of the last
        evaluations.
        """
        return tuple(
            sum(not losses.is_of_whole for losses in self._on(q).values())
            for q in range(len(self._tasks))
        )

    def _on(self, q: int) -> dict[Place, TrialLosses]:
        return {place: x for place, x in self._losses.items() if place[0] == q}

    def _ahead(
        self, wanted: stats.Wanted, fill: int, max_seeds: int
    ) -> Iterator[Place]:
        """Yield trials of later looks that fill a program of a set on a task."""
        lacking = Counter((q, a) for q, a, _, _ in wanted.missing)
        first = wanted.look.num_seeds
        for (q, a), num_missing in lacking.items():
            configs = [b for p, c, b in wanted.configs if (p, c) == (q, a)]
            num_more = max(fill - num_missing, 0) // len(configs)
            seeds = range(first, min(first + num_more, max_seeds))
            yield from ((q, a, b, seed) for b in configs for seed in seeds)

    def _task(self, q: int) -> stats.TaskLosses:
        num_seeds = 1 + max((p[3] for p in self._losses), default=0)
        kinds = [np.full((2, s.num_configs, num_seeds), np.nan) for s in self._sets]
        ran = [np.zeros((s.num_configs, num_seeds), bool) for s in self._sets]
        for (_, a, b, seed), losses in comparable_losses(self._on(q)).items():
            kinds[a][:, b, seed] = losses.outer_valid, losses.test
            ran[a][b, seed] = True
        of_valid = self._ceiling(q, "initial_outer_valid")
        ceiling = self._ceiling(q, "initial")
        reference, scale = 0.0, 1.0
        if len(self._tasks) > 1 and np.isfinite([of_valid, ceiling]).all():
            first = [x[0, :, :FIRST_LOOK] for x in kinds]
            clipped = [np.where(x <= of_valid, x, of_valid) for x in first]
            least = min(float(x.mean(axis=1).min()) for x in clipped)
            scale = of_valid - least or 1.0
            reference = ceiling - scale
        return stats.TaskLosses(
            outer_valid=[x[0] for x in kinds],
            test=[x[1] for x in kinds],
            ceiling=ceiling,
            reference=reference,
            scale=scale,
            ran=ran,
            name=self._tasks[q],
            outer_valid_ceiling=of_valid,
        )

    def _ceiling(self, q: int, kind: str) -> float:
        of_seeds: dict[int, list[float]] = defaultdict(list)
        for (task, _, _, seed), losses in self._losses.items():
            initial = getattr(losses, kind)
            if task == q and seed < FIRST_LOOK and np.isfinite(initial):
                of_seeds[seed].append(initial)
        if of_seeds:
            # The order in which files were read does not matter.
            return float(
                np.mean([np.mean(sorted(x)) for _, x in sorted(of_seeds.items())])
            )
        if any(place[0] == q for place in self._losses):
            raise ResultError(
                f"{self._tasks[q]}: no result has a finite loss before training, and "
                "that is what counts for trials that diverge."
            )
        return np.inf

    def _make(self, places: Iterable[Place]) -> None:
        new: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for q, a, b, seed in places:
            if (q, a, b, seed) not in self._trials:
                new[q, a].append((b, seed))
        for (q, a), of_set in new.items():
            shifted = [(b, self._seed_offset + seed) for b, seed in of_set]
            made = set_trials_of(self._tasks[q], self._sets[a], shifted)
            for (b, seed), trial in zip(of_set, made, strict=True):
                # Sets may share configurations: these are trained once.
                key = trial.save_dir, trial.seed
                self._trials[q, a, b, seed] = self._shared.setdefault(key, trial)


def _places(wanted: stats.Wanted) -> list[Place]:
    seeds = range(wanted.look.num_seeds)
    return [(*config, seed) for config in wanted.configs for seed in seeds]
