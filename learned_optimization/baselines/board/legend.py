"""How to read the board's tables: what every column means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines.analysis.scores import improvement
from learned_optimization.baselines.analysis.set_results import of_set
from learned_optimization.baselines.board.groups import Group
from learned_optimization.baselines.stats.race_words import listed


def legend(groups: Sequence[Group]) -> list[str]:
    """Return what the columns of `page` say, as items of a list.

    Args:
      groups: the groups, all on the same tasks with the same reference.
    """
    verdict, seeds = groups[0].verdict, groups[0].num_seeds
    columns = {
        "Score": "how much lower the loss is than before training, as a share of how "
        f"much `{verdict.reference}`, the reference, lowers it; the mean over tasks "
        "and runs. 1 is as good as the reference, 0 is no better than untrained. "
        f"{_worth(groups[0])} Each seed counts at the configuration that the seeds "
        "before it choose for a task, so that luck in choosing is not rewarded. The "
        f"first seed only chooses: the interval (95%) is over the other {seeds - 1} of "
        f"{seeds}, for these tasks.",
        "Against the first": "by the rules of [the verdict](report.md"
        "#what-it-says-and-how-it-knows), each pair by itself at 5%; *equivalent* is "
        f"within {100 * verdict.tolerance:.3g}% of the improvement of the reference. A "
        "set in bold keeps up: chance may explain that the first is better. This test "
        "allows for another configuration being truly the best, and the intervals of "
        "scores do not. So a set may keep up although its score is lower than that of "
        "one that does not.",
        "One for all": "the score of the one configuration that is best over all tasks "
        "together. All seeds choose it, and all count.",
        "After k tries": "the expected score of the best of k configurations drawn at "
        "random, for each task, over all seeds together.",
        "At edge": "tasks on which the best configuration is the first or the last of "
        "the search, so that a better one may lie beyond.",
        "Good rates": "how many decades the learning rates span whose loss is at most "
        "5% above the best, median over tasks; ≥ where they reach the edge of the "
        "search on so many tasks that the median may be larger.",
        "Diverged": "the share of all trials that end with no finite loss.",
        "Sooner": "the reference's number of updates to "
        f"{verdict.target_share:.0%} of its improvement, over the set's number to the "
        "same loss (2 is twice as fast): at most that (≤) where the set misses the "
        "target with some seed, at least that (≥) where the reference does, and rough "
        f"(~) where both do. {_thinned(groups[0])}",
        "Step, state": _measured_on(groups),
    }
    return [f"- **{name}:** {text.strip()}" for name, text in columns.items()]


def _thinned(group: Group) -> str:
    if not any(result.curves.thinned for row in group.results for result in row):
        return ""
    return (
        "The release's curves are thin, which [changes these times]"
        "(releases.md#what-a-thin-archive-has), by up to a sixth where it was checked."
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
        f"A difference of 0.01 is {middle:.1%} of the reference's final loss on the "
        f"median task, and {low:.1%} to {high:.1%} over all of them."
    )


def _measured_on(groups: Sequence[Group]) -> str:
    costs = [line.cost for group in groups for line in group.lines if line.cost]
    if not costs:
        return "they were not measured."
    tasks = listed([f"`{task}`" for task in sorted({c.task for c in costs})])
    sizes = sorted({c.num_params for c in costs})
    return (
        "the time of a whole step relative to SGD's, and the bytes of state per "
        "parameter, for one trial alone on a "
        f"{costs[0].machine.device.split()[0].upper()}, on {tasks} "
        f"({listed([f'{size:,}' for size in sizes])} parameters); on larger models "
        "both differ. A dash where they were not measured."
    )
