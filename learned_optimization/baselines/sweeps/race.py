"""Races: which of several sets is best, with few trials (docs/race.md).

Each look of a race trains the configurations that are left on the seeds that are new,
as ordinary trials in the ordinary store. How a race stands is a function of the result
files, so that one that was stopped goes on where it was, and takes up what sweeps have
trained; a sweep of the same sets finds its trials.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from learned_optimization.baselines import stats
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.observing import (
    Observer,
    SilentObserver,
    SweepSummary,
)
from learned_optimization.baselines.sweeps.race_ends import RaceEnds
from learned_optimization.baselines.sweeps.race_losses import Place, RaceLosses
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.baselines.sweeps.sweep import run_trials
from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.eval_training import Strategy
from learned_optimization.training.backend import local_devices

__all__ = ["RaceObserver", "RaceStanding", "SilentRaceObserver", "run_race"]


_TRIALS_OF_A_PROGRAM = 70


class RaceObserver(Observer, Protocol):
    """Told how a race goes, and each look's trials as a sweep's."""

    def looked(self, standing: RaceStanding) -> None:
        """Take note of how the race stands after a look."""


class SilentRaceObserver(SilentObserver):
    """An observer that ignores everything."""

    def looked(self, standing: RaceStanding) -> None:
        """Say nothing."""


def run_race(
    task_names: Sequence[str],
    hparam_sets: Sequence[HParamSet],
    rules: stats.RaceRules,
    observer: RaceObserver | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    strategy: Strategy | None = None,
    seed_offset: int = 0,
    deadline: float = math.inf,
    fill: int | None = None,
) -> RaceStanding:
    """Compare sets on tasks until it is decided which is best, or seeds run out.

    Trials that have results are not trained again; whatever stops it, the same call
    goes on. A set may be raced on more seeds than its repetitions.

    Args:
      task_names: names of fixed tasks.
      hparam_sets: at least two sets; their order does not matter.
      rules: of the race. Its `earlier` may stay empty: at which numbers of seeds other
        races of these sets have ended is found in the store.
      observer: told how it goes.
      should_stop: asked now and then; a race that is to stop saves where it is.
      strategy: how devices compute their shares; if None, the fastest known.
      seed_offset: the first seed. Races that share no seed are independent.
      deadline: when to save and stop, as `time.monotonic` counts.
      fill: where a program would have fewer trials than this, seeds of later looks
        are trained with it. If None, 70 on accelerators, which are made for many at
        once, and 0 on a CPU.

    Returns:
      How the race stands. Where trials failed it waits for them, and says so; the same
      call tries them again.

    Raises:
      LoptError: if a name or setting is wrong, there are no two sets, data is not
        available, or the result directory cannot be written; before anything is
        trained.
      ResultError: if results cannot be read or compared.
      RunStoppedError: if it was told to stop.
    """
    start = time.monotonic()
    observer = observer or SilentRaceObserver()
    check_at_least("seed_offset", seed_offset, 0)
    # What ties, ties in the same way whatever the order.
    tasks = tuple(sorted(set(task_names)))
    sets = tuple(sorted(hparam_sets, key=lambda s: s.name))
    if not tasks or len({s.name for s in sets}) < max(len(sets), 2):
        raise LoptError(
            "a race needs at least one task, and at least two sets that differ, got "
            f"{len(tasks)} tasks and {', '.join(s.name for s in sets) or 'no set'}."
        )
    if shifted := [s.name for s in sets if s.first_seed]:
        raise LoptError(
            f"{', '.join(shifted)}: name the set without its first seed. All sets of a "
            "race have the same seeds, which seed_offset says."
        )
    ends = RaceEnds(tasks, sets, rules, seed_offset)
    earlier = sorted({*rules.earlier, *ends.before(rules.max_seeds)})
    rules = replace(rules, earlier=tuple(earlier))
    losses = RaceLosses(tasks, sets, seed_offset)
    summary = SweepSummary()
    num_looks, tried = 0, set[Place]()
    while True:
        tasks_losses = losses.tasks()
        result = stats.race(tasks_losses, rules)
        standing = RaceStanding(
            tasks=tasks_losses,
            sets=sets,
            result=result,
            summary=summary,
            num_without_whole=losses.num_without_whole(),
            first_seed=seed_offset,
            is_synthetic=losses.is_synthetic,
            seconds=time.monotonic() - start,
        )
        if len(result.looks) > num_looks:
            num_looks = len(result.looks)
            ends.remember(result.num_seeds)
            observer.looked(standing)
        wanted = result.wanted
        # What was trained just now and has no result has failed.
        if wanted is None or tried.issuperset(wanted.missing):
            return standing
        if not losses.read(wanted):
            ahead = 0 if rules.max_trials is not None else _filled(fill)
            trials = losses.trials(wanted, ahead, rules.max_seeds)
            summary.add(run_trials(trials, observer, should_stop, strategy, deadline))
            losses.read(wanted)
            tried.update(wanted.missing)


def _filled(fill: int | None) -> int:
    """Return how many trials a program is to have at least."""
    if fill is not None:
        return fill
    return 0 if local_devices()[0].platform == "cpu" else _TRIALS_OF_A_PROGRAM
