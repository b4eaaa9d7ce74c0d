"""What a race found, in one sentence with its claim."""

from __future__ import annotations

from collections.abc import Sequence

from learned_optimization.baselines.stats.divergence import divergence_bound
from learned_optimization.baselines.stats.race_rows import (
    MoreSeeds,
    RaceRow,
    low_scores,
    more_seeds,
    race_rows,
)
from learned_optimization.baselines.stats.racing import Outcome, RaceResult

CLAIM = "about the best configuration of each set"
"""What every verdict is about: not the one that a race happens to choose."""


def race_sentence(result: RaceResult, names: Sequence[str]) -> str:
    """Return how a race stands.

    Args:
      result: the race.
      names: of the sets.
    """
    rows = {row.set_index: row for row in race_rows(result)} if result.num_seeds else {}
    out = [row for row in rows.values() if row.out_at is not None]
    leader = result.looks[-1].leader if result.looks else result.left[0]
    of_out = listed([names[row.set_index] for row in out])
    worse = f"; {of_out} {'is' if len(out) == 1 else 'are'} worse" if out else ""
    wanted = result.wanted
    sentence = result.outcome.value.format(
        leader=names[leader],
        left=listed([names[a] for a in result.left]),
        out=of_out,
        worse=worse,
        tolerance=f"{result.rules.tolerance:g}",
        seeds=count(result.num_seeds, "seed"),
        ahead=_ahead(result, rows, names),
        trials=count(len(wanted.missing), "trial") if wanted else "",
        next_seeds=count(wanted.look.num_seeds, "seed") if wanted else "",
        claim=f"{_seeds_of(out)}family-wise {result.rules.alpha:.0%}, {CLAIM}",
    )
    sentence = sentence[0].upper() + sentence[1:] + "."
    if result.outcome is Outcome.BETTER:
        sentence += f" {divergence_sentence(rows[leader], names)}"
    return " ".join([sentence, *_failures(result, names)])


def _failures(result: RaceResult, names: Sequence[str]) -> list[str]:
    """Return where sets left have little of the reference's improvement."""
    tasks = [task.name or f"task {q}" for q, task in enumerate(result.field.tasks)]
    return [
        f"On {tasks[q]} {names[a]} has a score of {score:.2f} only."
        for q, a, score in low_scores(result)
    ]


def divergence_sentence(row: RaceRow, names: Sequence[str]) -> str:
    """Return how often a set diverges, and how often it still might."""
    name, seeds = names[row.set_index], count(row.num_seeds, "seed")
    bound = divergence_bound(row.num_diverged, row.num_seeds)
    seen = (
        f"in {row.num_diverged} of {seeds}"
        if row.num_diverged
        else f"in none of {seeds}"
    )
    return f"{name} diverged {seen}: at most {bound:.0%} of its trials do (95% sure)."


def lost_sentence(row: RaceRow, names: Sequence[str]) -> str:
    """Return to whom a set that is out has lost."""
    total = sum(n for _, n in row.lost_to)
    (first, most), *rest = row.lost_to
    parts = [f"{names[first]} ({most} of {count(total, 'seed')})"]
    parts += [f"{names[a]} ({n})" for a, n in rest]
    best = "the best of " if rest else ""
    return f"worse than {best}{listed(parts)}"


def more_seeds_sentence(more: MoreSeeds, names: Sequence[str]) -> str:
    """Return how many more seeds would decide between two sets."""
    a, b = names[more.better], names[more.worse]
    if more.at_look is None:
        return (
            f"it takes more seeds than this budget can give to decide between {a} and "
            f"{b}; a larger tolerance takes fewer"
        )
    does = f"tell {a} from {b}" if more.tells else f"show {a} and {b} equivalent"
    return (
        f"about {count(more.num_more, 'more seed')} "
        f"({count(more.num_trials, 'trial')}) would {does}"
    )


def _ahead(result: RaceResult, rows: dict[int, RaceRow], names: Sequence[str]) -> str:
    """Return who is ahead of whom, and what would decide between them."""
    if result.outcome is not Outcome.UNDECIDED or not result.looks:
        return ""
    look = result.looks[-1]
    leader = look.leader
    others = [rows[a] for a in look.left if a != leader]
    nearest = min(others, key=lambda row: row.difference)
    ahead, behind = names[leader], names[nearest.set_index]
    if nearest.difference < 0:
        ahead, behind = behind, ahead
    said = (
        f": {ahead} is ahead of {behind} by {abs(nearest.difference):.2g} +- "
        f"{nearest.difference_error:.2g}"
    )
    if look.within:
        said += f"; {names[leader]} is within {result.rules.tolerance:g} of the best"
    pairs = [(leader, nearest.set_index), (nearest.set_index, leader)]
    proposals = [more_seeds(result, *pair) for pair in pairs]
    best = min(proposals, key=lambda m: m.at_look or float("inf"))
    return f"{said}; {more_seeds_sentence(best, names)}"


def _seeds_of(out: Sequence[RaceRow]) -> str:
    at = sorted({row.out_at for row in out if row.out_at is not None})
    if not at:
        return ""
    return f"{at[0]} seeds, " if len(at) == 1 else f"{at[0]} to {at[-1]} seeds, "


def count(number: int, noun: str) -> str:
    """Return a number of things, as `5 seeds`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(items: Sequence[str], word: str = "and") -> str:
    """Return things in a row, as `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {word} {items[-1]}"
