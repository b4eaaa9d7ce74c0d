"""Results of other seeds than a set's own are found, archived, deleted by seed."""

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.results import selecting
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.results.format import read_archive, read_result
from learned_optimization.baselines.results.index import TrialEntry, trial_entries
from learned_optimization.baselines.results.matching import fill
from learned_optimization.baselines.results.selecting import MORE_SEEDS, delete
from learned_optimization.baselines.results.status import OTHER, status
from learned_optimization.errors import MissingTrialsError
from tests.baselines.files import TASK, result, write, write_set


def write_seeds(hparam_set, seeds):
    return [write(name, seed) for name in hparam_set.opt_names for seed in seeds]


def entries_of(seeds) -> list[TrialEntry]:
    """Entries of one folder, of seeds that may be unknown."""
    for seed in seeds:
        file = result("SGD_lr0.1", 0)
        if seed is None:
            del file["seed"]
        else:
            file["seed"] = np.int64(seed)
        utils.write_baseline_result(file)
    return trial_entries(utils.get_root_baseline_dir())


@pytest.mark.parametrize(
    ("recorded", "wanted", "filled"),
    [
        ([None, None], range(3), [0, 1]),
        ([1, None, None], range(3), [0, 1, 2]),
        ([None] * 5, [1, 3], [1, 3]),
        # They are of the first seeds, and never those of a rerun.
        ([None] * 5, range(5, 10), []),
        ([5, 7, None], range(5, 10), [5, 7]),
    ],
)
def test_results_without_a_seed_are_of_the_lowest_that_are_free(
    recorded, wanted, filled
):
    assert sorted(fill(entries_of(recorded), wanted, synthetic=True)) == filled


def test_an_archive_of_other_seeds_has_another_name_and_their_results(small_set):
    rerun = small_set.from_seed(3)
    write_seeds(small_set, range(5))
    assert archive(TASK, small_set).endswith(f"/{small_set.name}.npz")
    with pytest.raises(MissingTrialsError) as raised:
        archive(TASK, rerun)
    assert f"3 of 9 trials of {rerun.name} on {TASK} are missing" in str(raised.value)
    assert "seeds 5\n" in f"{raised.value}\n"
    write_seeds(small_set, [5])
    path = archive(TASK, rerun)
    assert path.endswith(f"/{small_set.name}_from3.npz")
    np.testing.assert_array_equal(read_archive(path, ["seed"])["seed"], [[3, 4, 5]] * 3)


def test_status_counts_the_seeds_of_a_set_and_those_beyond(small_set):
    write_set(small_set)
    write_seeds(small_set, [3, 5])
    rerun = small_set.from_seed(3)
    own, other = status([TASK], [small_set, rerun])
    assert (own.counts["done"], own.more_seeds) == (9, 6)
    assert (other.counts["done"], other.counts["missing"]) == (6, 3)
    assert other.more_seeds == 0
    assert own.as_json()["more_seeds"] == 6


def test_a_set_with_nothing_but_more_seeds_is_shown(small_set):
    write_seeds(small_set, [7])
    rows = {row.hparam_set: row for row in status([TASK], [], [small_set])}
    assert rows[small_set.name].more_seeds == 3
    assert rows[OTHER].counts["done"] == 3


def seeds_left(small_set) -> set[int]:
    entries = trial_entries(utils.get_root_baseline_dir())
    return {int(read_result(entry.path)["seed"]) for entry in entries}


@pytest.mark.parametrize(
    ("first_seed", "kinds", "left"),
    [
        (0, ["results"], {3, 4, 7}),
        (0, [MORE_SEEDS], {0, 1, 2}),
        (0, ["results", MORE_SEEDS], set()),
        (2, ["results"], {0, 1, 7}),
        (2, [MORE_SEEDS], {0, 1, 2, 3, 4}),
        (2, ["bad"], {0, 1, 2, 3, 4, 7}),
    ],
)
def test_what_is_deleted(small_set, first_seed, kinds, left):
    write_seeds(small_set, [0, 1, 2, 3, 4, 7])
    for file in selecting.files_of(TASK, [small_set.from_seed(first_seed)], kinds):
        delete(file.path)
    assert seeds_left(small_set) == left


@pytest.mark.parametrize(
    ("first_seed", "kinds", "shared"),
    [
        (0, ["results"], ["from1"]),
        (0, [MORE_SEEDS], ["from1", "from6"]),
        (3, ["results"], ["from1"]),
        (9, ["results"], []),
    ],
)
def test_sets_that_have_some_of_the_seeds_share_them(
    small_set, first_seed, kinds, shared
):
    # `small_set` has 3 seeds.
    known = [small_set.from_seed(1), small_set.from_seed(6)]
    chosen = [small_set.from_seed(first_seed)]
    names = selecting.shared_with(TASK, chosen, known, kinds)
    assert names == [f"{small_set.name}_{name}" for name in shared]
