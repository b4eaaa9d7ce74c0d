"""Races on several tasks."""

from dataclasses import replace

import numpy as np
import pytest

from learned_optimization.baselines.stats.race_rows import low_scores, race_rows
from learned_optimization.baselines.stats.race_words import race_sentence
from learned_optimization.baselines.stats.racing import Outcome, RaceRules, race
from learned_optimization.errors import LoptError
from tests.baselines.stats.race_cases import drawn

RULES = RaceRules(0.0, max_seeds=32)


def tasks(rng, better_on, num_seeds=32, **more):
    """Return a task for each row of how much better sets are."""
    scaled = {"reference": 0.5, "scale": 1.0, **more}
    return [
        drawn(rng, better, num_seeds, name=f"task {q}", **scaled)
        for q, better in enumerate(better_on)
    ]


def test_a_set_better_on_each_task_is_found():
    result = race(tasks(np.random.default_rng(1), [(1.5, 0.0)] * 6), RULES)
    assert result.outcome is Outcome.BETTER
    assert result.left == (0,)
    assert len(race_rows(result, task=5)) == 2


def test_opposite_tasks_put_nobody_out():
    # 2 better on one task, 2 worse on the other.
    result = race(tasks(np.random.default_rng(2), [(2.0, 0.0), (0.0, 2.0)]), RULES)
    assert result.left == (0, 1)
    # On neither is a configuration dropped for another set's sake.
    for _, a, b in [d for k in result.looks for d in k.dropped]:
        assert b in (0, 3), (a, b)


def test_equivalent_over_tasks():
    result = race(
        tasks(np.random.default_rng(3), [(0.0, 0.0)] * 4),
        replace(RULES, tolerance=0.02),
    )
    assert result.outcome is Outcome.EQUIVALENT


def test_a_total_failure_is_named():
    rng = np.random.default_rng(4)
    losses = tasks(rng, [(0.0, 2.0)] * 3 + [(0.0, 0.0)], reference=0.5, scale=1.8)
    for split in (losses[3].test, losses[3].outer_valid):
        np.asarray(split[1])[:] = np.nan
    result = race(losses, RULES)
    # Its mean score is below: 0.02 better on three tasks is no match for 1.8.
    assert result.left == (0,)
    few = race(losses, replace(RULES, max_seeds=4))
    assert few.left == (0, 1)
    ((task, a, score),) = low_scores(few)
    assert (task, a, score) == (3, 1, pytest.approx(0.0, abs=1e-9))
    assert "On task 3 SGD has a score of 0.00 only." in race_sentence(
        few, ["Adam", "SGD"]
    )


def test_tasks_of_other_sets_are_refused():
    rng = np.random.default_rng(5)
    with pytest.raises(LoptError, match="the same sets on each"):
        race([drawn(rng, (0, 0), 4), drawn(rng, (0, 0, 0), 4)], RULES)
    with pytest.raises(LoptError, match="scale"):
        race([drawn(rng, (0, 0), 4, scale=0.0)], RULES)


@pytest.mark.slow
def test_the_size_over_tasks():
    rng = np.random.default_rng(6)
    rules = replace(RULES, max_seeds=16)
    outs = [
        len(race(tasks(rng, [(0.0,) * 4] * 4, 16), rules).left) < 4 for _ in range(200)
    ]
    assert np.mean(outs) <= 0.07
