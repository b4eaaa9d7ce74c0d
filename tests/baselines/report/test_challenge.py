"""What is said of a challenger, on sets whose order is known."""

import numpy as np
import pytest

from learned_optimization.baselines.report.build import analyse
from learned_optimization.baselines.report.challenge import (
    Outcome,
    against_each,
    by_itself,
    comparison_of,
    on_tasks,
    said_by_itself,
    sentence,
    what_would_decide,
)
from tests.baselines.archives import write_archive, write_three

ADAM, BETTER, LIKE = "AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"


def outcomes(tasks, sets, challenger, **options):
    results, verdict = analyse(tasks, sets, **options)
    comparison = comparison_of(verdict)
    assert comparison is not None
    said = sentence(results, verdict, challenger)
    return against_each(comparison, challenger), said, verdict


@pytest.mark.parametrize("tasks", [["A"], ["A", "B", "C"]])
def test_the_better_one(tasks):
    [sets, *_] = [write_three(task, num_seeds=8) for task in tasks]
    assert set(sets) == {ADAM, BETTER, LIKE}
    where = "On A" if len(tasks) == 1 else "Over 3 tasks"
    found, said, verdict = outcomes(tasks, sets, BETTER)
    assert found == {ADAM: Outcome.BETTER, LIKE: Outcome.BETTER}
    assert said.startswith(f"{where} SGDM is better than Adam and Lamb; all were tuned")
    assert "(3 configurations each)" in said
    assert [t.rank for t in on_tasks(verdict, BETTER)] == [1] * len(tasks)
    assert {t.outcome for t in on_tasks(verdict, BETTER)} == {Outcome.BETTER}
    found, said, verdict = outcomes(tasks, sets, ADAM)
    assert found[BETTER] is Outcome.WORSE
    assert "worse than SGDM" in said
    assert {t.rival for t in on_tasks(verdict, ADAM)} == {BETTER}
    assert {t.outcome for t in on_tasks(verdict, ADAM)} == {Outcome.WORSE}


def test_more_configurations_are_said():
    rng = np.random.default_rng(0)
    for name, shape in (("AdamLR_9", (3, 8)), ("Own_9", (1, 8))):
        write_archive("T", name, 0.5 + 0.001 * rng.standard_normal(shape))
    found, said, _ = outcomes(["T"], ["Own_9", "AdamLR_9"], "Own_9", tolerance=0.05)
    assert found == {"AdamLR_9": Outcome.EQUIVALENT}
    assert "equivalent to AdamLR (within 5% of the improvement of AdamLR_9)" in said
    assert "unequal tuning (AdamLR_9 3 configurations; Own_9 1 configuration" in said


def test_each_and_any():
    rng = np.random.default_rng(0)
    names = [f"S{i}LR_9" for i in range(5)]
    for i, name in enumerate(names):
        ends = 0.5 - 0.2 * (i == 0) + 0.01 * rng.standard_normal((3, 8))
        write_archive("T", name, ends)
    _, said, verdict = outcomes(["T"], names, names[0])
    assert what_would_decide(verdict, names[0]) == ""
    assert said_by_itself(verdict, names[0]) == ""
    assert said.startswith("On T S0 is better than each of the 4 baselines;")
    _, said, verdict = outcomes(["T"], names[1:], names[1], tolerance=0.0)
    assert "S1 is not told apart from any of the 3 baselines" in said
    advice = what_would_decide(verdict, names[1])
    assert advice.startswith("Not told apart yet: ")
    for label in ("S2", "S3", "S4"):
        assert label in advice


def test_better_is_claimed_of_all_pairs_together():
    """With a hundred equal baselines a challenger is hardly ever better than any."""
    rng = np.random.default_rng(1)
    names = [f"S{i}LR_9" for i in range(25)]
    for name in names:
        write_archive("T", name, 0.5 + 0.01 * rng.standard_normal((1, 8)))
    _, verdict = analyse(["T"], names, tolerance=0.0)
    comparison = comparison_of(verdict)
    assert comparison is not None
    claims = 0
    for name in names:
        found = against_each(comparison, name)
        claims += any(o in (Outcome.BETTER, Outcome.WORSE) for o in found.values())
    assert claims <= 3


def test_what_a_pair_tells_by_itself():
    rng = np.random.default_rng(3)
    names = ["OwnLR_9", *(f"S{i}LR_9" for i in range(20))]
    own = 0.01 * rng.standard_normal((1, 8))
    # About three standard errors: enough for one pair, and not for twenty.
    noise = 0.01 * rng.standard_normal((1, 8))
    gap = 3.0 * (noise - own).std(ddof=1) / 8**0.5 - (noise - own).mean()
    write_archive("T", names[0], 0.5 + own)
    write_archive("T", names[1], 0.5 + noise + gap)
    for name in names[2:]:
        write_archive("T", name, 0.5 + own + 0.05 * rng.standard_normal((1, 8)))
    _, _, verdict = outcomes(["T"], names, names[0], tolerance=0.0)
    comparison = comparison_of(verdict)
    assert comparison is not None
    assert by_itself(comparison, names[0])[names[1]] is Outcome.BETTER
    said = said_by_itself(verdict, names[0])
    assert said.startswith("By itself, each pair at 5%, Own is better than S0")
    assert by_itself(comparison, names[1])[names[0]] is Outcome.WORSE
    advice = what_would_decide(verdict, names[0]).split("; ")
    [told] = [group for group in advice if "told apart by itself, not among" in group]
    assert "S0" in told


def test_too_few_seeds():
    for name in ("AdamLR_9", "Own_9"):
        write_archive("T", name, np.full((2, 3), 0.5))
    found, said, _ = outcomes(["T"], ["Own_9", "AdamLR_9"], "Own_9")
    assert found == {"AdamLR_9": Outcome.TOO_FEW_SEEDS}
    assert "Own is of too few seeds to compare it with AdamLR" in said
