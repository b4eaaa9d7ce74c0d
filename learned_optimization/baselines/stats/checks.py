"""What goes into a statistic: arrays of numbers, with a policy for NaN and infinity.

NaN means that a value is missing, and is always refused. An infinite value is a
trial that diverged, or a target never reached: it ranks as the worst. Where
infinities give no sensible figure, they are refused too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from learned_optimization.errors import LoptError

Infinities = Literal["none", "+", "-", "either", "both"]
"""Which infinities an array may hold; `"either"`: those of one sign."""

_ALLOWED = {"none": "", "+": "+", "-": "-", "either": "+-", "both": "+-"}


def checked_array(
    what: str, values: ArrayLike, axes: str, *, infinities: Infinities = "none"
) -> np.ndarray:
    """Return the values as float64, if they are what a statistic can take.

    Args:
      what: what the values are, in the plural, e.g. `"losses"`.
      values: numbers.
      axes: the axes they must have, e.g. `"[..., runs, tasks]"`.
      infinities: which infinite values are allowed.

    Raises:
      LoptError: if the axes are others, one is empty, or a value is no number, NaN,
        or an infinity that is not allowed.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LoptError(f"{what} must be numbers {axes}: {error}.") from error
    names = axes.strip("[]").split(", ")
    num_axes = len([name for name in names if name != "..."])
    enough = array.ndim >= num_axes if "..." in names else array.ndim == num_axes
    if not enough or not array.size:
        raise LoptError(f"{what} must be {axes}, got an array of shape {array.shape}.")
    if num_nan := int(np.isnan(array).sum()):
        raise LoptError(
            f"{what} hold {num_nan} NaN among {array.size} values. NaN means missing: "
            "leave such runs or tasks out, or call stats.mark_diverged if they are "
            "losses of trials that diverged."
        )
    counts = {"+": int((array == np.inf).sum()), "-": int((array == -np.inf).sum())}
    for sign, count in counts.items():
        if count and sign not in _ALLOWED[infinities]:
            raise LoptError(
                f"{what} hold {count} values of {sign}inf among {array.size}, "
                f"allowed is {_in_words(infinities)}: leave such runs or tasks out."
            )
    if infinities == "either" and all(counts.values()):
        raise LoptError(
            f"{what} hold {counts['+']} values of +inf and {counts['-']} of -inf among "
            f"{array.size}: only one of them can be the worst. Use one sign."
        )
    return array


def _in_words(infinities: Infinities) -> str:
    return {"none": "no infinity", "+": "only +inf", "-": "only -inf"}[infinities]


def check_between(what: str, value: float, low: float, high: float) -> None:
    """Raise `LoptError` unless `low < value < high`."""
    if not low < value < high:
        raise LoptError(
            f"{what} must be a number between {low} and {high}, got {value!r}."
        )
