"""Refuse numbers of decays that features cannot be made of."""

from __future__ import annotations

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.accumulators import Decays


def check_decays(name: str, decays: Decays) -> None:
    """Refuse decays that do not go together.

    Args:
      name: of the learned optimizer, as the message has it.
      decays: those that it was given.

    Raises:
      LoptError: unless every kind has as many, or one.
    """
    counts = [len(kept) for kept in decays]
    if 0 in counts or len(set(counts) - {1}) > 1:
        raise LoptError(
            f"{name} multiplies every momentum by averages of squares, so it needs as "
            "many decays of each kind, or one, got "
            f"{counts[0]} in initial_momentum_decays, {counts[1]} in "
            f"initial_rms_decays and {counts[2]} in initial_adafactor_decays."
        )
