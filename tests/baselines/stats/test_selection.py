"""Choosing on some seeds and reporting on another, by hand and in expectation."""

import numpy as np
import pytest

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.best_of_set import FinalLosses, best_of_set
from learned_optimization.errors import LoptError

INF = np.inf


def test_by_hand():
    select = [[1, 5, 5], [4, 4, 2], [3, 3, 3]]
    report = [[10, 20, 30], [11, 21, 31], [12, 22, 32]]
    selected = stats.nested_selection(select, report)
    # Means without each seed: (5, 3, 3), (3, 3, 3), (3, 4, 3): the first of ties.
    assert selected.chosen.tolist() == [1, 0, 0]
    assert selected.report.tolist() == [11, 20, 30]
    # Means of all: 11, 10 and 9 thirds.
    assert (selected.index, selected.naive) == (2, 22)
    assert selected.nested == pytest.approx(61 / 3)
    assert selected.bias == pytest.approx(61 / 3 - 22)


def test_a_diverged_configuration_loses():
    select = [[0, 0, INF], [5, 5, 5]]
    report = [[1, 1, INF], [7, 8, 9]]
    selected = stats.nested_selection(select, report)
    # The seed that diverged took no part in the choice, and is reported as it is.
    assert selected.chosen.tolist() == [1, 1, 0]
    assert selected.report.tolist() == [7, 8, INF]
    assert (selected.index, selected.naive, selected.nested, selected.bias) == (
        1,
        8,
        INF,
        INF,
    )


def test_where_everything_diverged():
    selected = stats.nested_selection(np.full((2, 3), INF), np.full((2, 3), INF))
    assert (selected.naive, selected.nested, selected.bias) == (INF, INF, 0)


def test_on_all_seeds_it_is_the_best_of_the_set():
    rng = np.random.default_rng(0)
    for _ in range(20):
        valid, test = rng.normal(size=(2, 6, 4))
        valid[rng.random((6, 4)) < 0.2] = np.nan
        marked = stats.mark_diverged(valid)
        losses = {"outer_valid": valid, "test": test}
        best = best_of_set(FinalLosses(losses, tuple("abcdef")))
        assert stats.nested_selection(marked, test).index == best.index


def test_bias_is_the_luck_of_the_best():
    # 20 configurations that differ by chance alone: all have a true loss of 0.
    rng = np.random.default_rng(0)
    num_sets, num_seeds = 2000, 5
    noise = rng.normal(size=(num_sets, 20, num_seeds))
    selections = [stats.nested_selection(losses, losses) for losses in noise]
    naive = np.array([f.naive for f in selections])
    nested = np.array([f.nested for f in selections])
    error = 5 / num_sets**0.5
    assert abs(nested.mean()) < error * nested.std()
    # Expected: the lowest of 20 standard normal numbers, over the root of 5.
    lowest = -1.867475 / num_seeds**0.5
    assert abs(naive.mean() - lowest) < error * naive.std()


@pytest.mark.parametrize("shape", [(3, 1), (2, 4)])
def test_seeds_must_fit(shape):
    with pytest.raises(LoptError, match="of at least 2 seeds, got shapes"):
        stats.nested_selection(np.ones(shape), np.ones((3, shape[1])))
