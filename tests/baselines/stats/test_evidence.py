"""The e-process, against an integral over noncentral t distributions."""

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from learned_optimization.baselines.stats.evidence import EProcess, log_e_values
from learned_optimization.errors import LoptError


@pytest.mark.parametrize("spread", [0.5, 1.0])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_e_values_are_likelihood_ratios_of_t(n, spread):
    x = np.random.default_rng(n).normal(0.6, 1.0, size=n)
    t, _ = scipy_stats.ttest_1samp(x, 0.0)

    def weighted(effect: float) -> float:
        ratio = scipy_stats.nct.pdf(t, n - 1, effect * n**0.5)
        ratio /= scipy_stats.t.pdf(t, n - 1)
        return float(ratio * scipy_stats.halfnorm.pdf(effect, scale=spread))

    expected, _ = integrate.quad(weighted, 0, 8 * spread)
    assert np.exp(log_e_values(x, spread)[-1]) == pytest.approx(expected, rel=1e-5)


def test_e_values_do_not_depend_on_the_scale():
    x = np.random.default_rng(0).normal(size=(3, 20))
    for scale in (1e-200, 1e200):
        np.testing.assert_allclose(log_e_values(scale * x), log_e_values(x), rtol=1e-9)
    np.testing.assert_array_equal(log_e_values(np.zeros(4)), np.zeros(4))


def test_the_threshold_is_ever_passed_no_more_often_than_alpha():
    # Ville's inequality; 3,000 sequences have a standard deviation of 0.004 at 0.05.
    x = np.random.default_rng(0).normal(size=(3000, 100))
    needed = EProcess().needed(0.05, 1 / 7, 100)
    assert needed == pytest.approx(np.log(20))
    ever = (log_e_values(x).max(axis=1) > needed).mean()
    assert 0.005 < ever < 0.05
    with_effect = (log_e_values(x + 0.5)[:, -1] > needed).mean()
    assert with_effect > 0.9


def test_the_spread_is_positive():
    with pytest.raises(LoptError, match="spread"):
        EProcess(0.0)
