"""How much the first of several sets owes to being the first: winner's luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from learned_optimization.baselines.stats.opponents import Pairing
from learned_optimization.baselines.stats.resampling import Interval

_FEWEST_SEEDS = 4


@dataclass(frozen=True)
class WinnersLuck:
    """The loss of the first set, which is low in part for being chosen as the lowest.

    Attributes:
      loss: mean loss of the first set's chain, over seeds that all sets have, with an
        interval that holds for whichever set comes first: each of the sets' holds at
        `alpha` over their number.
      honest: mean loss of each seed from the third on, of the set that the seeds
        before it put first: no luck, though of a set chosen by fewer seeds.
      luck: `honest` minus the loss of the first set on the same seeds.
    """

    loss: Interval
    honest: float
    luck: float


def winners_luck(
    pairings: Sequence[Pairing], first: int, alpha: float
) -> WinnersLuck | None:
    """Return how much the first set owes to being chosen.

    Args:
      pairings: sets on each task.
      first: the set that comes first.
      alpha: one minus the level of the interval.

    Returns:
      None if fewer than 4 seeds are common to all sets.
    """
    losses = np.mean(_common(pairings), axis=0)
    num_sets, count = losses.shape
    if count < _FEWEST_SEEDS - 1:
        return None
    totals = np.cumsum(losses, axis=1)[:, :-1]
    leader = np.argmin(totals, axis=0)
    chained = losses[leader, np.arange(1, count)]
    own = losses[first]
    t = -float(special.stdtrit(count - 1, alpha / (2 * num_sets)))
    half = t * float(own.std(ddof=1)) / float(np.sqrt(count))
    center = float(own.mean())
    return WinnersLuck(
        loss=Interval(center, center - half, center + half, 1 - alpha),
        honest=float(chained.mean()),
        luck=float(chained.mean() - own[1:].mean()),
    )


def _common(pairings: Sequence[Pairing]) -> list[np.ndarray]:
    """Return per task the chains' losses `[sets, n]` on seeds that all sets have."""
    tasks = []
    for pairing in pairings:
        places = np.stack([pairing.partners(0, b) for b in range(len(pairing.chains))])
        places = places[:, (places >= 1).all(axis=0)]
        both = zip(pairing.chains, places, strict=True)
        tasks.append(np.stack([c.test[at - 1] for c, at in both]))
    shortest = min(x.shape[1] for x in tasks)
    return [x[:, :shortest] for x in tasks]
