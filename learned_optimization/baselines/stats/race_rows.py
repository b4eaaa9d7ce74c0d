"""The table of a race at a look, and how many seeds would tell more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.stats.chains import LOW_SCORE
from learned_optimization.baselines.stats.field import Field
from learned_optimization.baselines.stats.looks import FIRST_LOOK, next_look
from learned_optimization.baselines.stats.racing import RaceLook, RaceResult
from learned_optimization.baselines.stats.student_hall import critical_t, seeds_needed
from learned_optimization.baselines.stats.sums import sum_over_tasks
from learned_optimization.errors import LoptError

_MOST_BUDGETS = 10
"""More than so many times the seeds of a race are not proposed."""


@dataclass(frozen=True)
class RaceRow:
    """A set in a race on one task.

    Attributes:
      set_index: the set.
      is_left: whether it may be the best.
      out_at: seeds of the look at which it went out; None while it is left.
      lost_to: where it is out, the sets it was judged against and on how many seeds,
        most first; if several, it is worse than the best of them.
      num_configs: configurations left, or the last of it where it is out.
      chosen: the configuration that all its seeds choose.
      loss: mean of its chain: of what earlier seeds choose.
      error: standard error of it.
      difference: how much worse its chain is than that of the leader.
      difference_error: standard error of it.
      lower: what the difference of its best configuration is above, at the level of
        the look; NaN of too few seeds for a look.
      num_diverged: seeds of `chosen` that diverged.
      num_seeds: seeds these are of.
    """

    set_index: int
    is_left: bool
    out_at: int | None
    lost_to: tuple[tuple[int, int], ...]
    num_configs: int
    chosen: int
    loss: float
    error: float
    difference: float
    difference_error: float
    lower: float
    num_diverged: int
    num_seeds: int


def race_rows(result: RaceResult, task: int = 0) -> tuple[RaceRow, ...]:
    """Return a row per set, at the last look, or of too few seeds for a look.

    Args:
      result: a race that has looked at least once, or of less than 4 seeds.
      task: the task of the losses.

    Raises:
      LoptError: if there was no look yet.
    """
    if not result.num_seeds:
        raise LoptError(
            f"there is no table before the first look, at {FIRST_LOOK} seeds."
        )
    row = _row if result.looks else _early_row
    return tuple(row(result, a, task) for a in range(len(result.field.chains)))


def configs_at_end(
    result: RaceResult, set_index: int, task: int = 0
) -> tuple[tuple[int, ...], int]:
    """Return which configurations a race had left of a set, and on how many seeds.

    Args:
      result: a race that `race_rows` has a table of.
      set_index: the set; of one that is out, they are those before it went.
      task: the task.
    """
    if not result.looks:
        return tuple(result.field.configs[set_index][task]), result.num_seeds
    for look in result.looks:
        if set_index in look.out:
            gone = _last_configs(result, set_index, task)
            return gone, look.look.num_seeds
    return result.looks[-1].configs[set_index][task], result.num_seeds


def _early_row(result: RaceResult, a: int, task: int) -> RaceRow:
    """Return the row of a set where there are too few seeds for a look."""
    field, losses = result.field, result.field.tasks[task]
    leader, _ = field.leader()
    own, best = (_losses_of_chosen(field, s, task) for s in (a, leader))
    _, chosen = field.chosen(a, task)
    return RaceRow(
        set_index=a,
        is_left=True,
        out_at=None,
        lost_to=(),
        num_configs=len(field.configs[a][task]),
        chosen=chosen,
        loss=float(own.mean()),
        error=float(_error(own)),
        difference=float((own - best).mean()),
        difference_error=float(_error(own - best)),
        lower=float("nan"),
        num_diverged=int(losses.diverged[a][chosen, : field.num_seeds].sum()),
        num_seeds=field.num_seeds,
    )


def _losses_of_chosen(field: Field, a: int, task: int) -> np.ndarray:
    """Return the chain of a set; of one seed, the loss of what that seed chooses."""
    if field.num_seeds > 1:
        return field.chains[a][task].test
    _, chosen = field.chosen(a, task)
    return field.tasks[task].test[a][chosen, :1]


def _row(result: RaceResult, a: int, task: int) -> RaceRow:
    field, last = result.field, result.looks[-1]
    looked = next((k for k in result.looks if a in k.out), last)
    is_left = a in last.left
    configs, num_seeds = configs_at_end(result, a, task)
    losses = field.tasks[task]
    valid = losses.outer_valid[a][:, :num_seeds]
    chosen = min((float(valid[b].sum()), b) for b in configs)[1]
    own = field.chains[a][task].test
    # A set that went out has fewer seeds than the leader.
    leader = field.chains[last.leader][task].test[: len(own)]
    differences = own - leader
    # The level at which it was judged last: Holm's, among those left before it went.
    gone_before = [
        b for b in looked.out if not is_left and looked.evidence[b] > looked.evidence[a]
    ]
    num_left = len(looked.left if is_left else looked.evidence) - len(gone_before)
    level = result.rules.alpha * looked.look.share / num_left
    t = float(critical_t(level, len(own)))
    each = losses.test[a][list(configs), 1:num_seeds] - leader
    bounds = each.mean(axis=1) - t * _error(each)
    lost_to = Counter(field.opponents[a].tolist()).most_common()
    return RaceRow(
        set_index=a,
        is_left=is_left,
        out_at=None if is_left else num_seeds,
        lost_to=() if is_left else tuple(lost_to),
        num_configs=len(configs),
        chosen=chosen,
        loss=float(own.mean()),
        error=float(_error(own)),
        difference=float(differences.mean()),
        difference_error=float(_error(differences)),
        lower=float(bounds.min()),
        num_diverged=int(losses.diverged[a][chosen, :num_seeds].sum()),
        num_seeds=num_seeds,
    )


def _last_configs(result: RaceResult, a: int, task: int) -> tuple[int, ...]:
    """Return what was left of a set before the look that put it out."""
    look = next(k for k in result.looks if a in k.out)
    return tuple(b for q, c, b in look.dropped if (q, c) == (task, a))


def _error(x: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean; NaN of a single number."""
    if x.shape[-1] < 2:
        return np.full(x.shape[:-1], np.nan)
    return x.std(axis=-1, ddof=1) / np.sqrt(x.shape[-1])


def low_scores(result: RaceResult) -> tuple[tuple[int, int, float], ...]:
    """Return task, set and score of each set left that fails on a task, of several.

    The score is the share of the reference's improvement, of what earlier seeds
    choose; below `LOW_SCORE` no mean over tasks may hide it.
    """
    tasks = range(len(result.field.tasks))
    scores = [
        (q, a, 1 - float(result.field.chains[a][q].test.mean()))
        for q in tasks
        for a in result.left
        if result.looks and len(tasks) > 1
    ]
    return tuple(x for x in scores if x[2] < LOW_SCORE)


@dataclass(frozen=True)
class MoreSeeds:
    """How many seeds would tell two sets apart, or show them equivalent.

    Each number has a power of 80% if the difference seen is the true one; it scatters
    by a factor of 2 either way: say "about".

    Attributes:
      better: the set supposed to be better.
      worse: the other one.
      config: the configuration of `worse` that is nearest; None on several tasks.
      mean: its mean difference to what `better` chooses, on several tasks the sum.
      sd: standard deviation over seeds of the difference.
      num_differences: these are of.
      to_tell: seeds in all that tell the two apart; None if more would not.
      to_call_equivalent: seeds in all that show them equivalent; None if more would
        not.
      at_look: seeds of the look where the lesser of both is reached; None if there is
        none, or it is beyond ten times the seeds of the race.
      num_more: seeds from the last look to that one; 0 if there is none.
      num_trials: trials these take of all sets left.
    """

    better: int
    worse: int
    config: int | None
    mean: float
    sd: float
    num_differences: int
    to_tell: int | None
    to_call_equivalent: int | None
    at_look: int | None
    num_more: int
    num_trials: int

    @property
    def tells(self) -> bool:
        """Whether these seeds tell the two apart, rather than show them equivalent."""
        at = self.to_call_equivalent
        return self.to_tell is not None and (at is None or self.to_tell <= at)


def more_seeds(result: RaceResult, better: int, worse: int) -> MoreSeeds:
    """Return how many more seeds would decide between two sets left.

    Args:
      result: a race that has looked at least once.
      better: the set supposed to be better.
      worse: the other one.

    Raises:
      LoptError: if there was no look yet, or one of the two is not left.
    """
    if not result.looks or better == worse or not {better, worse} <= set(result.left):
        raise LoptError(
            f"sets {better} and {worse} must be two that a look has left, of "
            f"{list(result.left)} after {len(result.looks)} looks."
        )
    field, rules, last = result.field, result.rules, result.looks[-1]
    num_tasks, num_now = len(field.tasks), field.num_seeds - 1
    differences = [field.against_set(better, worse, q) for q in range(num_tasks)]
    if num_tasks == 1:
        place = int(field.evidence.of(differences[0]).argmin())
        config = field.configs[worse][0][place]
        x = differences[0][place]
        mean, sd = float(x.mean()), float(x.std(ddof=1))
    else:
        total, config = sum_over_tasks(differences), None
        mean, sd = total.mean, total.error * num_now**0.5
    coming = [k for k in rules.looks() if k.num_seeds > field.num_seeds]
    coming = coming or [next_look(rules.max_seeds, rules.earlier)]
    level = rules.alpha * coming[0].share
    totals = [
        None if needed is None else needed + 1
        for needed in (
            seeds_needed(mean, sd, level / len(field.left), at_least=num_now),
            seeds_needed(
                num_tasks * rules.tolerance - abs(mean), sd, level, at_least=num_now
            ),
        )
    ]
    least = min((n for n in totals if n), default=None)
    at_look = None
    if least is not None and least <= _MOST_BUDGETS * rules.max_seeds:
        at_look = _look_at(least, [k.num_seeds for k in coming])
    num_more = at_look - field.num_seeds if at_look else 0
    return MoreSeeds(
        better=better,
        worse=worse,
        config=config,
        mean=mean,
        sd=sd,
        num_differences=num_now,
        to_tell=totals[0],
        to_call_equivalent=totals[1],
        at_look=at_look,
        num_more=num_more,
        num_trials=num_more * _num_configs(last),
    )


def _look_at(num_seeds: int, coming: Sequence[int]) -> int:
    """Return the first look to come of at least so many seeds."""
    for at in coming:
        if at >= num_seeds:
            return at
    at = FIRST_LOOK
    while at < max(num_seeds, coming[-1]):
        at *= 2
    return at


def _num_configs(look: RaceLook) -> int:
    return sum(len(of_task) for of_set in look.configs.values() for of_task in of_set)
