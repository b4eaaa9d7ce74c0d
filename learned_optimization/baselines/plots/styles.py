"""A colour and a dash for every set, the same in every figure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from learned_optimization.baselines.sets.checkpoint_sets import family_of_name
from learned_optimization.baselines.sets.registry import SETS

COLORS = (
    "#245BEB",
    "#C87E13",
    "#00792B",
    "#FF50A8",
    "#947FF6",
    "#389AA3",
    "#D10000",
    "#7D5F7D",
    "#749E64",
    "#B94861",
)
"""Ten that can be told apart, also by the colour-blind, on white and on a dark page.

They are as far apart as a search found with a contrast of at least 3 to 1 on both: by
CIEDE2000 at least 17 to most eyes, and 10 to those that lack one kind of cone.
"""

DASHES = ("solid", "dashed", "dotted", "dashdot")
"""As matplotlib names them."""


@dataclass(frozen=True)
class Style:
    """How a set is drawn.

    Attributes:
      color: `#rrggbb`, one of `COLORS`.
      dash: one of `DASHES`.
    """

    color: str
    dash: str


def styles(set_names: Sequence[str]) -> dict[str, Style]:
    """Return a style for each set.

    A set of the package has a place of its own, whatever it is drawn with: its family
    (`HParamSet.family`) shares it with few others. Of up to ten sets that are drawn
    together no two have the same colour; of up to forty no two have the same colour
    and dash. Where two would, the set whose family comes first in the package's table
    keeps its own, and the other has the next colour that is free. Sets that are not
    the package's come last. Their places follow from their names alone, of sets of a
    checkpoint without their length, so that their archives are drawn alike whether
    they are defined in this process or not.

    Args:
      set_names: sets drawn together.
    """
    slots = [Style(color, dash) for dash in DASHES for color in COLORS]
    places = _places()

    def rank(name: str) -> tuple[int, str]:
        return places.get(name, len(places)), name

    taken: set[int] = set()
    colors: set[str] = set()
    chosen = {}
    for name in sorted(dict.fromkeys(set_names), key=rank):
        of_name = zlib.crc32(family_of_name(name).encode())
        place = places.get(name, of_name) % len(slots)
        if len(taken) == len(slots):
            taken.clear()
        if len(colors) == len(COLORS):
            colors.clear()
        slot = next(
            slot
            for slot in _nearest(place, len(slots))
            if slot not in taken and slots[slot].color not in colors
        )
        taken.add(slot)
        colors.add(slots[slot].color)
        chosen[name] = slots[slot]
    return {name: chosen[name] for name in set_names}


def _nearest(place: int, count: int) -> Iterator[int]:
    """Yield the slots after a place: first those of its dash, then of the next ones."""
    width = len(COLORS)
    row, column = divmod(place, width)
    for down in range(count // width):
        for right in range(width):
            yield (row + down) * width % count + (column + right) % width


@lru_cache
def _places() -> dict[str, int]:
    """Return the place of each set of the package: that of its family in the table."""
    families = {name: SETS.get(name).family for name in SETS.packaged()}
    order = list(dict.fromkeys(families.values()))
    return {name: order.index(family) for name, family in families.items()}
