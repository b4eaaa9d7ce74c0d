"""Thin archives: all trials, with some of their evaluations, rounded.

A thin archive has the keys of the archive it is made of, and `thin/*` beside them,
which say what is left out. Losses over whole splits, under `final/*`, stay as they
were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from learned_optimization.errors import DamagedFileError, LoptError, check_at_least

Arrays = Mapping[str, np.ndarray]
"""What an archive holds: key to array `[num_configs, num_seeds, ...]`."""

NUM_KEPT = 25
"""Evaluations, and steps of the training loss, that a thin archive keeps of each trial.

They are log-spaced, the first and the last among them.
"""

LOSS_BITS = 7
"""Bits of the mantissa that losses of evaluations keep: they are within 0.4%.

An evaluation of five batches of 128 examples is itself within some percent. The first
one, before training, is kept as it is.
"""

OTHER_BITS = 4
"""The same of single batches' training losses and of accuracies: within 3.2%."""

_MANTISSA_BITS = 23

_EVALUATIONS = "thin/evaluations"
_TRAIN_LOSSES = "thin/train_losses"
LOSS_BITS_KEY = "thin/loss_bits"
OTHER_BITS_KEY = "thin/other_bits"

THIN_KEYS = (_EVALUATIONS, _TRAIN_LOSSES, LOSS_BITS_KEY, OTHER_BITS_KEY)
"""Keys that only thin archives have, whole numbers `[num_configs, num_seeds]`."""


@dataclass(frozen=True)
class Thinned:
    """What was left out of an archive.

    Attributes:
      evaluations: evaluations of each trial that the whole archive has.
      train_losses: training losses of each trial that it has.
      loss_bits: bits of the mantissa that losses of evaluations keep.
      other_bits: bits that other values of curves keep.
    """

    evaluations: int
    train_losses: int
    loss_bits: int
    other_bits: int


def log_spaced(num: int, num_kept: int = NUM_KEPT) -> np.ndarray:
    """Return rising places of a list, log-spaced, the first and the last among them.

    Args:
      num: length of the list, at least 1.
      num_kept: how many to return; all, if the list is no longer.

    Returns:
      Int64 `[min(num, num_kept)]`.

    Raises:
      LoptError: if a number is too small.
    """
    check_at_least("num", num, 1)
    check_at_least("num_kept", num_kept, 2)
    if num <= num_kept:
        return np.arange(num)
    places = [0]
    for left in range(num_kept - 1, 0, -1):
        # Of the ratio that reaches the end in the steps that are left: near the start
        # it is less than a place, and those after share what that takes.
        here = places[-1] + 1
        step = here * ((num / here) ** (1 / left) - 1)
        places.append(places[-1] + max(1, round(step)))
    return np.asarray(places, np.int64)


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Return float32 values to so many bits of the mantissa, ties to even.

    The relative error is at most `2**-(bits + 1)`. NaN, infinities and zeros stay.

    Args:
      values: float, of any shape.
      bits: from 1 to 23; with 23 nothing changes.

    Raises:
      LoptError: if there are not so many bits.
    """
    check_at_least("bits", bits, 1, _MANTISSA_BITS)
    values = np.asarray(values, np.float32)
    drop = _MANTISSA_BITS - bits
    if not drop:
        return values
    codes = values.view(np.uint32).astype(np.uint64)
    is_odd = (codes >> np.uint64(drop)) & np.uint64(1)
    codes += np.uint64((1 << (drop - 1)) - 1) + is_odd
    codes = codes >> np.uint64(drop) << np.uint64(drop)
    near = codes.astype(np.uint32).view(np.float32)
    # The largest finite numbers would become infinite, which says something else.
    is_kept = np.isfinite(values) & np.isfinite(near)
    return np.where(is_kept, near, values)


def thin(archive: Arrays, all_evaluations: bool = False) -> dict[str, np.ndarray]:
    """Return a thin archive.

    Args:
      archive: the whole archive.
      all_evaluations: keep every evaluation, rounded; training losses are thinned all
        the same.

    Raises:
      LoptError: if it is thin already, or lacks `eval/xs`.
    """
    if thinned_of(archive) is not None:
        raise LoptError(
            "this archive is thin already: make one of the whole archive, which the "
            "sweep that its manifest names trains again."
        )
    if "eval/xs" not in archive:
        raise LoptError("this is no archive: it has no 'eval/xs'.")
    num_evals = archive["eval/xs"].shape[-1]
    num_losses = archive["train/xs"].shape[-1] if "train/xs" in archive else num_evals
    kept = {
        "eval": log_spaced(num_evals, num_evals + 2 if all_evaluations else NUM_KEPT),
        "train": log_spaced(num_losses),
    }
    thinned = {key: _thin_of(key, a, kept) for key, a in archive.items()}
    axes = archive["eval/xs"].shape[:2]
    numbers = (num_evals, num_losses, LOSS_BITS, OTHER_BITS)
    for key, number in zip(THIN_KEYS, numbers, strict=True):
        thinned[key] = np.full(axes, number, np.int64)
    return thinned


def _thin_of(key: str, array: np.ndarray, kept: Mapping[str, np.ndarray]) -> np.ndarray:
    kind, _, rest = key.partition("/")
    if kind not in kept or array.ndim < 3:
        return array
    array = array[..., kept[kind]]
    if array.dtype.kind != "f":
        return array
    is_evaluated = kind == "eval" and rest.endswith(("/loss", "/loss_normalized"))
    near = rounded(array, LOSS_BITS if is_evaluated else OTHER_BITS)
    if is_evaluated:
        # What a verdict calls improvement begins there.
        near[..., 0] = array[..., 0]
    return near


def thinned_of(arrays: Arrays, where: str = "an archive") -> Thinned | None:
    """Return what was left out of an archive; None of a whole one.

    Args:
      arrays: at least its `THIN_KEYS`, where it has these.
      where: the archive, for messages.

    Raises:
      DamagedFileError: if it has some of them and not all.
    """
    lacking = [key for key in THIN_KEYS if key not in arrays]
    if len(lacking) == len(THIN_KEYS):
        return None
    if lacking:
        raise DamagedFileError(where, f"it is thin, and lacks {', '.join(lacking)}")
    return Thinned(*(int(arrays[key].max()) for key in THIN_KEYS))
