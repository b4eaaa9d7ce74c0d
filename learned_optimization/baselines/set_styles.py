"""A colour and a dash for every set, the same in every figure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
    """A style for each set.

    A set of the package has a place of its own, whatever it is drawn with; where
    two that are drawn together share one, the later one has the next that is free.
    The place of any other set follows from its name.

    Args:
      set_names: sets drawn together, in order.
    """
    slots = [Style(color, dash) for dash in DASHES for color in COLORS]
    places = _places()
    taken: set[int] = set()
    found = {}
    for name in set_names:
        family = _family(name)
        place = places.get(family, zlib.crc32(family.encode()))
        free = (place + i for i in range(len(slots)))
        chosen = next(
            (p % len(slots) for p in free if p % len(slots) not in taken), None
        )
        if chosen is None:
            taken.clear()
            chosen = place % len(slots)
        taken.add(chosen)
        found[name] = slots[chosen]
    return found


def _family(set_name: str) -> str:
    return set_name.split("LR_")[0] if "LR_" in set_name else set_name.split("_")[0]


@lru_cache
def _places() -> dict[str, int]:
    from learned_optimization.baselines.hparam_sets import PACKAGED_SET_NAMES

    return {f: i for i, f in enumerate(dict.fromkeys(map(_family, PACKAGED_SET_NAMES)))}
