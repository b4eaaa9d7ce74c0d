"""How the board's page says what a line of it has."""

from __future__ import annotations

import math
from collections.abc import Sequence

from learned_optimization.baselines import stats
from learned_optimization.baselines.board.groups import Line
from learned_optimization.baselines.report.verdict_words import interval

OUTCOMES = {
    None: "first",
    stats.PairOutcome.BETTER: "worse",
    stats.PairOutcome.EQUIVALENT: "equivalent",
    stats.PairOutcome.UNDECIDED: "not told apart",
    stats.PairOutcome.TOO_FEW_SEEDS: "too few seeds",
}
"""What a line is called against the first of its group."""


def optimizer_text(line: Line) -> str:
    """Return what a line's optimizer is called, in bold if it keeps up."""
    return f"**{line.label}**" if line.keeps_up else line.label


def score_text(line: Line) -> str:
    """Return a line's score with its interval, if it has one."""
    return interval(line.overall.score, digits=3)


def rates_text(line: Line) -> str:
    """Return how wide the range of good learning rates is, a dash if nobody knows."""
    if math.isnan(line.decades):
        return "-"
    return in_one_line(f"{'≥ ' * line.is_wider}{line.decades:.2f}")


def share_text(share: float) -> str:
    """Return a share in percent, `<1%` of one that is not 0."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def in_one_line(text: str) -> str:
    """Return a cell's text that a narrow column does not break."""
    return text.replace(" ", "&nbsp;")


def table(
    head: Sequence[str], rule: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[str]:
    """Return the lines of a table in Markdown.

    Args:
      head: titles of the columns.
      rule: for each column `---`, or `--:` of numbers.
      rows: the cells.
    """
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
