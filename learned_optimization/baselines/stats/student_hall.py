"""The smaller of Student's t and Hall's, which allows for skewed differences.

Hall's transformation takes the skewness of a mean out of its t statistic: P. Hall 1992,
"On the removal of skewness by transformation", Journal of the Royal Statistical Society
B 54. Where differences have a long tail below, Student's t finds a mean above 0 by
chance too often, and Hall's is the smaller; the smaller of both is too large by chance
no more often than either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from learned_optimization.baselines.stats.checks import check_between, checked_array
from learned_optimization.errors import LoptError, check_at_least

# A spread of so many units in the last place is the rounding of equal numbers.
_ROUNDING = 8 * np.finfo(np.float64).eps


def smaller_t(differences: ArrayLike, shift: float = 0.0) -> np.ndarray:
    """Return the smaller of Student's and Hall's t of a mean being above 0.

    Args:
      differences: `[..., n]`, n of at least 2, finite.
      shift: added to every difference.

    Returns:
      float64 `[...]`; without any spread it is 0 where the mean is 0, and infinite of
      the mean's sign elsewhere.

    Raises:
      LoptError: on NaN, infinities, or fewer than 2 differences.
    """
    mean, sd, skewness, count = _moments(differences, shift)
    is_flat = sd == 0.0
    u = mean / np.where(is_flat, 1.0, sd)
    hall = u + skewness * u**2 / 3 + skewness**2 * u**3 / 27 + skewness / (6 * count)
    t = np.sqrt(count) * np.minimum(u, hall)
    # Not t_flat = sign * inf: 0 * inf is NaN.
    t_flat = np.where(mean == 0.0, 0.0, np.copysign(np.inf, mean))
    return np.where(is_flat, t_flat, t)


def lower_bound_of_mean(differences: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Return the largest mean that is refused: `smaller_t(x, -bound) = t`.

    With `t = critical_t(level, n)`, the true mean is below it with a probability of
    `level`, as far as `smaller_t` keeps its level.

    Args:
      differences: `[..., n]`, n of at least 2, finite.
      t: critical value, broadcast to `[...]`.

    Returns:
      float64 `[...]`; the mean itself where there is no spread.

    Raises:
      LoptError: on NaN, infinities, or fewer than 2 differences.
    """
    scale = _scale(np.asarray(differences, np.float64), 0.0)
    mean, sd, skewness, count = _moments(differences, 0.0)
    student = np.asarray(t, np.float64) / np.sqrt(count)
    # Hall's is ((1 + g u / 3)^3 - 1) / g + g / (6 n), solved for u so that nothing
    # cancels where the skewness g is small.
    of_hall = student - skewness / (6 * count)
    root = np.cbrt(1 + skewness * of_hall)
    hall = 3 * of_hall / (root**2 + root + 1)
    return scale * (mean - sd * np.maximum(student, hall))


def critical_t(level: ArrayLike, num_differences: ArrayLike) -> np.ndarray:
    """Return the t that is exceeded with a probability of `level` by chance.

    Args:
      level: one-sided, between 0 and 1.
      num_differences: at least 2; one more than the degrees of freedom.
    """
    return -np.asarray(special.stdtrit(np.asarray(num_differences) - 1, level))


def seeds_needed(
    difference: float, sd: float, level: float, *, power: float = 0.8, at_least: int = 2
) -> int | None:
    """Return how many differences it takes to find a mean of that size.

    Args:
      difference: the true mean of the differences.
      sd: their standard deviation.
      level: at which the test is made, one-sided.
      power: how likely it shall be found.
      at_least: no fewer are considered.

    Returns:
      The least number, None if the mean is not above 0 or it takes more than 2^40.
    """
    check_between("level", level, 0, 1)
    check_between("power", power, 0, 1)
    check_at_least("at_least", at_least, 2)
    if not difference > 0:
        return None
    z = float(special.ndtri(power))

    def is_enough(count: int) -> bool:
        return difference >= (critical_t(level, count) + z) * sd / np.sqrt(count)

    low = high = at_least
    while not is_enough(high):
        low, high = high + 1, 2 * high
        if high > 1 << 40:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return high


def _moments(
    differences: ArrayLike, shift: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return mean, standard deviation, skewness and number, over the largest size.

    Divided by the largest, cubes neither underflow nor overflow. What is no more than
    rounding is 0.
    """
    x = np.asarray(differences, dtype=np.float64)
    if not x.ndim or not x.size or not np.isfinite(x).all():
        x = checked_array("differences", differences, "[..., seeds]")
    count = x.shape[-1]
    if count < 2:
        raise LoptError(f"a t needs at least 2 differences, got {count}.")
    scale = _scale(x, shift)
    # What x is known to after the shift, in units of the scale: neither is above 1.
    known_to = 2 * _ROUNDING if shift else _ROUNDING
    x = x / scale[..., None] + (shift / scale)[..., None]
    mean = x.mean(axis=-1)
    deviations = x - mean[..., None]
    squares = deviations * deviations
    sd = np.sqrt(squares.sum(axis=-1) / (count - 1))
    is_flat = np.ptp(x, axis=-1) <= known_to
    sd = np.where(is_flat, 0.0, sd)
    mean = np.where(is_flat & (np.abs(mean) <= known_to), 0.0, mean)
    cubes = (squares * deviations).mean(axis=-1)
    return mean, sd, cubes / np.where(is_flat, 1.0, sd) ** 3, count


def _scale(x: np.ndarray, shift: float) -> np.ndarray:
    largest = np.maximum(np.abs(x).max(axis=-1), abs(shift))
    return np.where(largest > 0.0, largest, 1.0)
