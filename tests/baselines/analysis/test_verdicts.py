"""Comparisons of sets, against scipy and numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.analysis.verdicts import (
    choose_reference,
    task_verdict,
    verdict,
)
from learned_optimization.errors import LoptError
from tests.baselines.archives import write_archive, write_three


def load(names, *tasks):
    return [[load_set_result(task, name) for name in names] for task in tasks]


def test_one_task():
    names = write_three()
    found = task_verdict(*load(names, "T"), names[0])
    assert found.standings[0].set_name == "SGDMLR_1000_R5"
    assert {s.set_name for s in found.standings} == set(names)
    assert found.not_told_apart == ()
    [row] = load(names, "T")
    by_name = {r.set_name: r for r in row}
    best = by_name["SGDMLR_1000_R5"].nested.report
    p_values = {
        name: scipy_stats.ttest_rel(by_name[name].nested.report, best).pvalue
        for name in (names[0], names[2])
    }
    low, high = sorted(p_values.values())
    got = sorted(s.p_value for s in found.standings[1:])
    np.testing.assert_allclose(got, [2 * low, max(2 * low, high)], rtol=1e-6)
    standing = found.standings[0]
    assert standing.loss.estimate == pytest.approx(best.mean())
    half = scipy_stats.t.ppf(0.975, 4) * best.std(ddof=1) / np.sqrt(5)
    assert standing.loss.high == pytest.approx(best.mean() + half)
    # The better one reaches what Adam ends at, and in less than the whole run.
    assert standing.censored == 0
    assert standing.steps < 1000
    assert standing.seconds == pytest.approx(standing.steps * 2.002 / 1001)


def test_alike_is_not_told_apart():
    rng = np.random.default_rng(1)
    for name in ("A", "B"):
        write_archive("T", name, 0.5 + 0.1 * rng.random((1, 5)), seeds=range(5))
    found = task_verdict(*load(["A", "B"], "T"), "A")
    assert len(found.not_told_apart) == 1


def test_seeds_that_differ_are_not_paired():
    rng = np.random.default_rng(2)
    a, b = rng.random((1, 5)), 0.3 + rng.random((1, 5))
    write_archive("T", "A", a, seeds=range(5))
    write_archive("T", "B", b, seeds=range(1, 6))
    found = task_verdict(*load(["A", "B"], "T"), "A")
    want = scipy_stats.ttest_ind(a[0], b[0], equal_var=False).pvalue
    assert found.standings[1].p_value == pytest.approx(want)


def test_diverged_is_worst_and_one_seed_tells_nothing():
    write_archive("T", "A", [[0.5, 0.6]])
    write_archive("T", "B", [[np.nan, 0.1]])
    found = task_verdict(*load(["A", "B"], "T"), "A")
    assert [s.set_name for s in found.standings] == ["A", "B"]
    assert found.standings[1].is_told_apart
    assert found.standings[1].censored == 0.5
    write_archive("U", "A", [[0.5]])
    write_archive("U", "B", [[0.6]])
    found = task_verdict(*load(["A", "B"], "U"), "A")
    assert np.isnan(found.standings[1].p_value)
    assert np.isnan(found.standings[0].loss.low)
    assert found.not_told_apart == ("B",)


def test_over_tasks():
    names = write_three("T")
    write_three("U")
    results = load(names, "T", "U")
    found = verdict(results)
    assert found.reference == "AdamLR_1000_R5"
    assert found.overall[0].set_name == "SGDMLR_1000_R5"
    by_name = {o.set_name: o for o in found.overall}
    # A score is the share of what the reference gained: its own are 1 on average.
    adam = by_name["AdamLR_1000_R5"]
    assert adam.score.estimate == pytest.approx(1.0, abs=0.01)
    assert adam.improvement == pytest.approx(0.5)
    assert adam.speedup == pytest.approx(1.0)
    best = by_name["SGDMLR_1000_R5"]
    scores = [
        (2.0 - row[1].nested.report) / (2.0 - row[0].nested.report.mean())
        for row in results
    ]
    pooled = np.concatenate(scores)
    assert best.score.estimate == pytest.approx(scipy_stats.trim_mean(pooled, 0.25))
    assert best.median == pytest.approx(np.median([s.mean() for s in scores]))
    assert best.improvement == 1.0
    assert best.mean_rank == 1.0
    assert best.speedup > 1.0
    assert best.optimality_gap == 0.0
    assert best.score.low <= best.score.estimate <= best.score.high
    wide = best.score_over_tasks
    assert wide.high - wide.low >= 0.9 * (best.score.high - best.score.low)
    # Three sets on two tasks: q is 2.343 (Demsar 2006), times sqrt(3 * 4 / (6 * 2)).
    assert found.critical_difference == pytest.approx(2.343, abs=2e-3)
    assert found.ratios[0].tolist() == [1.0, 1.0]


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
    write_archive("Flat", "B", [[1.0, 1.1]])
    with pytest.raises(LoptError, match="A does not improve on the initial loss"):
        verdict(load(["A", "B"], "Flat"))


def test_choose_reference():
    assert choose_reference(["SGDLR_1_R1", "AdamLR_1_R1"]) == "AdamLR_1_R1"
    assert choose_reference(["SGDLR_1_R1", "AdamWLR_1_R1"]) == "SGDLR_1_R1"
