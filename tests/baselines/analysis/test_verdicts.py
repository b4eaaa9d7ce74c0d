"""Comparisons of sets, against scipy and numbers worked out by hand."""

from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.analysis.scores import (
    TARGET_SHARE,
    choose_reference,
    improvement,
    target_of,
)
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.analysis.standings import task_verdict
from learned_optimization.baselines.analysis.verdicts import verdict
from learned_optimization.errors import LoptError
from tests.baselines.archives import write_archive, write_three

# Of five nested losses, see Nadeau & Bengio 2003.
WIDER = np.sqrt((1 / 5 + 1 / 4) / (1 / 5))
NAN = np.nan


def load(names, *tasks):
    return [[load_set_result(task, name) for name in names] for task in tasks]


def test_one_task():
    names = write_three()
    [row] = load(names, "T")
    compared = task_verdict(row, names[0])
    assert compared.standings[0].set_name == "SGDMLR_1000_R5"
    assert {s.set_name for s in compared.standings} == set(names)
    assert compared.not_told_apart == ()
    assert compared.is_paired
    losses = {r.set_name: r.nested.report for r in row}

    def t(name, other):
        # The statistic of the ordinary test, less by what nesting costs.
        pair = losses[name], losses[other]
        return scipy_stats.ttest_rel(*pair, alternative="greater").statistic / WIDER

    for standing in compared.standings:
        others = [name for name in names if name != standing.set_name]
        smallest = min(
            scipy_stats.t.sf(t(standing.set_name, other), 4) for other in others
        )
        assert standing.p_value == pytest.approx(min(1.0, 2 * smallest))
    standing = compared.standings[0]
    best = losses["SGDMLR_1000_R5"]
    assert standing.loss.estimate == pytest.approx(best.mean())
    half = scipy_stats.t.ppf(0.975, 4) * scipy_stats.sem(best) * WIDER
    assert standing.loss.high == pytest.approx(best.mean() + half)
    # The better one reaches what Adam ends at, and in less than the whole run.
    assert standing.censored == standing.num_diverged == 0
    assert standing.steps < 1000
    assert standing.seconds == pytest.approx(standing.steps * 2.002 / 1001)


def test_alike_may_both_be_the_best():
    rng = np.random.default_rng(1)
    for name in ("A", "B"):
        write_archive("T", name, 0.5 + 0.1 * rng.random((1, 5)), seeds=range(5))
    [row] = load(["A", "B"], "T")
    compared = task_verdict(row, "A")
    assert len(compared.not_told_apart) == 1
    assert not compared.standings[0].is_told_apart


def test_seeds_that_differ_are_not_paired():
    rng = np.random.default_rng(2)
    a, b = rng.random((1, 5)), 0.3 + rng.random((1, 5))
    write_archive("T", "A", a, seeds=range(5))
    write_archive("T", "B", b, seeds=range(1, 6))
    results = load(["A", "B"], "T")
    compared = task_verdict(results[0], "A")
    assert not compared.is_paired
    welch: Any = scipy_stats.ttest_ind(b[0], a[0], equal_var=False)
    want = scipy_stats.t.sf(welch.statistic / WIDER, welch.df)
    assert compared.standings[1].p_value == pytest.approx(want)
    # Over the one task there is, it is the same comparison.
    assert verdict(results).overall[1].p_value == pytest.approx(want)


def test_a_diverged_seed_counts_as_not_trained():
    write_archive("T", "A", [[0.5, 0.6, 0.5, 0.6, 0.5]], seeds=range(5))
    write_archive("T", "B", [[NAN, 0.2, 0.3, 0.2, 0.3]], seeds=range(5))
    results = load(["A", "B"], "T")
    compared = task_verdict(results[0], "A")
    by_name = {s.set_name: s for s in compared.standings}
    b = by_name["B"]
    assert b.loss.estimate == pytest.approx((2.0 + 1.0) / 5)
    assert (b.num_diverged, b.censored) == (1, 0.2)
    # Better on four of five: that rules out neither.
    assert not b.is_told_apart
    assert not by_name["A"].is_told_apart
    # It may be the reference, too.
    assert verdict(results, "B").overall[0].score.estimate > 0.9


def test_one_seed_says_nothing():
    write_archive("U", "A", [[0.5]])
    write_archive("U", "B", [[NAN]])
    [row] = load(["A", "B"], "U")
    compared = task_verdict(row, "A")
    assert np.isnan(compared.standings[1].p_value)
    assert np.isnan(compared.standings[0].loss.low)
    assert compared.not_told_apart == ("B",)


def test_over_tasks():
    names = write_three("T")
    write_three("U")
    results = load(names, "T", "U")
    compared = verdict(results)
    assert compared.reference == "AdamLR_1000_R5"
    assert compared.overall[0].set_name == "SGDMLR_1000_R5"
    by_name = {o.set_name: o for o in compared.overall}
    adam = by_name["AdamLR_1000_R5"]
    assert adam.score.estimate == pytest.approx(1.0)
    assert adam.improvement == pytest.approx(0.5)
    assert adam.speedup == pytest.approx(1.0)
    best = by_name["SGDMLR_1000_R5"]
    scores = np.stack(
        [
            (2.0 - row[1].nested.report) / (2.0 - row[0].nested.report.mean())
            for row in results
        ],
        axis=1,
    )
    # Of two tasks the interquartile mean is the mean.
    runs = scores.mean(axis=1)
    half = scipy_stats.t.ppf(0.975, 4) * scipy_stats.sem(runs) * WIDER
    assert best.score.estimate == pytest.approx(runs.mean())
    assert best.score.high == pytest.approx(runs.mean() + half)
    assert best.score_over_tasks is None
    assert best.median == pytest.approx(np.median(scores.mean(axis=0)))
    assert best.improvement == 1.0
    assert best.mean_rank == 1.0
    assert best.speedup > 1.0
    assert not best.is_bound
    assert best.optimality_gap == 0.0
    assert compared.not_told_apart == ()
    # Three sets on two tasks: q is 2.343 (Demsar 2006), times sqrt(3 * 4 / (6 * 2)).
    assert compared.critical_difference == pytest.approx(2.343, abs=2e-3)
    assert compared.ratios[0].tolist() == [1.0, 1.0]


def test_what_is_ranked_is_what_is_tested():
    # B is a bit worse on seven tasks and far better on one: the mean would rank it
    # first, the interquartile mean does not, and must not call it worse for that.
    rng = np.random.default_rng(3)
    for task in range(8):
        noise = 0.001 * rng.standard_normal((1, 5))
        a = 0.5 if task else 0.98
        b = 0.51 if task else 0.1
        write_archive(f"T{task}", "A", a + noise, seeds=range(5))
        write_archive(f"T{task}", "B", b + noise, seeds=range(5))
    compared = verdict(load(["A", "B"], *(f"T{i}" for i in range(8))))
    assert [o.set_name for o in compared.overall] == ["A", "B"]
    a, b = compared.overall
    assert a.score.estimate > b.score.estimate
    assert a.p_value == pytest.approx(1.0)
    assert b.is_told_apart
    assert a.score_over_tasks is not None
    assert a.score_over_tasks.low < a.score.estimate < a.score_over_tasks.high


def test_times_are_to_most_of_the_improvement():
    write_archive("T", "A", [[0.5] * 5], seeds=range(5))
    write_archive("T", "Slow", [[0.5] * 5], seeds=range(5), decay=0.05)
    write_archive("T", "Poor", [[1.0] * 5], seeds=range(5))
    [row] = load(["A", "Slow", "Poor"], "T")
    assert improvement(row[0]) == pytest.approx(1.5)
    target = target_of(row[0])
    assert target == pytest.approx(2.0 - TARGET_SHARE * (2.0 - row[0].lowest()))
    by_name = {o.set_name: o for o in verdict([row]).overall}
    assert 0.3 < by_name["Slow"].speedup < 0.8
    assert not by_name["Slow"].is_bound
    # Poor never gets there: it takes longer than its 1,000 updates.
    steps = float(np.median(row[0].steps_to(target)))
    assert by_name["Poor"].speedup == pytest.approx(steps / 1000)
    assert by_name["Poor"].is_bound


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
