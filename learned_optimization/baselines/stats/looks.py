"""When a race looks at its losses, and how much of alpha each look may spend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from learned_optimization.errors import LoptError, check_at_least

FIRST_LOOK = 4
"""Seeds of the first look; nothing is said of fewer."""

SEEDS_OF_A_VERDICT = 8
"""Seeds before which no set is out and nothing is equivalent in a race."""

_LOOKS_OF_EQUAL_SHARE = 6


@dataclass(frozen=True)
class Look:
    """A look at the first seeds of a race.

    Attributes:
      num_seeds: how many seeds are looked at.
      share: of alpha, that this look may spend.
    """

    num_seeds: int
    share: float


def look_levels(max_seeds: int, earlier: Iterable[int] = ()) -> tuple[Look, ...]:
    """Return when a race looks, and the share of alpha of each look.

    The looks are at 4, 8, 16 ... seeds. Six of them have a seventh of alpha each, and
    those after them half of the one before, so that all shares sum to at most 1. They
    do not depend on `max_seeds`, so that a race may go on with more. A last look
    between two of these takes half of what is left to the next of them; a race that
    goes on has the other half there.

    Args:
      max_seeds: of the race.
      earlier: `max_seeds` of earlier races of the same sets that this one goes on
        from, where they had a last look.

    Raises:
      LoptError: if a number is no whole number of at least 1, or an earlier race had
        more seeds than `max_seeds`.
    """
    ends = [*earlier, max_seeds]
    for end in ends:
        check_at_least("max_seeds", end, 1)
    if max_seeds < max(ends):
        raise LoptError(
            f"max_seeds must be at least {max(ends)}, as an earlier race of these sets "
            f"has looked at so many seeds, got {max_seeds}."
        )
    ends = sorted(set(ends))
    looks: list[Look] = []
    before, num_seeds, num_looks = 0, FIRST_LOOK, 0
    share = 1 / (_LOOKS_OF_EQUAL_SHARE + 1)
    while before < max_seeds:
        left = share
        for end in ends:
            if max(before, FIRST_LOOK - 1) < end < num_seeds:
                left /= 2
                looks.append(Look(end, left))
        if num_seeds <= max_seeds:
            looks.append(Look(num_seeds, left))
        before, num_seeds, num_looks = num_seeds, 2 * num_seeds, num_looks + 1
        if num_looks >= _LOOKS_OF_EQUAL_SHARE:
            share /= 2
    return tuple(looks)


def next_look(max_seeds: int, earlier: Iterable[int] = ()) -> Look:
    """Return the look that a race of more seeds would have next after `max_seeds`.

    Args:
      max_seeds: of the race that ended.
      earlier: as in `look_levels`.
    """
    grid = FIRST_LOOK
    while grid <= max_seeds:
        grid *= 2
    return look_levels(grid, [*earlier, max_seeds])[-1]


def is_scheduled(num_seeds: int) -> bool:
    """Return whether every race of enough seeds looks at so many: 4, 8, 16 ..."""
    at = FIRST_LOOK
    while at < num_seeds:
        at *= 2
    return at == num_seeds
