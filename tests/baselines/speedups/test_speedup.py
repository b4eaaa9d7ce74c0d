"""Speed-ups of curves that are as fast, twice as fast, and slower; their figure."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from learned_optimization.baselines.plots.speedup import plot_speedup
from learned_optimization.baselines.speedups.curve import build_curve
from learned_optimization.baselines.speedups.normalizer import Normalizer
from learned_optimization.baselines.speedups.speedup import speedup_of_set
from learned_optimization.errors import LoptError, ResultError, UnknownNameError
from tests.baselines.curves import geometric, with_seeds, write_losses

SPREAD = [-0.01, 0.0, 0.01]


def straight(per_evaluation, start=4.0):
    return start - per_evaluation * np.arange(101)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def baseline():
    write_losses("T", "Baseline", with_seeds([straight(0.02)], SPREAD))
    return Normalizer("T", build_curve("T", ["Baseline"], 101))


def test_baseline_is_as_fast_as_itself(baseline):
    speedup = speedup_of_set(baseline, "Baseline")
    np.testing.assert_array_equal(speedup.xs, np.arange(10, 1001, 10))
    np.testing.assert_allclose(speedup.ratio(speedup.steps), 1.0, rtol=1e-3)
    assert speedup.opt_name == "Baseline_lr1"
    assert speedup.low is not None
    assert speedup.high is not None
    # The loss falls by 0.002 a step, its average too once it has come to its lag:
    # seeds that are 0.01 apart are 5 steps apart.
    late = speedup.xs > 900
    assert np.isfinite(speedup.high[late][:3]).all()
    np.testing.assert_allclose((speedup.steps - speedup.low)[late][:3], 4, atol=1.5)
    np.testing.assert_allclose((speedup.high - speedup.steps)[late][:3], 4, atol=1.5)


def test_twice_as_fast(baseline):
    # Its seeds are 2.5 evaluations apart.
    write_losses("T", "Faster", with_seeds([straight(0.04)], [-0.1, 0.0, 0.1]))
    speedup = speedup_of_set(baseline, "Faster")
    # The average of a straight line is late by d / (1 - d) = 19 evaluations in the
    # end: after i evaluations it is where the baseline is at j, j - 19 = 2 (i - 19).
    i = speedup.xs / 10
    within = (i > 50) & (2 * i - 19 < 99)
    np.testing.assert_allclose(
        speedup.steps[within], 10 * (2 * i[within] - 19), atol=30
    )
    np.testing.assert_array_equal(speedup.is_censored[2 * i - 19 > 101], True)
    np.testing.assert_array_equal(speedup.is_censored[2 * i - 19 < 99], False)
    assert speedup.low is not None
    assert speedup.high is not None
    np.testing.assert_array_equal(speedup.steps[speedup.is_censored], 1000.0)
    assert np.isinf(speedup.high[speedup.is_censored]).all()
    # Near the end of the baseline its seeds pass it one after the other.
    shares = speedup.censored_share
    assert (np.diff(shares) >= 0).all()
    assert set(np.round(3 * shares).astype(int)) == {0, 1, 2, 3}


def test_worse_than_the_start(baseline):
    write_losses("T", "Rising", with_seeds([straight(-0.01)], SPREAD))
    speedup = speedup_of_set(baseline, "Rising")
    assert speedup.is_worse_than_start.all()
    np.testing.assert_array_equal(speedup.steps, 0.0)


def test_split_and_selection(baseline):
    losses = with_seeds([straight(0.03), straight(0.01)], SPREAD)
    test = with_seeds([straight(0.005), straight(0.02)], SPREAD)
    write_losses("T", "S", losses, test=test)
    assert speedup_of_set(baseline, "S").opt_name == "S_lr1"
    assert speedup_of_set(baseline, "S", select="test").opt_name == "S_lr2"
    speedup = speedup_of_set(baseline, "S", split="test", select="test")
    assert speedup.opt_name == "S_lr2"
    np.testing.assert_allclose(speedup.ratio(speedup.steps), 1.0, rtol=1e-3)
    with pytest.raises(UnknownNameError, match="did you mean test"):
        speedup_of_set(baseline, "S", split="tests")


def test_without_a_band():
    write_losses("T", "One", with_seeds([straight(0.02)], [0.0]))
    speedup = speedup_of_set(Normalizer("T", build_curve("T", ["One"], 101)), "One")
    assert (speedup.low, speedup.high) == (None, None)
    assert len(plot_speedup([speedup]).collections) == 0


def test_sets_that_cannot_be_measured(baseline):
    write_losses("T", "Bad", with_seeds([np.full(101, np.nan)], SPREAD))
    with pytest.raises(LoptError, match="every configuration of Bad on T diverged"):
        speedup_of_set(baseline, "Bad")
    with pytest.raises(ResultError, match="no archive of Missing on T"):
        speedup_of_set(baseline, "Missing")


def test_figure(baseline):
    write_losses("T", "Faster", with_seeds([straight(0.04)], SPREAD))
    write_losses("T", "Rising", with_seeds([straight(-0.01)], SPREAD))
    names = ["Faster", "Baseline", "Rising"]
    speedups = [speedup_of_set(baseline, name) for name in names]
    ax = plot_speedup(speedups)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    by_label = {str(line.get_label()): line for line in ax.lines}
    diagonal = by_label["as fast as the baseline"]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    drawn = np.asarray(by_label["Faster: Faster_lr1"].get_ydata())
    np.testing.assert_array_equal(np.isnan(drawn), speedups[0].is_censored)
    assert "at least this: the baseline never got as low" in by_label
    [censored] = [
        line
        for line in ax.lines
        if line.get_marker() == "^" and np.size(line.get_xdata())
    ]
    np.testing.assert_array_equal(
        censored.get_xdata(), speedups[0].xs[speedups[0].is_censored]
    )
    np.testing.assert_array_equal(censored.get_ydata(), 1000.0)
    assert np.isnan(by_label["Rising: Rising_lr1"].get_ydata()).all()
    assert len(ax.collections) == 3
    assert ax.get_legend() is not None


def test_figure_of_what_cannot_be_compared(baseline):
    write_losses("U", "Baseline", with_seeds([geometric(3.0, 0.9, 1.0)], SPREAD))
    other = Normalizer("U", build_curve("U", ["Baseline"], 101))
    speedups = [speedup_of_set(n, "Baseline") for n in (baseline, other)]
    for wrong in (speedups, []):
        with pytest.raises(LoptError, match="at least one set, all on one task"):
            plot_speedup(wrong)
