"""What longer runs say of the board: the same optimizers, more updates, fewer tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines import stats
from learned_optimization.baselines.board.groups import CONSTANT, Group, Line, group
from learned_optimization.baselines.board.words import (
    OUTCOMES,
    in_one_line,
    optimizer_text,
    rates_text,
    score_text,
    table,
)
from learned_optimization.baselines.stats.race_words import count
from learned_optimization.errors import LoptError, check_at_least

FEWEST = 3
"""Optimizers of which an order says something."""


@dataclass(frozen=True, eq=False)
class Longer:
    """Optimizers on the same tasks after few updates and after many.

    Attributes:
      short: their sets of the board's length, on these tasks alone.
      long: their longer sets.
      pairs: the two lines of each optimizer, the best in long runs first.
    """

    short: Group
    long: Group
    pairs: tuple[tuple[Line, Line], ...]

    @property
    def lengths(self) -> tuple[int, int]:
        """Updates of the short sets and of the long ones."""
        short, long = self.short.results[0][0], self.long.results[0][0]
        return short.num_steps, long.num_steps

    @property
    def rank_correlation(self) -> float:
        """Spearman's correlation of the two orders; 1 if they are the same."""
        ranks = [
            stats.mean_ranks([[-line.overall.score.estimate] for line in lines])
            for lines in zip(*self.pairs, strict=True)
        ]
        return float(np.corrcoef(ranks)[0, 1])


def longer(
    task_names: Sequence[str],
    set_names: Sequence[tuple[str, str]],
    reference: tuple[str, str],
) -> Longer:
    """Compare optimizers after few updates and after many.

    Args:
      task_names: the tasks.
      set_names: of each optimizer the short and the long set, archived on all tasks.
      reference: the short and the long set that scores refer to; one of `set_names`.

    Raises:
      LoptError: for fewer than three optimizers, or if they cannot be compared on all
        of the tasks.
    """
    check_at_least("optimizers in longer runs", len(set_names), FEWEST)
    if reference not in set_names:
        raise LoptError(f"{reference} is not among the sets of longer runs.")
    short_names, long_names = zip(*set_names, strict=True)
    short = group(CONSTANT, task_names, short_names, reference[0])
    long = group(CONSTANT, task_names, long_names, reference[1])
    shorts = {line.set_name: line for line in short.lines}
    short_of = dict(zip(long_names, short_names, strict=True))
    pairs = tuple((shorts[short_of[line.set_name]], line) for line in long.lines)
    return Longer(short, long, pairs)


def longer_summary(longer: Longer) -> str:
    """Return what the head of the page says of longer runs."""
    few, many = longer.lengths
    reference = longer.long.verdict.reference
    moved_short, moved = max(
        (pair for pair in longer.pairs if pair[1].set_name != reference),
        key=lambda pair: abs(pair[0].place - pair[1].place),
    )
    first, *rest = longer.long.lines
    even = sum(line.keeps_up for line in rest)
    also = f", and {even} of the others may be as good or better" if even else ""
    scores = [f"{x.overall.score.estimate:.3f}" for x in (moved_short, moved)]
    return (
        f"- **After {many:,} updates** (on {count(len(longer.long.results), 'task')}): "
        f"{first.label} comes first of {count(len(longer.pairs), 'set')}{also}. The "
        f"rank correlation of scores with those after {few:,} is "
        f"{longer.rank_correlation:.2f}; {moved.label} moves by the most places, from "
        f"a score of {' to '.join(scores)}."
    )


def longer_section(longer: Longer, images: str) -> list[str]:
    """Return the section of the page.

    Args:
      longer: what longer runs say.
      images: folder of the figures, relative to the page.
    """
    few, many = longer.lengths
    tasks = [row[0].task_name for row in longer.long.results]
    head = ["", "optimizer", f"score after {many:,}", "against the first"]
    head += ["at edge", "good rates", f"score after {few:,}", f"place after {few:,}"]
    rule = ["--:", "---", "---", "---", "--:", "--:", "---", "--:"]
    rows = [_row(short, long) for short, long in longer.pairs]
    return [
        f"## After {many:,} updates",
        "",
        f"Does the order hold in runs {many / few:.3g} times as long? On "
        f"{count(len(tasks), 'task')} the release has "
        f"{count(len(longer.pairs), 'set')} at a constant rate; their scores refer to "
        "Adam after the same number of updates. Between sets that are equivalent, or "
        "not told apart, the places mean nothing.",
        "",
        f"![Scores after {few:,} and {many:,} updates]({images}/longer.svg)",
        "",
        *table(head, rule, rows),
        "",
        "Tasks: " + ", ".join(f"`{task}`" for task in tasks) + ".",
        "",
    ]


def _row(short: Line, long: Line) -> list[str]:
    return [
        str(long.place),
        optimizer_text(long),
        in_one_line(score_text(long)),
        OUTCOMES[long.outcome],
        str(long.at_edge or ""),
        rates_text(long),
        in_one_line(score_text(short)),
        str(short.place),
    ]
