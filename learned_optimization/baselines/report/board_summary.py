"""The head of the board's page: what comes first of each group, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

from learned_optimization.baselines import stats
from learned_optimization.baselines.report.board import TITLES, Group
from learned_optimization.baselines.report.board_words import score_text
from learned_optimization.baselines.stats.race_words import count, listed

_THAN = {
    stats.PairOutcome.BETTER: "which is better",
    stats.PairOutcome.EQUIVALENT: "which is equivalent",
    stats.PairOutcome.UNDECIDED: "which is not told apart from it",
    stats.PairOutcome.TOO_FEW_SEEDS: "with too few seeds to compare them",
}


def summary(groups: Sequence[Group]) -> list[str]:
    """Return a line on each group, as an item of a list.

    Args:
      groups: the groups.
    """
    return [f"- **{TITLES[group.name]}:** {_first_of(group)}." for group in groups]


def _first_of(group: Group) -> str:
    """Return what comes first of a group, and how sure that is, pair by pair."""
    line, own = group.own[0], group.own
    says = f"{line.label} has a score of {score_text(line)}"
    if len(own) > 1:
        says = (
            f"{line.label} comes first of {count(len(own), 'set')}, with a score of "
            f"{score_text(line)}"
        )
    best = group.lines[0]
    if best is not line:
        # What stands beside a group to be compared with is ahead of it.
        than = _THAN[line.outcome] if line.outcome else ""
        return f"{says}; {best.label}, tuned, has {score_text(best)}, {than}"
    rest = [other for other in own if other is not line]
    worse = [other.label for other in rest if not other.keeps_up]
    open_ = [other.label for other in rest if other.keeps_up]
    if worse:
        all_of = "each of the others" if not open_ else f"{len(worse)} of the others"
        says += f". Taken pair by pair it is better than {all_of}"
    if open_:
        says += f"; {listed(open_)} may be as good or better"
    return says
