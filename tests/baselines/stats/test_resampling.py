"""Intervals: against closed forms, and the resamples against enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.baselines.stats import resampling
from learned_optimization.errors import LoptError

INF = np.inf
SCORES = np.random.default_rng(0).normal(size=(5, 20))
# Task by task with its mirror image: the mean is 0.
SYMMETRIC = np.hstack([SCORES, -SCORES])


def resample(arrays, over, *, num=20_000, statistic=stats.mean, **options):
    return resampling.resampled_statistics(
        statistic,
        arrays,
        num_resamples=num,
        over=over,
        rng=np.random.default_rng(1),
        **{"paired": False, "one_fewer": False, **options},
    )


def variances(scores, one_fewer) -> dict[tuple[str, ...], float]:
    """Of the mean of resampled scores, in closed form."""
    runs, tasks = scores.shape
    drawn_runs, drawn_tasks = runs - one_fewer, tasks - one_fewer
    within, between = scores.var(axis=0).mean(), scores.mean(axis=0).var()
    return {
        ("runs",): within / drawn_runs / tasks,
        ("tasks",): between / drawn_tasks,
        ("runs", "tasks"): between / drawn_tasks + within / drawn_runs / drawn_tasks,
    }


@pytest.mark.parametrize("one_fewer", [False, True])
@pytest.mark.parametrize("over", [("runs",), ("tasks",), ("runs", "tasks")])
def test_variance_of_resampled_means(over, one_fewer):
    scores = np.random.default_rng(0).normal(size=(3, 4)) + np.arange(4)
    means = resample([scores], over, one_fewer=one_fewer)
    expected = variances(scores, one_fewer)[over]
    # A variance of n normal numbers has a relative standard error of sqrt(2 / n).
    assert means.var() == pytest.approx(expected, rel=5 * (2 / len(means)) ** 0.5)
    error = (expected / len(means)) ** 0.5
    assert means.mean() == pytest.approx(scores.mean(), abs=5 * error)


def test_one_fewer_has_the_variance_of_the_mean():
    scores = SCORES[:3]
    expected = scores.var(axis=0, ddof=1).mean() / scores.size
    assert variances(scores, True)["runs",] == pytest.approx(expected)


def test_runs_stay_in_their_tasks():
    scores = np.arange(4) * 10 + np.arange(3)[:, None]

    def seen(samples):
        assert (samples // 10 == np.arange(4)).all()
        return stats.mean(samples)

    resample([scores], ("runs",), statistic=seen)


def test_every_resample_of_few_runs_is_as_likely():
    scores = np.array([[0.0, 0.0], [1.0, 10.0]])
    sums = 4 * resample([scores], ("runs",))
    values, counts = np.unique(sums, return_counts=True)
    expected = {}
    for a, b, c, d in itertools.product((0, 1), repeat=4):
        total = a + b + 10 * (c + d)
        expected[total] = expected.get(total, 0) + len(sums) / 16
    assert values.tolist() == sorted(expected)
    chances = [expected[v] for v in sorted(expected)]
    assert scipy_stats.chisquare(counts, chances).pvalue > 1e-4


def test_pairs_are_drawn_together():
    a = SCORES[:, :4]
    difference = resample(
        [a, a + 1],
        ("runs",),
        paired=True,
        num=500,
        statistic=lambda x, y: stats.mean(y - x),
    )
    np.testing.assert_allclose(difference, 1)
    apart = resample(
        [a, a + 1],
        ("runs",),
        statistic=lambda x, y: stats.mean(y) - stats.mean(x),
    )
    expected = 2 * variances(a, False)["runs",]
    assert apart.var() == pytest.approx(expected, rel=0.05)


def test_tasks_are_shared_by_methods():
    a = np.arange(4.0) + np.zeros((5, 1))
    difference = resample(
        [a, a[:3] + 1],
        ("runs", "tasks"),
        num=500,
        statistic=lambda x, y: stats.mean(y) - stats.mean(x),
    )
    np.testing.assert_allclose(difference, 1)


@pytest.mark.parametrize("over", [("runs",), ("tasks",), ("runs", "tasks")])
def test_percentile_interval_of_a_mean(over):
    interval = stats.bootstrap(
        stats.mean,
        SYMMETRIC,
        over=over,
        method="percentile",
        num_resamples=20_000,
        seed=0,
    )
    half = 1.959964 * variances(SYMMETRIC, False)[over] ** 0.5
    assert interval.estimate == pytest.approx(SYMMETRIC.mean(), abs=1e-15)
    assert interval.level == 0.95
    # Means of so many scores are nearly normal, quantiles sure to a few percent.
    assert (interval.low, interval.high) == pytest.approx(
        (-half, half), abs=0.06 * half
    )


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_adjusted_interval_of_a_mean_is_the_t_interval(level):
    scores = SYMMETRIC[:3]
    interval = stats.bootstrap(
        stats.mean, scores, over=("runs",), level=level, num_resamples=20_000, seed=0
    )
    # Of a stratified sample: variances pooled over tasks, two degrees of each.
    error = (scores.var(axis=0, ddof=1).mean() / scores.size) ** 0.5
    half = scipy_stats.t.ppf((1 + level) / 2, 2 * scores.shape[1]) * error
    assert (interval.low, interval.high) == pytest.approx(
        (-half, half), abs=0.06 * half
    )


def test_adjusted_interval_over_few_tasks_is_the_t_interval():
    # Eight tasks, symmetric about 0, have seven degrees of freedom, whatever the runs.
    levels = np.array([0.5, 1, 1.5, 2])
    scores = np.hstack([levels, -levels]) + np.zeros((5, 1))
    interval = stats.bootstrap(
        stats.mean, scores, over=("tasks",), num_resamples=20_000, seed=0
    )
    half = scipy_stats.t.ppf(0.975, 7) * scores[0].std(ddof=1) / 8**0.5
    assert (interval.low, interval.high) == pytest.approx(
        (-half, half), abs=0.06 * half
    )


def test_the_seed_decides_and_chunks_do_not_show(monkeypatch):
    first = stats.bootstrap(stats.iqm, SCORES, seed=3)
    assert stats.bootstrap(stats.iqm, SCORES, seed=3) == first
    assert stats.bootstrap(stats.iqm, SCORES, seed=4) != first
    monkeypatch.setattr(resampling, "_CHUNK", 7 * SCORES.size)
    chunked = stats.bootstrap(stats.iqm, SCORES, seed=3)
    assert chunked.estimate == first.estimate
    width = first.high - first.low
    assert chunked.low == pytest.approx(first.low, abs=0.2 * width)
    assert resample([SCORES], ("runs",), num=101).shape == (101,)


def test_band_of_a_profile():
    taus = np.array([-9, -1, 0, 1, 9])

    def profile(scores):
        return stats.score_profile(scores, taus)

    band = stats.bootstrap_band(profile, SCORES, over=("runs",), seed=0)
    np.testing.assert_array_equal(band.estimate, profile(SCORES))
    assert band.low.shape == band.high.shape == (5,)
    assert (band.low <= band.estimate).all()
    assert (band.estimate <= band.high).all()
    assert band.low.tolist()[::4] == band.high.tolist()[::4] == [1, 0]
    # One point of the band is the interval of that point.
    alone = stats.bootstrap(
        lambda scores: profile(scores)[..., 1], SCORES, over=("runs",), seed=0
    )
    assert (alone.low, alone.high) == (band.low[1], band.high[1])


def test_an_end_may_be_infinite():
    scores = SCORES.copy()
    scores[0, :6] = -INF
    interval = stats.bootstrap(stats.mean, scores, over=("runs",), seed=0)
    assert (interval.estimate, interval.low) == (-INF, -INF)
    interval = stats.bootstrap(stats.iqm, scores, over=("runs",), seed=0)
    assert np.isfinite([interval.estimate, interval.low, interval.high]).all()


OPTIONS = {"over": ("runs",), "seed": 0}


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (SCORES[:1], {}, r"over runs needs at least 2 .* use over=\('tasks',\)"),
        (SCORES[:, :1], {"over": ("tasks",)}, r"over tasks .* use over=\('runs',\)"),
        (SCORES, {"over": "runs"}, r"over must be .* got 'runs'"),
        (SCORES, {"over": ()}, r"over must be .* got \(\)"),
        (SCORES, {"over": ("seeds",)}, "over must be"),
        (SCORES[0], {}, r"scores must be \[runs, tasks\], got .* \(20,\)"),
        ((SCORES, SCORES[:, :3]), {}, r"share their tasks, got shapes .*\(5, 3\)"),
        ((SCORES, SCORES[:3]), {"paired": True}, "paired scores must share their runs"),
        (SCORES, {"level": 1}, "level must be a number between 0 and 1, got 1"),
        (SCORES, {"num_resamples": 99}, "num_resamples .* at least 100, got 99"),
        (SCORES, {"method": "bca"}, "method must be .* got 'bca'"),
    ],
)
def test_what_cannot_be_resampled(scores, options, message):
    with pytest.raises(LoptError, match=message):
        stats.bootstrap(stats.mean, scores, **{**OPTIONS, **options})


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        (np.mean, r"must keep leading axes, .* one figure for many samples"),
        (lambda x: x.mean(axis=0), "the statistic must map"),
        (lambda x: x.mean(axis=-2), r"gives \(20,\) figures, an interval has one"),
        (lambda x: stats.mean(x) * np.nan, "the statistic is NaN 2001 times"),
    ],
)
def test_what_is_no_statistic(statistic, message):
    with pytest.raises(LoptError, match=message):
        stats.bootstrap(statistic, SCORES, **OPTIONS)
