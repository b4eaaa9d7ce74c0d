"""One look at all seeds: pairing, few seeds, divergence, bounds and luck."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.stats.chains import TaskLosses, prepared
from learned_optimization.baselines.stats.luck import winners_luck
from learned_optimization.baselines.stats.opponents import Pairing
from learned_optimization.baselines.stats.pair_verdicts import PairOutcome
from learned_optimization.baselines.stats.racing import RaceRules, race
from learned_optimization.baselines.stats.single_look import (
    adjusted_among_all,
    one_look,
)
from learned_optimization.baselines.stats.student_hall import smaller_t
from learned_optimization.errors import LoptError
from tests.baselines.stats.race_cases import drawn


def one_config(*losses, seeds=None, **more):
    """Return losses of sets of one configuration, the same on both splits."""
    rows = [np.asarray(x, float)[None] for x in losses]
    return TaskLosses(rows, rows, seeds=seeds, **{"ceiling": 2.3, **more})


def test_two_sets_of_one_configuration_by_hand():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 0.1, size=(2, 10))
    look = one_look(one_config(a, b))
    # The first seed only chooses.
    t = float(smaller_t((a - b)[1:]))
    expected = scipy_stats.t.sf(t, 8)
    assert look.standings[0].p_value == pytest.approx(expected)
    assert look.standings[0].p_adjusted == pytest.approx(
        min(2 * min(expected, look.standings[1].p_value), 1)
        if expected < look.standings[1].p_value
        else max(expected, 2 * look.standings[1].p_value)
    )
    assert look.pairs[0].p_b_better == pytest.approx(expected)
    assert look.pairs[0].difference == pytest.approx((a - b)[1:].mean())


@pytest.mark.parametrize("seed", range(10))
def test_one_look_is_that_of_a_race_with_the_whole_level(seed):
    losses = drawn(np.random.default_rng(seed), (0.0, 1.0, 1.4), 16)
    looks = race(losses, RaceRules(0.0, alpha=0.05, max_seeds=16)).looks
    # The race's statistics, as long as nothing has been dropped before.
    dropped = [k.look.num_seeds for k in looks if k.dropped]
    first = next(k for k in looks if k.look.num_seeds == min(dropped, default=16))
    n = first.look.num_seeds
    cut = replace(
        losses,
        outer_valid=[np.asarray(x)[:, :n] for x in losses.outer_valid],
        test=[np.asarray(x)[:, :n] for x in losses.test],
    )
    halved = 2 if n < 8 else 1
    for a, t in first.evidence.items():
        p = min(halved * scipy_stats.t.sf(t, n - 2), 1)
        assert one_look(cut).standings[a].p_value == pytest.approx(p)


def test_seeds_are_paired_by_id_in_any_order():
    rng = np.random.default_rng(1)
    losses = drawn(rng, (0.0, 1.0, 0.5), 9)
    ids = np.array([5, 3, 9, 1, 2, 4, 6, 8, 7])
    straight = replace(losses, seeds=[ids, ids, ids])
    order = rng.permutation(9)
    mixed = replace(
        losses,
        outer_valid=[
            *losses.outer_valid[:2],
            np.asarray(losses.outer_valid[2])[:, order],
        ],
        test=[*losses.test[:2], np.asarray(losses.test[2])[:, order]],
        seeds=[ids, ids, ids[order]],
    )
    assert one_look(mixed, 0.01) == one_look(straight, 0.01)


def test_lists_of_different_lengths_are_compared_on_the_seeds_both_have():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.5, 0.1, size=(2, 20))
    few = one_config(a[:5], b, seeds=[range(5), range(20)])
    look = one_look(few)
    assert [s.num_seeds for s in look.standings] == [5, 5]
    assert look.pairs[0].num_seeds == 5
    same = one_look(one_config(a[:5], b[:5]))
    assert look.standings[0].p_value == pytest.approx(same.standings[0].p_value)
    assert look.standings[1].p_value == pytest.approx(same.standings[1].p_value)


def test_a_pair_of_more_seeds_uses_them():
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(0.5, 0.1, size=(3, 20))
    seeds = [range(5), range(20), range(20)]
    look = one_look(one_config(a[:5], b, c, seeds=seeds))
    assert [p.num_seeds for p in look.pairs] == [5, 5, 20]
    assert look.standings[1].num_seeds == 20


def test_sets_without_a_common_seed_are_independent():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.5, 0.1, size=(2, 8))
    apart = one_look(one_config(a, b, seeds=[range(8), range(100, 108)]))
    unknown = one_look(one_config(a, b))
    assert apart.standings[0].p_value == unknown.standings[0].p_value
    # A few in common are those that count.
    some = one_look(one_config(a, b, seeds=[range(8), range(6, 14)]))
    assert some.pairs[0].outcome is PairOutcome.TOO_FEW_SEEDS


@pytest.mark.parametrize("num_seeds", [1, 2, 3])
def test_nothing_is_said_below_four_seeds(num_seeds):
    seeds = np.arange(num_seeds)
    look = one_look(one_config(0.5 + 1e-6 * seeds, 1.5 + 1e-6 * seeds**2), 0.01)
    assert [s.is_out for s in look.standings] == [False, False]
    assert np.isnan([s.p_value for s in look.standings]).all()
    assert np.isnan([look.pairs[0].low, look.pairs[0].high]).all()
    assert look.pairs[0].outcome is PairOutcome.TOO_FEW_SEEDS
    assert np.isnan(look.pairs[0].p_value)
    assert look.pairs[0].more_seeds is None
    assert look.luck is None
    over_tasks = one_look([one_config(*np.ones((2, num_seeds)))] * 2)
    assert np.isnan([s.p_value for s in over_tasks.standings]).all()


def test_fewer_than_eight_seeds_have_half_the_level():
    rng = np.random.default_rng(5)
    x = rng.normal(size=7)
    for n, factor in ((5, 2), (7, 2)):
        a, b = 0.5 + 0.01 * x[:n], np.full(n, 0.5)
        p = scipy_stats.t.sf(float(smaller_t((a - b)[1:])), n - 2)
        assert one_look(one_config(a, b)).standings[0].p_value == pytest.approx(
            min(factor * p, 1)
        )


@pytest.mark.parametrize("num_seeds", [5, 10])
def test_one_diverged_seed_does_not_save_a_hopeless_set(num_seeds):
    rng = np.random.default_rng(6)
    good, bad = 0.5 + 0.01 * rng.normal(size=(2, num_seeds))
    bad += 0.5
    for lost in range(1, num_seeds):
        with_nan = bad.copy()
        with_nan[lost] = np.nan
        look = one_look(one_config(good, with_nan))
        assert look.left == (0,)
        assert look.standings[1].num_diverged == (1,)
        (apart,) = look.pairs[0].divergence
        assert (apart.share_a, apart.share_b) == (0.0, 1 / num_seeds)
        assert apart.p_value == pytest.approx(1.0)
    # An opponent's divergence is no reason to call it the best.
    with_nan = good.copy()
    with_nan[2] = np.nan
    assert 1 in one_look(one_config(with_nan, bad)).left


def test_all_verdicts_of_a_pair():
    rng = np.random.default_rng(7)
    base = rng.normal(0.5, 0.05, size=30)
    noise = 0.002 * rng.normal(size=(2, 30))
    look = one_look(one_config(base, base + noise[0], base + 0.05 + noise[1]), 0.01)
    same, better, _ = look.pairs
    assert same.outcome is PairOutcome.EQUIVALENT
    assert (better.outcome, better.better) == (PairOutcome.BETTER, 0)
    assert look.pair(2, 0) is better
    assert better.low < better.difference < better.high < 0
    few = one_look(one_config(base[:6], base[:6] + 0.002 + 3 * noise[0, :6]), 0.0)
    (undecided,) = few.pairs
    assert undecided.outcome is PairOutcome.UNDECIDED
    assert undecided.seeds_to_decide is None or undecided.seeds_to_decide > 6


def test_more_seeds_are_proposed_where_they_would_tell():
    # A difference of 1 sd among 8 seeds, undecided at 2.5%.
    x = np.array([0.0, -1.2, 0.4, 1.5, 1.9, 0.1, 2.2, 1.0])
    look = one_look(one_config(0.5 + 0.01 * x, np.full(8, 0.5)))
    (pair,) = look.pairs
    assert pair.outcome is PairOutcome.UNDECIDED
    assert pair.would_tell
    assert pair.seeds_to_decide is not None
    d = x[1:]
    z = scipy_stats.norm.ppf(0.8)
    tried = next(
        n
        for n in range(2, 999)
        if d.mean() >= (scipy_stats.t.isf(0.025, n - 1) + z) * d.std(ddof=1) / n**0.5
    )
    assert pair.seeds_to_decide == tried + 1


@pytest.mark.parametrize(
    ("num_tasks", "shift", "at_whole_level"),
    [(1, -0.45, 6), (1, -0.6, 7), (2, -0.95, 7), (2, -1.05, 9)],
)
def test_more_seeds_are_proposed_at_the_level_they_will_have(
    num_tasks, shift, at_whole_level
):
    x = np.array([0.0, 1.1, 1.9, 2.2, 1.0]) + shift
    task = one_config(0.5 + 0.01 * x, np.full(5, 0.5))
    (pair,) = one_look([task] * num_tasks).pairs
    d, z = x[1:], scipy_stats.norm.ppf(0.8)
    # The sum over equal tasks has so many times the mean, and the root of the spread.
    mean, sd = d.mean() * num_tasks, d.std(ddof=1) * num_tasks**0.5

    def needed(level_of):
        return next(
            n
            for n in range(5, 99)
            if mean >= (scipy_stats.t.isf(level_of(n), n - 2) + z) * sd / (n - 1) ** 0.5
        )

    of_several = 0.9 if num_tasks > 1 else 1.0
    assert pair.outcome is PairOutcome.UNDECIDED
    assert pair.seeds_to_decide == needed(
        lambda n: 0.025 * of_several * (0.5 if n < 8 else 1.0)
    )
    assert needed(lambda n: 0.025) == at_whole_level


@pytest.mark.parametrize("num_tasks", [1, 3])
def test_bounds_hold_and_agree_with_who_is_out(num_tasks):
    rng = np.random.default_rng(8)
    truth = 0.01 * np.array([0.0, 0.4, 1.6])
    gaps = [truth[0] - truth[1], truth[1] - truth[0], truth[2] - truth[0]]
    lows, highs, num = 0, 0, 60
    for _ in range(num):
        losses = [drawn(rng, (1.6, 1.2, 0.0), 10) for _ in range(num_tasks)]
        look = one_look(losses)
        lows += any(s.low > g for s, g in zip(look.standings, gaps, strict=True))
        highs += any(s.high < g for s, g in zip(look.standings, gaps, strict=True))
        for s in look.standings:
            assert s.low <= s.high
            # Holm's level is no smaller than that of the bound.
            assert s.is_out or s.low <= 0
    # At most 5% each; 60 draws rarely show more than 9.
    assert lows <= 9
    assert highs <= 9


def test_a_total_failure_on_one_task_is_named_and_never_first():
    rng = np.random.default_rng(9)
    losses = [
        drawn(rng, (0.0, 2.0), 5, reference=0.5, scale=1.8, name=f"t{q}")
        for q in range(4)
    ]
    for split in (losses[3].test, losses[3].outer_valid):
        np.asarray(split[1])[:] = np.nan
    look = one_look(losses)
    assert look.order == (0, 1)
    ((task, a, score),) = look.low_scores
    assert (task, a, score) == (3, 1, pytest.approx(0.0, abs=1e-9))


def test_several_tasks_decide_what_one_does_not():
    rng = np.random.default_rng(10)
    tasks = [drawn(rng, (1.0, 0.0), 5, reference=0.5, scale=1.0) for _ in range(10)]
    assert one_look(tasks).left == (0,)
    assert sum(one_look(task).left == (0,) for task in tasks) < 5


def test_winners_luck():
    rng = np.random.default_rng(11)
    bias, honest, covered, num = [], [], 0, 400
    for _ in range(num):
        losses = one_config(*rng.normal(size=(6, 8)), ceiling=1e9)
        pairing = Pairing(losses, prepared(losses))
        means = [chain.test.mean() for chain in pairing.chains]
        luck = winners_luck([pairing], int(np.argmin(means)), 0.05)
        assert luck is not None
        assert luck.loss.estimate == pytest.approx(min(means))
        bias.append(min(means))
        honest.append(luck.honest)
        covered += luck.loss.low <= 0 <= luck.loss.high
    # All are equal, of mean 0: the first of 6 is 1.27 standard errors below it.
    assert np.mean(bias) == pytest.approx(-1.267 / np.sqrt(7), abs=0.05)
    assert np.mean(honest) == pytest.approx(0.0, abs=4 / np.sqrt(6 * num))
    assert covered >= 0.93 * num


def test_what_cannot_be_compared_is_refused():
    rng = np.random.default_rng(12)
    losses = drawn(rng, (0.0, 0.0), 5)
    with pytest.raises(LoptError, match="different ids"):
        one_look(replace(losses, seeds=[[0, 1, 2, 3, 3], range(5)]))
    with pytest.raises(LoptError, match="one list per set"):
        one_look(replace(losses, seeds=[range(5)]))
    with pytest.raises(LoptError, match="have not run"):
        one_look(replace(losses, ran=[np.zeros((4, 5), bool), np.ones((4, 5), bool)]))
    with pytest.raises(LoptError, match="at least 2"):
        one_look(replace(losses, test=losses.test[:1]))
    with pytest.raises(LoptError, match="tolerance"):
        one_look(losses, tolerance=np.inf)


def test_a_set_that_is_out_is_never_the_first():
    # A's few seeds are easy ones, on each of which it is worse.
    seeds = np.arange(20)
    b = np.where(seeds < 6, 0.4, 0.6) + 0.001 * np.cos(seeds)
    a = b[:6] + 0.01 + 0.001 * np.sin(seeds[:6])
    task = one_config(a, b, seeds=[range(6), range(20)])
    for tasks in (task, [task, task]):
        look = one_look(tasks)
        assert look.standings[0].loss.estimate < look.standings[1].loss.estimate
        assert [s.is_out for s in look.standings] == [True, False]
        assert look.order == (1, 0)
        assert look.left == (1,)


def test_if_all_sets_would_be_out_one_stays():
    # Holm: 3 * 0.001, and 2 * 0.003; the third stays, though 0.004 is below 0.05.
    found = adjusted_among_all(np.array([0.003, 0.001, 0.004]), 0.05)
    assert found == pytest.approx([0.006, 0.003, 1.0])
    found = adjusted_among_all(np.array([0.003, 0.06, 0.001]), 0.05)
    assert found == pytest.approx([0.006, 0.06, 0.003])
    found = adjusted_among_all(np.array([0.003, np.nan]), 0.05)
    np.testing.assert_allclose(found, [0.006, np.nan])
