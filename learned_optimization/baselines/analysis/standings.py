"""Sets compared on one task: which may be the best, and how fast each is.

A set stands for the best configuration of its grid. Its loss is that of what earlier
seeds choose (`losses`), and sets are compared by one look at all seeds
(`stats.one_look`), which does not test the configurations that seeds happen to choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.comparison import (
    LEVEL,
    TOLERANCE,
    Comparison,
    compare_losses,
    mean_interval,
)
from learned_optimization.baselines.analysis.losses import (
    Ceilings,
    ceilings_of,
    chosen,
    num_diverged,
    reported,
    task_losses,
)
from learned_optimization.baselines.analysis.scores import (
    TARGET_SHARE,
    improvement,
    target_of,
)
from learned_optimization.baselines.analysis.set_results import SetResult
from learned_optimization.baselines.analysis.times import (
    EXACT,
    Bound,
    bound_of,
    log_speedups,
    speedup,
    times_to,
)

_NAN = float("nan")
_UNKNOWN = stats.Interval(_NAN, _NAN, _NAN, LEVEL)


@dataclass(frozen=True, eq=False)
class Standing:
    """How a set stands on one task.

    Attributes:
      set_name: the set.
      config: name of the configuration that all its seeds choose.
      loss: mean over seeds of what earlier seeds choose, with Student's interval from
        4 seeds on; a seed that diverged counts as not trained. Inf where nothing says
        what that is.
      num_diverged: seeds of `config` that did.
      p_value: that no other set is better, adjusted for all sets (Holm); NaN for too
        few seeds. The set is out where it is below 5%.
      difference: how much worse it is than the best other set, as
        `stats.SetStanding` bounds it (Hsu); below 0 it is better.
      steps: median number of updates until the target, of what earlier seeds choose
        for being fast; inf if never, NaN if there is no target.
      seconds: the same in seconds of training; NaN if unknown.
      censored: share of seeds that never reach the target; NaN if there is none.
      speedup: how many times fewer updates than the reference it needs to the target,
        geometric mean over seeds with its interval; where the target is never
        reached, the whole length counts.
      bound: which way the speed-up is wrong because of that.
    """

    set_name: str
    config: str
    loss: stats.Interval
    num_diverged: int
    p_value: float
    difference: stats.Interval
    steps: float
    seconds: float
    censored: float
    speedup: stats.Interval
    bound: Bound

    @property
    def has_loss(self) -> bool:
        """Whether it has a loss to compare."""
        return bool(np.isfinite(self.loss.estimate))

    @property
    def is_out(self) -> bool:
        """Whether some other set is better beyond chance."""
        return self.p_value < 1 - LEVEL


@dataclass(frozen=True, eq=False)
class TaskVerdict:
    """Sets on one task.

    Attributes:
      task_name: the task.
      standings: one per set, those that are out last, the lowest loss first.
      comparison: of those that have a loss; None of fewer than two.
      reference: the set that decides the target; empty if there is none.
      target: the smoothed loss that times are taken to, see `target_of`; NaN if there
        is none.
      log_speedups: for each set the logarithms that `Standing.speedup` is the mean of;
        none without a target.
    """

    task_name: str
    standings: tuple[Standing, ...]
    comparison: Comparison | None
    reference: str
    target: float
    log_speedups: dict[str, np.ndarray]

    @property
    def has_target(self) -> bool:
        """Whether times compare anything here."""
        return bool(self.reference)

    @property
    def not_told_apart(self) -> tuple[str, ...]:
        """Other sets than the first that may be the best one, of those with a loss."""
        return tuple(
            s.set_name for s in self.standings[1:] if s.has_loss and not s.is_out
        )

    def standing(self, set_name: str) -> Standing:
        """Return how a set of that name stands."""
        return next(s for s in self.standings if s.set_name == set_name)


def task_verdict(
    results: Sequence[SetResult],
    reference: str | None,
    tolerance: float = TOLERANCE,
    has_target: bool = True,
    target_share: float = TARGET_SHARE,
) -> TaskVerdict:
    """Compare sets on one task.

    Args:
      results: one per set, of the same task.
      reference: name of one of the sets, which improves on the initial loss; None if
        there is none.
      tolerance: share of what the reference improves that does not matter.
      has_target: whether times to the target of the reference compare anything.
      target_share: of its improvement, that the target is.
    """
    ceilings = ceilings_of(results)
    by_name = {result.set_name: result for result in results}
    with_loss = [r for r in results if np.isfinite(reported(r, ceilings)).all()]
    allowed = tolerance * improvement(results, reference) if reference else 0.0
    comparison = None
    if with_loss:
        names = [result.set_name for result in with_loss]
        losses = task_losses(with_loss, ceilings)
        comparison = compare_losses([losses], names, allowed)
    standings = {r.set_name: _standing(r, ceilings, comparison) for r in results}
    target, logs = _NAN, {}
    if reference is not None and has_target:
        target = target_of(by_name[reference], target_share)
        times = {name: times_to(result, target) for name, result in by_name.items()}
        base = by_name[reference], times[reference]
        for name, result in by_name.items():
            logs[name] = log_speedups(result, times[name], *base)
            standings[name] = replace(
                standings[name],
                steps=times[name].median,
                seconds=times[name].median * result.seconds_per_step,
                censored=times[name].censored,
                speedup=speedup([logs[name]], LEVEL),
                bound=bound_of(times[name], times[reference]),
            )
    return TaskVerdict(
        task_name=results[0].task_name,
        standings=tuple(
            sorted(
                standings.values(),
                key=lambda s: (not s.has_loss, s.is_out, s.loss.estimate, s.set_name),
            )
        ),
        comparison=comparison,
        reference="" if np.isnan(target) else reference or "",
        target=target,
        log_speedups=logs,
    )


def _standing(
    result: SetResult, ceilings: Ceilings, comparison: Comparison | None
) -> Standing:
    p_value, difference = _NAN, _UNKNOWN
    if comparison is not None and result.set_name in comparison.set_names:
        found = comparison.of(result.set_name)
        p_value = found.p_adjusted
        difference = difference_of(found)
    return Standing(
        set_name=result.set_name,
        config=result.curves.opt_names[chosen(result, ceilings)],
        loss=mean_interval(reported(result, ceilings)),
        num_diverged=num_diverged(result, ceilings),
        p_value=p_value,
        difference=difference,
        steps=_NAN,
        seconds=_NAN,
        censored=_NAN,
        speedup=_UNKNOWN,
        bound=EXACT,
    )


def difference_of(found: stats.SetStanding) -> stats.Interval:
    """Return how much worse a set is than the best other one, with its bounds."""
    return stats.Interval(found.difference, found.low, found.high, LEVEL)
