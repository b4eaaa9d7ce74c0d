"""Which of several sets is best, with few trials: a race (docs/race.md).

The claim is about the best configuration of each set: its expected test loss, seeds
being the randomness, losses clipped at the ceiling. The probability that a truly best
set is ever out is at most alpha, however many looks there are: levels are shared among
looks, and by Holm's rule among the sets left.

A race is a function of the losses of its trials. To go on with one, call `race` again
with more of them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from learned_optimization.baselines.stats.chains import TaskLosses, prepared
from learned_optimization.baselines.stats.checks import check_between
from learned_optimization.baselines.stats.evidence import Evidence, SmallerT
from learned_optimization.baselines.stats.field import Dropped, Field
from learned_optimization.baselines.stats.looks import (
    SEEDS_OF_A_VERDICT,
    Look,
    look_levels,
)
from learned_optimization.errors import LoptError, check_at_least


class Outcome(enum.Enum):
    """How a race stands; the value is its sentence, filled in by `race_sentence`."""

    BETTER = "{leader} is better than {out} ({claim})"
    EQUIVALENT = "{left} are equivalent within {tolerance}{worse} ({claim})"
    WITHIN = "{leader} is within {tolerance} of the best of {left}{worse} ({claim})"
    UNDECIDED = "undecided between {left} after {seeds}{worse}{ahead} ({claim})"
    WAITING = "waiting for {trials} at {next_seeds}{worse} ({claim})"


@dataclass(frozen=True)
class RaceRules:
    """What a race is about, and how far it goes.

    Attributes:
      tolerance: difference in loss that does not matter; on several tasks in the mean
        over tasks of scaled losses.
      alpha: how likely a truly best set may ever be out.
      max_seeds: seeds of the last look.
      until: `"best"` also stops where one set is within the tolerance of the best.
      earlier: `max_seeds` of races this one goes on from (`look_levels`).
      max_trials: a look that takes more is not begun.
      evidence: the test, e.g. `EProcess()`, whose looks may be anywhere.
    """

    tolerance: float
    alpha: float = 0.05
    max_seeds: int = 128
    until: Literal["all", "best"] = "all"
    earlier: tuple[int, ...] = ()
    max_trials: int | None = None
    evidence: Evidence = field(default_factory=SmallerT)

    def __post_init__(self) -> None:
        """Refuse rules that cannot be followed."""
        check_between("alpha", self.alpha, 0, 1)
        check_at_least("max_seeds", self.max_seeds, 1)
        if not (np.isfinite(self.tolerance) and self.tolerance >= 0):
            raise LoptError(
                f"tolerance must be a difference in loss, at least 0, got "
                f"{self.tolerance!r}."
            )
        if self.until not in ("all", "best"):
            raise LoptError(f'until must be "all" or "best", got {self.until!r}.')

    def looks(self) -> tuple[Look, ...]:
        """Return when the race looks."""
        return look_levels(self.max_seeds, self.earlier)


@dataclass(frozen=True)
class RaceLook:
    """What a look found.

    Attributes:
      look: how many seeds, at which share of alpha.
      num_trials: trials so far.
      num_uniform: trials so far if every configuration had run.
      dropped: task, set and configuration of each that is dropped here.
      out: sets that are out from here on.
      left: sets left.
      configs: per set left, per task, the configurations left.
      leader: the set left with the least outer_valid loss.
      chosen: per task, the configuration it chooses.
      evidence: against each set that was left before.
      needed: what the evidence had to exceed for each, while no set had gone here.
      within: the leader is less than the tolerance worse than every other set left.
      equivalent: so is every set left than every other; False where one is left.
    """

    look: Look
    num_trials: int
    num_uniform: int
    dropped: tuple[Dropped, ...]
    out: tuple[int, ...]
    left: tuple[int, ...]
    configs: dict[int, tuple[tuple[int, ...], ...]]
    leader: int
    chosen: tuple[int, ...]
    evidence: dict[int, float]
    needed: dict[int, float]
    within: bool
    equivalent: bool


@dataclass(frozen=True)
class Wanted:
    """What a race waits for.

    Attributes:
      look: the next look.
      first_seed: the first seed from 0 that no look has used.
      configs: task, set and configuration that run on all seeds up to the look.
      missing: task, set, configuration and seed of each trial that has not run.
    """

    look: Look
    first_seed: int
    configs: tuple[Dropped, ...]
    missing: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, eq=False)
class RaceResult:
    """A race as far as its trials reach.

    Attributes:
      rules: its rules.
      outcome: how it stands.
      looks: what each look found.
      left: sets that may be the best.
      wanted: what it waits for; None where it is decided, or has ended.
      stopped_by_trials: whether it ended for `max_trials`.
      field: chains and differences behind the looks, for `race_rows` and `more_seeds`.
    """

    rules: RaceRules
    outcome: Outcome
    looks: tuple[RaceLook, ...]
    left: tuple[int, ...]
    wanted: Wanted | None
    stopped_by_trials: bool
    field: Field

    @property
    def num_trials(self) -> int:
        """How many trials the looks have used."""
        return self.looks[-1].num_trials if self.looks else 0

    @property
    def num_seeds(self) -> int:
        """How many seeds the last look has used, or are there of too few for one."""
        return self.field.num_seeds


def race(tasks: Sequence[TaskLosses] | TaskLosses, rules: RaceRules) -> RaceResult:
    """Return how a race stands, given the losses of its trials so far.

    Column t of all losses is of the same seed. Trials that the race does not ask for
    may be missing, or there: those of a configuration after it is dropped are not
    looked at.

    Args:
      tasks: losses on each task, of the same sets in the same order; or on one.
      rules: of the race.

    Raises:
      LoptError: if there are no two sets, tasks have different sets, or losses are
        none (`TaskLosses`).
    """
    tasks = [tasks] if isinstance(tasks, TaskLosses) else list(tasks)
    checked = [prepared(task) for task in tasks]
    if not checked or len({len(task.test) for task in checked}) > 1:
        raise LoptError(
            "a race needs at least one task, and the same sets on each, got "
            f"{[len(task.test) for task in checked]} sets."
        )
    if len(checked) > 1 and not isinstance(rules.evidence, SmallerT):
        raise LoptError(
            "several tasks are compared by the t test only: leave out evidence, or "
            "race on each task."
        )
    state = Field(checked, rules.alpha, rules.evidence)
    uniform_configs = state.num_configs
    looks: list[RaceLook] = []
    num_trials = 0

    def result(outcome: Outcome, **ending: object) -> RaceResult:
        wanted = ending.get("wanted")
        return RaceResult(
            rules=rules,
            outcome=outcome,
            looks=tuple(looks),
            left=tuple(state.left),
            wanted=wanted if isinstance(wanted, Wanted) else None,
            stopped_by_trials=bool(ending.get("stopped_by_trials")),
            field=state,
        )

    for look in rules.looks():
        num_new = look.num_seeds - state.num_seeds
        num_trials += num_new * state.num_configs
        if rules.max_trials is not None and num_trials > rules.max_trials:
            return result(Outcome.UNDECIDED, stopped_by_trials=True)
        wanted = _wanted(state, look)
        if wanted.missing:
            return result(Outcome.WAITING, wanted=wanted)
        state.extend(look.num_seeds)
        uniform = look.num_seeds * uniform_configs
        looks.append(_look(state, look, rules.tolerance, num_trials, uniform))
        if outcome := _outcome(looks[-1], rules.until):
            return result(outcome)
    if not looks:
        return _too_few(state, rules, result)
    return result(Outcome.UNDECIDED)


def _too_few(
    state: Field, rules: RaceRules, result: Callable[..., RaceResult]
) -> RaceResult:
    """Return a race of too few seeds for a look: there are losses, and no verdict."""
    num_trials = state.num_configs * rules.max_seeds
    if rules.max_trials is not None and num_trials > rules.max_trials:
        return result(Outcome.UNDECIDED, stopped_by_trials=True)
    wanted = _wanted(state, Look(rules.max_seeds, 0.0))
    if wanted.missing:
        return result(Outcome.WAITING, wanted=wanted)
    state.extend(rules.max_seeds)
    return result(Outcome.UNDECIDED)


def _wanted(state: Field, look: Look) -> Wanted:
    configs, missing = tuple(state.trials_left()), []
    for q, a, b in configs:
        ran = state.tasks[q].ran[a][b, : look.num_seeds]
        if len(ran) == look.num_seeds and ran.all():
            continue
        seeds = [*np.flatnonzero(~ran).tolist(), *range(len(ran), look.num_seeds)]
        missing += [(q, a, b, seed) for seed in seeds]
    return Wanted(look, state.num_seeds, configs, tuple(missing))


def _look(
    state: Field, look: Look, tolerance: float, num_trials: int, num_uniform: int
) -> RaceLook:
    evidence, needed = state.evidence_of_sets(), state.needed(look.share)
    dropped, out = state.drop(look.share)
    leader, chosen = state.leader()
    within = equivalent = False
    if look.num_seeds >= SEEDS_OF_A_VERDICT:
        others = [a for a in state.left if a != leader]
        within = all(state.within(leader, a, tolerance, look.share) for a in others)
        equivalent = within and bool(others)
        equivalent = equivalent and all(
            state.within(a, b, tolerance, look.share)
            for a in others
            for b in state.left
            if a != b
        )
    return RaceLook(
        look=look,
        num_trials=num_trials,
        num_uniform=num_uniform,
        dropped=tuple(dropped),
        out=tuple(out),
        left=tuple(state.left),
        configs={a: tuple(map(tuple, c)) for a, c in state.configs.items()},
        leader=leader,
        chosen=chosen,
        evidence=evidence,
        needed=needed,
        within=within,
        equivalent=equivalent,
    )


def _outcome(look: RaceLook, until: str) -> Outcome | None:
    if len(look.left) == 1:
        return Outcome.BETTER
    if look.equivalent:
        return Outcome.EQUIVALENT
    return Outcome.WITHIN if until == "best" and look.within else None
