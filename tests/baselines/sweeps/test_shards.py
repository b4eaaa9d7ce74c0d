"""Shards: no trial twice, none left out, about as much work for each."""

import itertools

import pytest

from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.sweeps.grids import make_grids
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.sweep import (
    missing_trials,
    run_sweep,
    set_trials,
)
from learned_optimization.errors import LoptError
from tests.tasks.conftest import quick_compilation  # noqa: F401

TASK = "ImageMLP_FashionMnist8_Relu32"


def identity(trial):
    return trial.save_dir, trial.seed


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 64, 71, 200])
@pytest.mark.parametrize(
    "sets", [["AdamLR_1000_R5"], ["AdamLR_1000_R5", "SGDMLR_10000_R5"]]
)
def test_shards_are_a_partition_and_balanced(sets, count):
    trials = [t for s in sets for t in set_trials(TASK, get_hparam_set(s))]
    shards = [Shard(i, count).of(trials) for i in range(1, count + 1)]
    dealt = [identity(t) for t in itertools.chain.from_iterable(shards)]
    assert len(dealt) == len(set(dealt))
    assert set(dealt) == {identity(t) for t in trials}
    updates = [sum(t.plan.num_steps + 1 for t in shard) for shard in shards]
    largest = max(t.plan.num_steps + 1 for t in trials) * 5
    # Whole configurations where there are many, single trials elsewhere.
    unit = largest if 14 * len(sets) >= 4 * count else largest / 5
    assert max(updates) - min(updates) <= 2 * unit
    if count <= 3:
        assert all(len(make_grids(shard)) <= len(sets) for shard in shards)


@pytest.mark.slow
def test_what_has_results_changes_no_shard(small_set):
    trials = set_trials(TASK, small_set)
    run_sweep([TASK], [small_set], shard=Shard(2, 2))
    missing, _ = missing_trials(trials)
    first = {identity(t) for t in Shard(1, 2).of(trials)}
    assert {identity(t) for t in missing} == first
    summary = run_sweep([TASK], [small_set], shard=Shard(1, 2))
    assert summary.num_trials == len(first)
    assert summary.num_skipped == 0
    assert missing_trials(trials)[0] == []


def test_text_of_a_shard():
    assert Shard.parse("3/10") == Shard(3, 10)
    for wrong in ("0/4", "5/4", "a/b", "3", "1/0", "-1/2", ""):
        with pytest.raises(LoptError, match="from 1/N to N/N"):
            Shard.parse(wrong)
