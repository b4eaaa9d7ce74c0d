"""Ranges of learning rates, by hand and by dense interpolation."""

import dataclasses

import numpy as np
import pytest

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF = np.inf
RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


@pytest.mark.parametrize(
    ("losses", "low", "high", "at_edge"),
    [
        ([2, 1.1, 1, 1.1, 2], -2.5, -1.5, False),
        ([2, 1.04, 1, 1.02, INF], -3 - 0.01 / 0.96, -1, False),
        ([2, 1.1, 1, 1.01, 1.02], -2.5, 0, True),
        ([1, 1.1, 1, 1, 1.1], -4, -3.5, True),  # the first of those that tie
        ([1, 1, 1, 1, 1], -4, 0, True),
        ([INF, INF, 1, INF, INF], -2, -2, False),
        ([1.01, 2, 1, 2, 1.01], -2.05, -1.95, False),  # other valleys do not count
        ([INF, INF, INF, INF, 3], 0, 0, True),
    ],
)
def test_ranges_by_hand(losses, low, high, at_edge):
    width = stats.sensitivity_width(RATES, losses)
    assert width.low == pytest.approx(10**low)
    assert width.high == pytest.approx(10**high)
    assert width.decades == pytest.approx(high - low)
    assert width.best == RATES[int(np.argmin(losses))]
    assert width.at_edge is at_edge


def test_order_and_scale_do_not_matter():
    losses = np.array([2, 1.04, 1, 1.02, 3])
    expected = stats.sensitivity_width(RATES, losses)
    order = [3, 0, 4, 1, 2]
    width = stats.sensitivity_width(np.array(RATES)[order], 7 * losses[order])
    assert dataclasses.astuple(width) == pytest.approx(dataclasses.astuple(expected))


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.5])
def test_range_of_a_valley(tolerance):
    logs = np.arange(-7.0, 1, 0.5)
    losses = 0.2 + (logs + 2.2) ** 2
    fine = np.linspace(-7, 0.5, 1_000_001)
    inside = fine[np.interp(fine, logs, losses) <= (1 + tolerance) * losses.min()]
    width = stats.sensitivity_width(10**logs, losses, tolerance)
    ends = (np.log10(width.low), np.log10(width.high))
    if tolerance:
        assert ends == pytest.approx((inside[0], inside[-1]), abs=1e-5)
    else:
        assert (width.low, width.high) == pytest.approx((width.best, width.best))


@pytest.mark.parametrize(
    ("rates", "losses", "tolerance", "message"),
    [
        ([1, 2], [1, 2, 3], 0.1, "got 3 losses for 2 rates"),
        ([0, 1], [1, 2], 0.1, r"above 0, each one once, got \[0\.0, 1\.0\]"),
        ([1, 1], [1, 2], 0.1, "above 0, each one once"),
        ([1, 2], [1, 2], -0.1, r"tolerance must be at least 0 and finite, got -0\.1"),
        ([1, 2], [-1, 2], 0.1, r"lowest loss must be above 0 .* got -1\.0"),
        ([1, 2], [INF, INF], 0.1, "lowest loss must be above 0 .* got inf"),
    ],
)
def test_out_of_range(rates, losses, tolerance, message):
    with pytest.raises(LoptError, match=message):
        stats.sensitivity_width(rates, losses, tolerance)
