"""The best of k configurations, against the enumeration of all subsets."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF = np.inf
SHARES = (Fraction(1, 10), Fraction(9, 10))


def enumerated(select, report, k) -> tuple[float, float, float]:
    """Return the mean and the quantiles over every subset, ties broken in every way."""
    weights = dict.fromkeys(range(len(select)), Fraction(0))
    for subset in itertools.combinations(range(len(select)), k):
        lowest = min(select[i] for i in subset)
        best = [i for i in subset if select[i] == lowest]
        for i in best:
            weights[i] += Fraction(1, len(best) * math.comb(len(select), k))
    expected = sum(float(w) * report[i] for i, w in weights.items() if w)
    ends = []
    for share in SHARES:
        below = Fraction(0)
        for i in sorted(weights, key=lambda i: report[i]):
            below += weights[i]
            if below >= share:
                ends.append(report[i])
                break
    return expected, *ends


CASES = {
    "distinct": np.random.default_rng(0).normal(size=(2, 10)),
    "select with ties": [[1, 1, 2, 2, 2, 3, 0], [3, 1, 5, 4, 6, 2, 7]],
    "all tie": [[1, 1, 1, 1], [4, 3, 2, 1]],
    "some diverged": [[3, INF, 1, 2, INF], [5, INF, 2, 7, 4]],
    "report alone diverged": [[3, 1, 2, 4], [1, INF, 2, 3]],
    "all diverged": [[INF] * 3, [INF] * 3],
    "one": [[1], [2]],
}


@pytest.mark.parametrize("name", CASES)
def test_every_subset_is_counted(name):
    select, report = map(list, CASES[name])
    curve = stats.best_after(select, report)
    assert curve.ks.tolist() == list(range(1, len(select) + 1))
    for i, k in enumerate(curve.ks):
        expected, low, high = enumerated(select, report, int(k))
        assert curve.expected[i] == pytest.approx(expected, rel=1e-12)
        assert (curve.low[i], curve.high[i]) == (low, high)


def test_a_large_set_by_closed_form():
    # Of losses 1 ... n the lowest of k chosen is (n + 1) / (k + 1) on average.
    losses = np.random.default_rng(0).permutation(1000) + 1.0
    ks = [1, 2, 30, 999, 1000]
    curve = stats.best_after(losses, losses, ks)
    np.testing.assert_allclose(curve.expected, [1001 / (k + 1) for k in ks], rtol=1e-10)
    assert (curve.low[0], curve.high[0]) == (100, 900)
    # The lowest is below m unless all k are of the 1001 - m from m on.
    shares = [1 - math.comb(1000 - m, 30) / math.comb(1000, 30) for m in range(1000)]
    assert curve.low[2] == np.searchsorted(shares, 0.1)
    assert curve.high[2] == np.searchsorted(shares, 0.9)


def test_selecting_on_what_is_not_reported():
    # What select likes is what report does not: more tuning, higher loss.
    curve = stats.best_after([1, 2, 3], [9, 6, 3])
    np.testing.assert_allclose(curve.expected, [6, (9 + 9 + 6) / 3, 9])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ks": [0]}, "k must be a whole number of at least 1, got 0"),
        ({"ks": [1, 4]}, "k must be at most 3, the number of configurations, got 4"),
        ({"quantiles": (0.1, 1.0)}, r"a quantile .* between 0 and 1, got 1\.0"),
        ({"report": [1, 2]}, r"same configurations, got shapes \(3,\) and \(2,\)"),
    ],
)
def test_out_of_range(options, message):
    with pytest.raises(LoptError, match=message):
        stats.best_after(**{"select": [1, 2, 3], "report": [1, 2, 3], **options})


def test_thousands_of_configurations_take_little_room():
    losses = np.random.default_rng(0).standard_normal(20_000)
    curve = stats.best_after(losses, losses)
    assert len(curve.ks) <= 500
    assert (curve.ks[0], curve.ks[-1]) == (1, 20_000)
    assert (np.diff(curve.ks) > 0).all()
    np.testing.assert_allclose(curve.expected[[0, -1]], [losses.mean(), losses.min()])
