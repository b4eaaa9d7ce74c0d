"""A colour and a dash for every set, the same in every figure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from learned_optimization.baselines.sets.registry import SETS

# Okabe & Ito's palette, safe for the colour-blind, less its yellow (too light on
# white) and with black last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

DASHES = ("solid", "dashed", "dotted", "dashdot")
"""As matplotlib names them."""


@dataclass(frozen=True)
class Style:
    """How a set is drawn.

    Attributes:
      color: `#rrggbb`; black stands for the colour of text.
      dash: one of `DASHES`.
    """

    color: str
    dash: str


def styles(set_names: Sequence[str]) -> dict[str, Style]:
    """Return a style for each set.

    A set of the package has a place of its own, whatever it is drawn with: its family
    (`HParamSet.family`) shares it with few others. Where two that are drawn together
    share a place, the set whose family comes first in the package's table keeps it,
    and the other has the next that is free. Sets that are not the package's come last.
    Their places follow from their names alone, so that their archives are drawn alike
    whether they are defined in this process or not.

    Args:
      set_names: sets drawn together; up to 28 have styles of their own.
    """
    slots = [Style(color, dash) for dash in DASHES for color in COLORS]
    places = _places()

    def rank(name: str) -> tuple[int, str]:
        return places.get(name, len(places)), name

    taken: set[int] = set()
    chosen = {}
    for name in sorted(dict.fromkeys(set_names), key=rank):
        place = places.get(name, zlib.crc32(name.encode()))
        nearby = ((place + i) % len(slots) for i in range(len(slots)))
        slot = next((s for s in nearby if s not in taken), None)
        if slot is None:
            taken.clear()
            slot = place % len(slots)
        taken.add(slot)
        chosen[name] = slots[slot]
    return {name: chosen[name] for name in set_names}


@lru_cache
def _places() -> dict[str, int]:
    """Return the place of each set of the package: that of its family in the table."""
    families = {name: SETS.get(name).family for name in SETS.packaged()}
    order = list(dict.fromkeys(families.values()))
    return {name: order.index(family) for name, family in families.items()}
