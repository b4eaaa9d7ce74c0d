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
    shares it with few others. Where two that are drawn together share one, that of
    the family named first in the package's table keeps it, and the other has the next
    that is free. So do sets that are not the package's; they come last.

    Args:
      set_names: sets drawn together; up to 28 have styles of their own.
    """
    slots = [Style(color, dash) for dash in DASHES for color in COLORS]
    families = _families()

    def rank(name: str) -> tuple[int, str]:
        return families.get(_family(name), len(families)), name

    taken: set[int] = set()
    found = {}
    for name in sorted(dict.fromkeys(set_names), key=rank):
        place = families.get(_family(name), zlib.crc32(name.encode()))
        free = ((place + i) % len(slots) for i in range(len(slots)))
        chosen = next((p for p in free if p not in taken), None)
        if chosen is None:
            taken.clear()
            chosen = place % len(slots)
        taken.add(chosen)
        found[name] = slots[chosen]
    return {name: found[name] for name in set_names}


def _family(set_name: str) -> str:
    return set_name.split("LR_")[0] if "LR_" in set_name else set_name.split("_")[0]


@lru_cache
def _families() -> dict[str, int]:
    return {f: i for i, f in enumerate(dict.fromkeys(map(_family, SETS.packaged())))}
