"""The head of the board's page: what comes first of each group, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

from learned_optimization.baselines import stats
from learned_optimization.baselines.board.groups import LEARNED, TITLES, Group
from learned_optimization.baselines.board.words import score_text
from learned_optimization.baselines.stats.race_words import count, listed

_THAN = {
    stats.PairOutcome.BETTER: "is better",
    stats.PairOutcome.EQUIVALENT: "is equivalent",
    stats.PairOutcome.UNDECIDED: "is not told apart from it",
    stats.PairOutcome.TOO_FEW_SEEDS: "has too few seeds to compare them",
}

# Sets that are named of those with the best configuration for all tasks.
_SHOWN = 3


def summary(groups: Sequence[Group]) -> list[str]:
    """Return a line on each group, and on one setting for all tasks, as a list.

    Args:
      groups: the groups.
    """
    said = [f"- **{TITLES[group.name]}:** {_first_of(group)}." for group in groups]
    return said + _one_for_all(groups)


def _one_for_all(groups: Sequence[Group]) -> list[str]:
    """Return who has the best configuration for all tasks, and who needs several."""
    tuned = [line for g in groups if g.name != LEARNED for line in g.own]
    if len(tuned) <= _SHOWN:
        return []
    tuned.sort(key=lambda line: -line.for_all.one)
    first, *next_ = tuned[:_SHOWN]
    others = listed([f"{x.label} {x.for_all.one:.3f}" for x in next_])
    most = max(tuned, key=lambda x: x.for_all.each - x.for_all.one)
    return [
        "- **With one configuration for all tasks**, the one that is best over them: "
        f"{first.label} scores {first.for_all.one:.3f}, {others}. {most.label} loses "
        f"most by it: {most.for_all.one:.3f} instead of {most.for_all.each:.3f}."
    ]


def _first_of(group: Group) -> str:
    """Return what comes first of a group, and how sure that is, pair by pair."""
    line, own = group.own[0], group.own
    comes = "has" if len(own) == 1 else f"comes first of {count(len(own), 'set')}, with"
    says = f"{line.label} {comes} a score of {score_text(line)}"
    best = group.lines[0]
    if best is not line:
        # What stands beside a group to be compared with is ahead of it.
        than = _THAN[line.outcome] if line.outcome else "is ahead"
        return f"{says}; tuned {best.label}, with {score_text(best)}, {than}"
    rest = [other for other in own if other is not line]
    worse = [other.label for other in rest if not other.keeps_up]
    open_ = [other.label for other in rest if other.keeps_up]
    if worse:
        all_of = "each of the others" if not open_ else f"{len(worse)} of the others"
        says += f". Taken pair by pair it is better than {all_of}"
    if open_:
        says += f"; {listed(open_)} may be as good or better"
    return says
