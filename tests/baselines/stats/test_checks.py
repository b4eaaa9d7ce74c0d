"""What every statistic makes of NaN, infinity and wrong shapes."""

import numpy as np
import pytest

from learned_optimization.baselines import stats
from learned_optimization.errors import LoptError

INF, NAN = np.inf, np.nan
XS = np.arange(4.0)
RATES = 10.0 ** np.arange(4)
ONES = np.ones((3, 4))

# Each function of one array it is to judge, with the infinities it takes.
SEVERAL = {
    "iqm": (stats.iqm, (3, 4), "+-"),
    "median": (stats.median, (3, 4), "+-"),
    "mean": (stats.mean, (3, 4), "+-"),
    "optimality_gap": (stats.optimality_gap, (3, 4), "+-"),
    "bootstrap": (lambda x: stats.bootstrap(stats.iqm, x, seed=0), (3, 4), "+-"),
    "steps_to_target": (lambda x: stats.steps_to_target(x, XS, 0.0), (3, 4), "+"),
    "evaluations": (lambda x: stats.steps_to_target(np.ones(4), x, 0.0), (4,), ""),
    "target": (lambda x: stats.steps_to_target(ONES, XS, x), (3,), ""),
    "performance_ratios": (stats.performance_ratios, (3, 4), "+"),
    "performance_profile": (lambda x: stats.performance_profile(x, XS), (3, 4), "+"),
    "taus": (lambda x: stats.performance_profile(ONES, x), (4,), ""),
    "integrated_profile": (stats.integrated_profile, (3, 4), "+"),
    "speedup": (lambda x: stats.geometric_mean_speedup(x, np.ones(4)), (4,), "+"),
    "baseline": (lambda x: stats.geometric_mean_speedup(np.ones(4), x), (4,), "+"),
    "score_profile": (lambda x: stats.score_profile(x, XS), (3, 4), "+-"),
    "score taus": (lambda x: stats.score_profile(ONES, x), (4,), ""),
    "x": (lambda x: stats.probability_of_improvement(x, ONES), (2, 4), "+-"),
    "y": (lambda x: stats.probability_of_improvement(ONES, x), (2, 4), "+-"),
    "a": (lambda x: stats.paired_comparison(x, ONES), (3, 4), ""),
    "b": (lambda x: stats.paired_comparison(ONES[0], x), (4,), ""),
    "holm": (stats.holm, (4,), ""),
    "mean_ranks": (stats.mean_ranks, (3, 4), "+"),
    "friedman_p": (stats.friedman_p, (3, 4), "+"),
    "cliques": (lambda x: stats.cliques(x, 1.0), (4,), ""),
    "best_after": (lambda x: stats.best_after(x, ONES[0]), (4,), "+"),
    "reported": (lambda x: stats.best_after(ONES[0], x), (4,), "+"),
    "sensitivity": (lambda x: stats.sensitivity_width(RATES, x), (4,), "+"),
    "rates": (lambda x: stats.sensitivity_width(x, np.ones(4)), (4,), ""),
    "nested_selection": (lambda x: stats.nested_selection(x, ONES), (3, 4), "+"),
    "nested report": (lambda x: stats.nested_selection(ONES, x), (3, 4), "+"),
}


def increasing(shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers from above 1, each once."""
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


def ok(name: str, values: np.ndarray) -> np.ndarray:
    return values / 100 if name == "holm" else values


@pytest.mark.parametrize("name", SEVERAL)
def test_nan_is_missing_and_refused(name):
    function, shape, _ = SEVERAL[name]
    values = ok(name, increasing(shape))
    function(values)
    values.flat[[1, 2]] = NAN
    with pytest.raises(LoptError, match=f"hold 2 NaN among {values.size} values"):
        function(values)


@pytest.mark.parametrize("sign", "+-")
@pytest.mark.parametrize("name", SEVERAL)
def test_infinities_are_the_worst_or_refused(name, sign):
    function, shape, allowed = SEVERAL[name]
    values = ok(name, increasing(shape))
    values.flat[-1] = float(f"{sign}inf")
    if sign in allowed:
        function(values)
        return
    with pytest.raises(LoptError, match=rf"hold 1 values of \{sign}inf among"):
        function(values)


@pytest.mark.parametrize("name", SEVERAL)
def test_too_few_axes_and_no_numbers_are_refused(name):
    function, shape, _ = SEVERAL[name]
    if name != "target":
        with pytest.raises(LoptError, match=r"must be .*\], got .* shape \(\)"):
            function(np.float64(1))
        with pytest.raises(LoptError, match=r"got an array of shape .*0"):
            function(np.ones((*shape[:-1], 0)))
    with pytest.raises(LoptError, match="must be numbers"):
        function([["a"] * shape[-1]] * 2)


@pytest.mark.parametrize("statistic", [stats.iqm, stats.median, stats.mean])
def test_infinities_of_both_signs_have_no_worst(statistic):
    with pytest.raises(LoptError, match=r"1 values of \+inf and 2 of -inf among 6"):
        statistic([[INF, 0, 1], [-INF, -INF, 2]])


def test_every_public_name_is_exported():
    assert all(hasattr(stats, name) for name in stats.__all__)
    assert sorted(stats.__all__) == stats.__all__
