"""How to read the board's tables: what every column means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines.analysis.scores import improvement
from learned_optimization.baselines.analysis.set_results import of_set
from learned_optimization.baselines.board.groups import Group
from learned_optimization.baselines.stats.race_words import count, listed


def legend(groups: Sequence[Group]) -> list[str]:
    """Return what the columns of `page` say, as items of a list.

    Args:
      groups: the groups, all on the same tasks with the same reference.
    """
    verdict, seeds = groups[0].verdict, groups[0].num_seeds
    columns = {
        "Score": f"the share of the improvement of `{verdict.reference}` over the "
        "untrained loss, mean over tasks and runs; 1 is as good as that, 0 as not "
        f"trained. {_worth(groups[0])} Each seed counts at the configuration that the "
        "seeds before it choose for a task, so that choosing is not rewarded for luck; "
        f"the interval (95%) is over the other {seeds - 1} of "
        f"{count(seeds, 'seed')}, on these tasks.",
        "Against the first": "by the rules of [the verdict](report.md"
        "#what-it-says-and-how-it-knows), each pair by itself at 5%; *equivalent* is "
        f"within {100 * verdict.tolerance:.3g}% of the improvement of the reference. A "
        "set in bold keeps up: the first is not better than it beyond chance. That "
        "allows for another configuration being the best in truth, as the intervals "
        "of the scores do not: so a set may keep up that has a lower score than one "
        "that does not.",
        "One for all": "the score of the one configuration that is best over all tasks "
        "together.",
        "After k tries": "the expected score of the best of k configurations drawn at "
        "random, for each task, of all seeds together.",
        "At edge": "tasks on which the best configuration is the first or the last of "
        "the search, so that a better one may lie beyond.",
        "Good rates": "decades of learning rates whose loss is at most 5% above the "
        "best, median over tasks; ≥ where they reach the edge of the search on half "
        "of the tasks.",
        "Diverged": "the share of all trials that end with no finite loss.",
        "Sooner": "how many times fewer updates than the reference it takes to "
        f"{verdict.target_share:.0%} of the reference's improvement: at most that (≤) "
        "where the set misses the target with some seed, at least that (≥) where the "
        f"reference does, rough (~) where both do. {_thinned(groups[0])}",
        "Step, state": _measured_on(groups),
        "Fails on": "tasks on which it has less than half of the improvement of the "
        "reference.",
    }
    return [f"- **{name}:** {text.strip()}" for name, text in columns.items()]


def _thinned(group: Group) -> str:
    if not any(result.curves.thinned for row in group.results for result in row):
        return ""
    return (
        "Curves of the release are thin, which [changes times]"
        "(releases.md#what-a-thin-archive-has), by up to a sixth where that was "
        "checked."
    )


def _worth(group: Group) -> str:
    """Return what a hundredth of a score is, in losses."""
    shares = []
    for row in group.results:
        reference = of_set(row, group.verdict.reference)
        final = float(reference.best.final[reference.report].mean())
        shares.append(0.01 * improvement(row, reference.set_name) / final)
    low, middle, high = np.percentile(shares, [0, 50, 100])
    return (
        f"A hundredth of it is {middle:.1%} of the reference's last loss on the middle "
        f"task, from {low:.1%} to {high:.1%}."
    )


def _measured_on(groups: Sequence[Group]) -> str:
    costs = [line.cost for group in groups for line in group.lines if line.cost]
    if not costs:
        return "nobody measured them."
    tasks = listed([f"`{task}`" for task in sorted({c.task for c in costs})])
    sizes = sorted({c.num_params for c in costs})
    return (
        "seconds of a whole step over those of SGD, and bytes for each parameter, of "
        f"one trial on {tasks} ({listed([f'{size:,}' for size in sizes])} parameters) "
        f"alone on a {costs[0].machine.device.split()[0].upper()}; on larger models "
        "both differ. A dash where nobody measured them."
    )
