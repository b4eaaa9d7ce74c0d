"""Comparisons of sets, against scipy and numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.baselines.analysis.losses import (
    ceilings_of,
    num_shared_seeds,
    reported,
)
from learned_optimization.baselines.analysis.scores import (
    TARGET_SHARE,
    choose_reference,
    improvement,
    target_of,
)
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.analysis.standings import task_verdict
from learned_optimization.baselines.analysis.times import EXACT, lowest, times_to
from learned_optimization.baselines.analysis.verdicts import compare, verdict
from learned_optimization.errors import LoptError
from tests.baselines.archives import write_archive, write_three

NAN = np.nan


def load(names, *tasks):
    return [[load_set_result(task, name) for name in names] for task in tasks]


def write_pair(task, a, b, seeds=None, **more):
    """Archive sets A and B of one configuration each."""
    for name, losses in (("A", a), ("B", b)):
        own = range(len(losses)) if seeds is None else seeds[name]
        write_archive(task, name, [losses], seeds=own, **more)


def by_name(things):
    return {thing.set_name: thing for thing in things}


def chained(result):
    """What each seed shows of the configuration with the least sum before it."""
    valid, test = result.ends["outer_valid"], result.ends["test"]
    return np.asarray(
        [test[np.argmin(valid[:, :t].sum(axis=1)), t] for t in range(1, test.shape[1])]
    )


def test_one_task():
    names = write_three()
    [row] = load(names, "T")
    compared = task_verdict(row, names[0])
    assert compared.standings[0].set_name == "SGDMLR_1000_R5"
    assert {s.set_name for s in compared.standings} == set(names)
    assert compared.not_told_apart == ()
    look = stats.one_look(
        stats.TaskLosses(
            [r.ends["outer_valid"] for r in row],
            [r.ends["test"] for r in row],
            ceiling=2.0,
        ),
        tolerance=0.01 * (2.0 - chained(row[0]).mean()),
    )
    for result, found in zip(row, look.standings, strict=True):
        standing = compared.standing(result.set_name)
        assert standing.p_value == pytest.approx(found.p_adjusted)
        assert standing.is_out == found.is_out
        interval = standing.difference
        assert (interval.low, interval.high) == pytest.approx((found.low, found.high))
        losses = chained(result)
        half = scipy_stats.t.ppf(0.975, 3) * scipy_stats.sem(losses)
        assert standing.loss.estimate == pytest.approx(losses.mean())
        assert standing.loss.high == pytest.approx(losses.mean() + half)
    assert compared.comparison is not None
    assert compared.comparison.look.tolerance == pytest.approx(look.tolerance)


def test_alike_may_both_be_the_best():
    rng = np.random.default_rng(1)
    write_pair("T", *(0.5 + 0.1 * rng.random((2, 5))))
    [row] = load(["A", "B"], "T")
    compared = task_verdict(row, "A")
    assert len(compared.not_told_apart) == 1
    assert not compared.standings[0].is_out


# Issue 19, 1: a total failure disappears.


@pytest.mark.parametrize("end", [2.0, 3.0, NAN])
def test_a_total_failure_on_one_task_is_named_and_not_first(end):
    rng = np.random.default_rng(3)
    for task in range(4):
        a = 0.5 + 0.001 * rng.standard_normal(5)
        b = a - 0.02 if task < 3 else np.full(5, end)
        write_pair(f"T{task}", a, b)
    compared = verdict(load("AB", "T0", "T1", "T2", "T3"))
    assert [o.set_name for o in compared.overall] == ["A", "B"]
    b = compared.overall[1]
    # Of each of three tasks 1.02 / 1.5 more than the reference, of the fourth nothing.
    assert b.score.estimate == pytest.approx(3 * (1 + 0.02 / 1.5) / 4, abs=2e-3)
    [failure] = compared.over_tasks.failures
    assert (failure.task_name, failure.set_name) == ("T3", "B")
    assert failure.score == pytest.approx(0.0, abs=1e-9)
    # The interquartile mean of all runs does not see it: a quarter of them failed.
    assert b.iqm.estimate == pytest.approx(1 + 0.02 / 1.5, abs=2e-3)
    assert compared.tasks[3].standing("B").is_out


def test_twice_the_loss_is_worse_though_all_of_a_large_improvement():
    rng = np.random.default_rng(4)
    for task in range(3):
        a = 0.5 + 0.001 * rng.standard_normal(5)
        write_pair(f"T{task}", a, a - 0.02)
    a = 0.5 + 0.001 * rng.standard_normal(5)
    write_pair("T3", a, 2 * a, start=100.0)
    compared = verdict(load("AB", "T0", "T1", "T2", "T3"))
    scores = by_name(compared.overall)
    want = (3 * (1 + 0.02 / 1.5) + (100 - 1.0) / (100 - 0.5)) / 4
    assert scores["B"].score.estimate == pytest.approx(want, abs=1e-3)
    # Which score cannot show it, so that the task does.
    assert compared.tasks[3].standing("B").is_out
    assert compared.tasks[3].standings[0].set_name == "A"


def test_scores_are_pooled_as_rliable_pools_them():
    rng = np.random.default_rng(5)
    ends = 0.5 + 0.2 * rng.random((3, 2, 5))
    for task, pair in enumerate(ends):
        write_pair(f"T{task}", *pair)
    compared = verdict(load("AB", "T0", "T1", "T2"), "A")
    scores = np.stack([(2.0 - b[1:]) / (2.0 - a[1:].mean()) for a, b in ends], axis=1)
    b = by_name(compared.overall)["B"]
    assert scores.dtype == np.float64
    assert b.iqm.estimate == pytest.approx(
        scipy_stats.trim_mean(scores.ravel(), 0.25), rel=1e-6
    )
    assert b.score.estimate == pytest.approx(scores.mean(), rel=1e-6)
    assert b.median == pytest.approx(np.median(scores.mean(axis=0)), rel=1e-6)
    gap = np.maximum(1 - scores, 0).mean()
    assert b.optimality_gap == pytest.approx(gap, abs=1e-6)


# Issue 19, 2: the estimand is the best configuration of each grid.


def test_equal_configurations_put_no_set_out():
    rng = np.random.default_rng(6)
    by_nested = out = 0
    for _ in range(30):
        rows = []
        for name in "AB":
            ends = 0.5 + 0.01 * rng.standard_normal((14, 40))
            write_archive("T", name, ends, seeds=range(40), num_evals=2)
            rows.append(load_set_result("T", name))
        nested = [
            stats.nested_selection(r.ends["outer_valid"], r.ends["test"]).report
            for r in rows
        ]
        p_values = [
            [stats.p_value_of_worse(a, b, paired=True, nested=True) for b in nested]
            for a in nested
        ]
        by_nested += bool((stats.p_values_of_being_best(p_values) < 0.05).any())
        out += any(s.is_out for s in task_verdict(rows, "A").standings)
    # The variance of Nadeau & Bengio puts one out in 17% of such draws.
    assert by_nested >= 2
    assert out == 0


# Issue 19, 3: seeds both have; several tasks together.


def test_seeds_both_have_are_compared_whatever_their_order_and_number():
    rng = np.random.default_rng(7)
    common = rng.normal(0.5, 0.1, size=20)
    a, b = common + 0.01 * rng.standard_normal((2, 20)) + [[0.0], [0.03]]
    order = rng.permutation(20)
    write_pair("T", a[:5], b[order], seeds={"A": range(5), "B": order})
    write_pair("U", a[:5], b[:5])
    results = load("AB", "T", "U")
    more, same = (task_verdict(row, "A") for row in results)
    assert num_shared_seeds(*results[0]) == 5
    for name in "AB":
        p_value = more.standing(name).p_value
        assert p_value == pytest.approx(same.standing(name).p_value)
    assert more.standing("B").is_out
    # Set B reports all its seeds.
    assert more.standing("B").loss.estimate == pytest.approx(b[1:].mean())


def test_seeds_that_differ_are_independent():
    rng = np.random.default_rng(2)
    a, b = rng.random(5), 0.3 + rng.random(5)
    write_pair("T", a, b, seeds={"A": range(5), "B": range(5, 10)})
    write_pair("U", a, b, seeds={"A": range(5), "B": range(3, 8)})
    apart, some = load("AB", "T", "U")
    assert num_shared_seeds(*apart) == 0
    assert num_shared_seeds(*some) == 2
    comparison = task_verdict(apart, "A").comparison
    assert comparison is not None
    assert comparison.num_seeds == 5
    comparison = task_verdict(some, "A").comparison
    assert comparison is not None
    assert not comparison.says_something


def test_several_tasks_decide_together():
    rng = np.random.default_rng(8)
    for task in range(10):
        a, b = 0.5 + 0.02 * rng.standard_normal((2, 5))
        write_pair(f"T{task}", a, b + 0.03)
    compared = verdict(load("AB", *(f"T{i}" for i in range(10))), "A")
    assert [o.set_name for o in compared.overall] == ["A", "B"]
    assert compared.overall[1].is_out
    assert compared.overall[1].p_value < 1e-3
    alone = [task.standing("B").is_out for task in compared.tasks]
    assert sum(alone) < 5
    low, high = (getattr(compared.overall[1].difference, x) for x in ("low", "high"))
    assert low < 0.03 / 1.5 < high


# Issue 19, 4: one diverged seed.


@pytest.mark.parametrize("num_seeds", [5, 10])
def test_one_diverged_seed_does_not_save_a_hopeless_set(num_seeds):
    rng = np.random.default_rng(9)
    a, b = 0.5 + 0.01 * rng.standard_normal((2, num_seeds))
    b += 0.5
    b[2] = NAN
    write_pair("T", a, b)
    compared = task_verdict(load("AB", "T")[0], "A")
    assert compared.standing("B").is_out
    assert compared.standing("B").num_diverged == 1
    assert compared.comparison is not None
    [found] = compared.comparison.pair("A", "B").divergence
    assert (found.share_a, found.share_b) == (0.0, 1 / num_seeds)
    table = [[0, num_seeds], [1, num_seeds - 1]]
    assert found.p_value == pytest.approx(
        np.asarray(scipy_stats.fisher_exact(table))[1]
    )


def test_a_diverged_seed_counts_as_not_trained():
    write_pair("T", [0.5, 0.6, 0.5, 0.6, 0.5], [0.2, NAN, 0.3, 0.2, 0.3])
    results = load(["A", "B"], "T")
    compared = task_verdict(results[0], "A")
    b = compared.standing("B")
    assert b.loss.estimate == pytest.approx((2.0 + 0.8) / 4)
    assert (b.num_diverged, b.censored) == (1, 0.25)
    # Better on three of four: that rules out neither.
    assert not any(s.is_out for s in compared.standings)
    # It may be the reference, too.
    assert verdict(results, "B").overall[0].score.estimate > 0.9


# Issue 19, 5: few seeds.


@pytest.mark.parametrize("num_seeds", [1, 2, 3])
def test_nothing_is_claimed_of_fewer_than_four_seeds(num_seeds):
    few = 1e-6 * np.arange(num_seeds)
    write_pair("U", 0.5 + few, 1.0 + few)
    write_archive("U", "C", [[NAN] * num_seeds], seeds=range(num_seeds))
    [row] = load("ABC", "U")
    compared = verdict([row])
    assert compared.tasks[0].not_told_apart == ("B", "C")
    for standing in (*compared.tasks[0].standings, *compared.overall):
        assert np.isnan(standing.p_value)
        assert not standing.is_out
        assert np.isnan([standing.difference.low, standing.difference.high]).all()
        assert np.isnan([standing.speedup.low, standing.speedup.high]).all()
    assert np.isnan([s.loss.low for s in compared.tasks[0].standings]).all()
    assert compared.tasks[0].comparison is not None
    assert not compared.tasks[0].comparison.says_something


def test_family_wise_is_holm_over_all_pairs():
    rng = np.random.default_rng(10)
    ends = 0.5 + 0.01 * rng.standard_normal((4, 1, 12))
    for i, (name, final) in enumerate(zip("ABCD", ends, strict=True)):
        write_archive("T", name, final + 0.008 * i, seeds=range(12))
    comparison = task_verdict(load("ABCD", "T")[0], "A").comparison
    assert comparison is not None
    pairs = comparison.look.pairs
    p_values = np.asarray([2 * min(p.p_a_better, p.p_b_better) for p in pairs])
    order = np.argsort(p_values)
    found = set()
    for rank, i in enumerate(order):
        if p_values[i] * (len(pairs) - rank) >= 0.05:
            break
        found.add((pairs[i].a, pairs[i].b))
    assert found
    assert {(p.a, p.b) for p in comparison.family_wise()} == found
    assert len(found) < sum(p.outcome is stats.PairOutcome.BETTER for p in pairs)


# Issue 19, 7: equivalence, more seeds, speed-ups.


def test_equivalent_within_a_share_of_what_the_reference_improves():
    rng = np.random.default_rng(11)
    a = rng.normal(0.5, 0.05, size=20)
    write_pair("T", a, a + 0.002 * rng.standard_normal(20))
    [row] = load("AB", "T")

    def pair(tolerance):
        comparison = compare([row], "A", tolerance=tolerance).tasks[0].comparison
        assert comparison is not None
        assert comparison.look.tolerance == pytest.approx(
            tolerance * (2.0 - a[1:].mean())
        )
        return comparison.pair("A", "B")

    assert pair(0.01).outcome is stats.PairOutcome.EQUIVALENT
    assert pair(0.0).outcome is stats.PairOutcome.UNDECIDED
    narrow = pair(0.0003)
    assert narrow.outcome is stats.PairOutcome.UNDECIDED
    assert narrow.seeds_to_decide is None or narrow.seeds_to_decide > 20
    over = compare([row], "A", tolerance=0.01).over_tasks.comparison
    assert over is not None
    assert over.pair("A", "B").outcome is stats.PairOutcome.EQUIVALENT
    with pytest.raises(LoptError, match="tolerance must be a share of at least 0"):
        compare([row], tolerance=-0.1)


def test_speedups_are_nested_chosen_for_time_and_have_intervals():
    # The second configuration is the faster one, the first ends lower.
    rng = np.random.default_rng(12)
    ends = 0.5 + 0.001 * rng.standard_normal((2, 5))
    write_archive("T", "A", ends[:1] + 0.1, seeds=range(5), decay=0.05)
    slow = np.linspace(0.04, 0.06, 5)
    fast = np.linspace(0.2, 0.3, 5)

    def losses(end, decays):
        fallen = np.exp(-decays[:, None] * np.arange(101))
        return end + (2.0 - end) * fallen

    both = np.stack([losses(0.5, slow), losses(0.52, fast)])
    write_archive("T", "B", both[:, :, -1], seeds=range(5))
    result = load_set_result("T", "B")
    for split in result.curves.losses:
        result.curves.losses[split] = both
    [a] = load("A", "T")[0]
    assert result.best.index == 0
    target = target_of(a)
    times = times_to(result, target)

    def steps(curve):
        smooth, total, weight = [], 0.0, 0.0
        for value in curve:
            total, weight = 0.9 * total + 0.1 * value, 0.9 * weight + 0.1
            smooth.append(total / weight)
        i = next(i for i, x in enumerate(smooth) if x <= target)
        share = (smooth[i - 1] - target) / (smooth[i - 1] - smooth[i])
        return 10 * (i - 1 + share)

    want = np.asarray([steps(curve) for curve in both[1, 1:]])
    np.testing.assert_allclose(times.steps, want, rtol=1e-5)
    standing = task_verdict([a, result], "A").standing("B")
    assert standing.steps == pytest.approx(np.median(want), rel=1e-5)
    of_a = [steps(curve) for curve in a.curves.losses["test"][0, 1:]]
    logs = np.log(np.asarray(of_a) / want)
    half = scipy_stats.t.ppf(0.975, 3) * scipy_stats.sem(logs)
    assert standing.speedup.estimate == pytest.approx(np.exp(logs.mean()), rel=1e-5)
    assert standing.speedup.low == pytest.approx(np.exp(logs.mean() - half), rel=1e-5)


def test_times_are_to_most_of_the_improvement():
    write_archive("T", "A", [[0.5] * 5], seeds=range(5))
    write_archive("T", "Slow", [[0.5] * 5], seeds=range(5), decay=0.05)
    write_archive("T", "Poor", [[1.0] * 5], seeds=range(5))
    [row] = load(["A", "Slow", "Poor"], "T")
    assert improvement(row, "A") == pytest.approx(1.5)
    target = target_of(row[0])
    assert target == pytest.approx(2.0 - TARGET_SHARE * (2.0 - lowest(row[0])))
    found = by_name(verdict([row]).overall)
    assert 0.3 < found["Slow"].speedup.estimate < 0.8
    assert found["Slow"].bound.sign == ""
    # Poor never gets there: it takes longer than its 1,000 updates.
    steps = float(np.median(times_to(row[0], target).steps))
    assert found["Poor"].speedup.estimate == pytest.approx(steps / 1000)
    assert found["Poor"].bound.sign == "≤ "


def test_speedups_are_bounds_where_targets_are_missed():
    # One seed of the reference never reaches what its median seed does.
    write_archive("T", "A", [[0.5, 0.5, 0.5, 0.9, 0.5]], seeds=range(5))
    write_archive("T", "Same", [[0.5] * 5], seeds=range(5))
    write_archive("T", "Poor", [[1.0] * 5], seeds=range(5))
    write_archive("U", "A", [[0.5] * 5], seeds=range(5))
    write_archive("U", "Same", [[0.5] * 5], seeds=range(5))
    write_archive("U", "Poor", [[0.5] * 5], seeds=range(5))
    names = ["A", "Same", "Poor"]
    compared = verdict(load(names, "T", "U"), "A")
    signs = {"A": "", "Same": "≥ ", "Poor": "~ "}
    assert {o.set_name: o.bound.sign for o in compared.overall} == signs
    on_t, on_u = compared.tasks
    assert {s.set_name: s.bound.sign for s in on_t.standings} == signs
    assert all(s.bound == EXACT for s in on_u.standings)


# The rest.


def test_over_tasks():
    names = write_three("T")
    write_three("U")
    results = load(names, "T", "U")
    compared = verdict(results)
    assert compared.reference == "AdamLR_1000_R5"
    assert compared.overall[0].set_name == "SGDMLR_1000_R5"
    found = by_name(compared.overall)
    adam = found["AdamLR_1000_R5"]
    assert adam.score.estimate == pytest.approx(1.0)
    assert adam.improvement == pytest.approx(0.5)
    assert adam.speedup.estimate == pytest.approx(1.0)
    best = found["SGDMLR_1000_R5"]
    scores = np.stack(
        [(2.0 - chained(r[1])) / (2.0 - chained(r[0]).mean()) for r in results], axis=1
    )
    runs = scores.mean(axis=1)
    half = scipy_stats.t.ppf(0.975, 3) * scipy_stats.sem(runs)
    assert best.score.estimate == pytest.approx(runs.mean())
    assert best.score.high == pytest.approx(runs.mean() + half)
    assert best.iqm_over_tasks is None
    assert best.improvement == 1.0
    assert best.mean_rank == 1.0
    assert best.speedup.estimate > best.speedup.low > 1.0
    assert best.bound == EXACT
    assert best.optimality_gap == 0.0
    assert compared.not_told_apart == ()
    # Three sets on two tasks: q is 2.343 (Demsar 2006), times sqrt(3 * 4 / (6 * 2)).
    assert compared.critical_difference == pytest.approx(2.343, abs=2e-3)
    assert compared.ratios[0].tolist() == [1.0, 1.0]


def test_what_is_ranked_is_what_is_tested():
    # B is a bit worse on seven tasks and far better on one: the mean, by which sets are
    # compared, ranks it first, and must not call it worse.
    rng = np.random.default_rng(3)
    for task in range(8):
        noise = 0.001 * rng.standard_normal((2, 5))
        ends = (0.5, 0.51) if task else (0.98, 0.1)
        write_pair(f"T{task}", ends[0] + noise[0], ends[1] + noise[1])
    compared = verdict(load(["A", "B"], *(f"T{i}" for i in range(8))))
    assert [o.set_name for o in compared.overall] == ["B", "A"]
    b, a = compared.overall
    assert b.score.estimate > a.score.estimate > b.iqm.estimate
    assert b.p_value == pytest.approx(1.0)
    assert a.is_out
    assert b.iqm_over_tasks is not None
    assert b.iqm_over_tasks.low < b.iqm.estimate < b.iqm_over_tasks.high


def test_the_loss_before_training_is_that_of_all_sets():
    write_pair("T", [0.5, 0.6, NAN, 0.5, 0.5], [0.5] * 5)
    [a, b] = load("AB", "T")[0]
    a.curves.losses["test"][:, :, 0] = NAN
    assert ceilings_of([a, b]) == pytest.approx({"outer_valid": 2.0, "test": 2.0})
    np.testing.assert_allclose(reported(a, ceilings_of([a, b])), [0.6, 2.0, 0.5, 0.5])
    assert np.isnan(a.initial_loss)
    a.curves.losses["outer_valid"][:, :, 0] = NAN
    assert ceilings_of([a]) == {"outer_valid": np.inf, "test": np.inf}
    assert np.isinf(reported(a, ceilings_of([a]))).all()


def test_a_reference_has_to_improve_by_more_than_rounding():
    write_pair("T", [2.0 - 1e-12] * 5, [0.5] * 5)
    [row] = load("AB", "T")
    with pytest.raises(LoptError, match="A does not improve on the initial loss"):
        verdict([row], "A")
    assert compare([row]).reference == "B"


def test_refusals():
    names = write_three()
    results = load(names, "T")
    with pytest.raises(LoptError, match="at least one task"):
        verdict([])
    with pytest.raises(LoptError, match="the reference X is none of the sets"):
        verdict(results, "X")
    with pytest.raises(LoptError, match="do not have the same sets"):
        verdict([results[0], results[0][:2]])
    write_archive("Flat", "A", [[3.0, 3.0]])
    write_archive("Flat", "B", [[NAN, NAN]])
    with pytest.raises(LoptError, match="A does not improve on the initial loss"):
        verdict(load(["A", "B"], "Flat"), "A")
    with pytest.raises(LoptError, match="no set improves on the initial loss"):
        verdict(load(["A", "B"], "Flat"))


def test_choose_reference():
    for name, final in (("SGDLR_1_R1", 0.5), ("AdamLR_1_R1", 0.6), ("AdamWLR_1_R1", 1)):
        write_archive("T", name, [[final, final]])
    write_archive("T", "AdamLR_2_R1", [[NAN, NAN]])
    assert choose_reference(load(["SGDLR_1_R1", "AdamLR_1_R1"], "T")) == "AdamLR_1_R1"
    assert choose_reference(load(["SGDLR_1_R1", "AdamWLR_1_R1"], "T")) == "SGDLR_1_R1"
    assert (
        choose_reference(load(["AdamLR_2_R1", "AdamWLR_1_R1"], "T")) == "AdamWLR_1_R1"
    )


def test_the_reference_is_chosen_by_the_losses_that_are_compared():
    # Over whole splits Adam ends above the loss before training, 2; over the batches
    # that both sets have losses of, it does not.
    whole = {f"final/{split}/loss": 3.0 for split in ("train", "outer_valid", "test")}
    write_archive("T", "AdamLR_1", [[0.5] * 5], seeds=range(5), facts=whole)
    write_archive("T", "B", [[0.6] * 5], seeds=range(5))
    results = load(["B", "AdamLR_1"], "T")
    assert verdict(results).reference == "AdamLR_1"
    assert verdict(results, "AdamLR_1").overall[0].set_name == "AdamLR_1"


@pytest.mark.parametrize("bad", [range(5), range(5, 20)])
def test_tasks_of_more_seeds_count_with_all_of_them(bad):
    # T has 5 seeds and U 20, on some of which B is hardly better than not trained.
    rng = np.random.default_rng(1)
    a, b = {}, {}
    for task, num_seeds in (("T", 5), ("U", 20)):
        a[task] = 0.5 + 0.01 * rng.standard_normal(num_seeds)
        b[task] = 0.51 + 0.01 * rng.standard_normal(num_seeds)
    b["U"][bad] += 1.1
    for task in "TU":
        write_pair(task, a[task], b[task])
    compared = verdict(load("AB", "T", "U"), "A")
    scores = [(2.0 - b[t][1:]) / (2.0 - a[t][1:].mean()) for t in "TU"]
    of_a = [(2.0 - a[t][1:]) / (2.0 - a[t][1:].mean()) for t in "TU"]
    means = [x.mean() for x in scores]
    found = by_name(compared.overall)["B"]
    assert found.score.estimate == pytest.approx(np.mean(means))
    assert found.median == pytest.approx(np.median(means))
    pooled = scipy_stats.trim_mean(np.concatenate(scores), 0.25)
    assert found.iqm.estimate == pytest.approx(pooled)
    assert found.iqm.low < pooled < found.iqm.high
    gaps = [np.maximum(1 - x, 0).mean() for x in scores]
    assert found.optimality_gap == pytest.approx(np.mean(gaps))
    wins = [np.mean(x[:, None] > y) for x, y in zip(scores, of_a, strict=True)]
    assert found.improvement == pytest.approx(np.mean(wins))
    # 4 of 19 seeds fail, or 15 of them: a mean of 0.84, or of 0.41.
    failures = [(f.task_name, f.set_name) for f in compared.over_tasks.failures]
    assert failures == ([("U", "B")] if len(bad) == 15 else [])
    alone = verdict(load("B", "T", "U")).overall[0]
    own = [(2.0 - b[t][1:]) / (2.0 - b[t][1:].mean()) for t in "TU"]
    assert alone.score.estimate == pytest.approx(np.mean([x.mean() for x in own]))


def test_each_split_is_clipped_at_its_own_loss_before_training():
    # By outer_valid, from 4, the last rate is the best, and all its losses are above
    # the test loss before training, 2; clipped at that, the first rate would be it.
    test = np.array([[0.5], [0.4], [0.3]]) + 0.001 * np.arange(5)
    for name, shift in (("A", 0.0), ("B", 0.1)):
        write_archive(
            "T", name, test + shift, seeds=range(5), changes={"outer_valid": test + 2.5}
        )
    results = load("AB", "T")
    for result in results[0]:
        result.curves.losses["outer_valid"][:, :, 0] = 4.0
    ceilings = ceilings_of(results[0])
    assert ceilings == pytest.approx({"outer_valid": 4.0, "test": 2.0})
    np.testing.assert_allclose(reported(results[0][0], ceilings), test[2, 1:])
    compared = compare(results, "A").tasks[0]
    assert [s.config for s in compared.standings] == ["Opt_lr1.0"] * 2
    assert [s.num_diverged for s in compared.standings] == [0, 0]
    assert compared.comparison is not None
    assert compared.comparison.of("A").chosen == (2,)
    assert compared.comparison.of("A").loss.estimate == pytest.approx(0.3025)
    # What diverged is worse than what has learnt nothing, on either split.
    results[0][0].ends["outer_valid"][2, 0] = NAN
    assert reported(results[0][0], ceilings)[0] == pytest.approx(0.401)
