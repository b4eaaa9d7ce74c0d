"""Where two result files, or two archives, differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization.baselines.results.format import (
    Result,
    read_archive,
    read_result,
)
from learned_optimization.errors import ResultError

TIMING = "timing/"
"""How the keys begin that differ whenever a trial is run again."""


@dataclass(frozen=True)
class Difference:
    """How one key differs.

    Attributes:
      key: the key.
      what: in words, where it is no curve or number; empty otherwise.
      largest: largest absolute difference of two finite numbers.
      largest_relative: largest difference of two finite numbers, relative to the
        larger of them.
      first_step: the first step, from `train/xs` or `eval/xs`, at which the curves
        differ; None where the key is no curve.
      num_different: numbers that differ.
      num_numbers: numbers there are.
      finite_in_one: numbers that are finite in one of the two only.
    """

    key: str
    what: str = ""
    largest: float = 0.0
    largest_relative: float = 0.0
    first_step: int | None = None
    num_different: int = 0
    num_numbers: int = 0
    finite_in_one: int = 0


def read_any(path: str) -> Result:
    """Read a result file, or an archive if the name ends in `.npz`.

    Raises:
      ResultError: if it is neither, missing, or cannot be read.
    """
    if path.endswith(".npz"):
        return read_archive(path)
    if path.endswith(".curves"):
        return read_result(path)
    raise ResultError(
        f"{path} is neither a result file (.curves) nor an archive (.npz)."
    )


def differences(
    a: Mapping[str, np.ndarray],
    b: Mapping[str, np.ndarray],
    keys: Sequence[str] | None = None,
) -> list[Difference]:
    """Return the keys in which two results differ; NaN is equal to NaN.

    Args:
      a: key to array.
      b: key to array.
      keys: the keys compared; all but those under `timing/` if None.

    Returns:
      One entry for each key that differs, in the order of `a`, then of `b`.
    """
    if keys is None:
        keys = [k for k in dict.fromkeys([*a, *b]) if not k.startswith(TIMING)]
    different = []
    for key in keys:
        if key not in a or key not in b:
            different.append(
                Difference(key, f"only in the {'first' if key in a else 'second'}")
            )
            continue
        steps = a.get(f"{key.partition('/')[0]}/xs")
        difference = _difference(key, a[key], b[key], steps)
        if difference is not None:
            different.append(difference)
    return different


def _difference(
    key: str, a: np.ndarray, b: np.ndarray, steps: np.ndarray | None
) -> Difference | None:
    if a.shape != b.shape:
        return Difference(key, f"of shape {a.shape} and {b.shape}")
    if a.dtype.kind in "USb" or b.dtype.kind in "USb":
        if np.array_equal(a, b):
            return None
        return Difference(key, f"{_short(a)} and {_short(b)}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    differs = ~((x == y) | (np.isnan(x) & np.isnan(y)))
    if not differs.any():
        return None
    gap, relative = gaps(x, y)
    first = None
    if steps is not None and x.ndim and steps.shape == x.shape:
        first = int(steps[differs].min())
    return Difference(
        key,
        largest=float(gap.max()),
        largest_relative=float(relative.max()),
        first_step=first,
        num_different=int(differs.sum()),
        num_numbers=differs.size,
        finite_in_one=int((np.isfinite(x) != np.isfinite(y)).sum()),
    )


def gaps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far numbers are apart, and that relative to the larger of two.

    Args:
      a: numbers.
      b: as many.

    Returns:
      Two arrays of float64; both are 0 where not both numbers are finite.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    gap = np.abs(x - y, out=np.zeros(x.shape), where=finite)
    scale = np.maximum(np.abs(x), np.abs(y))
    return gap, np.divide(gap, scale, out=np.zeros(x.shape), where=gap > 0)


def _short(value: np.ndarray) -> str:
    text = " ".join(str(value).split())
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
