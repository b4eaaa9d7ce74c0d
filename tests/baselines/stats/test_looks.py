"""When a race looks, and that its levels never sum to more than one."""

import itertools

import pytest

from learned_optimization.baselines.stats.looks import Look, look_levels, next_look
from learned_optimization.errors import LoptError
from tests.baselines.stats.race_cases import golden


def test_of_units():
    for max_seeds, expected in golden()["units"]["looks"].items():
        got = [(k.num_seeds, k.share) for k in look_levels(int(max_seeds))]
        assert got == [(n, pytest.approx(share)) for n, share in expected]


def test_a_last_look_between_two_takes_half_of_the_next():
    assert look_levels(10)[-1] == Look(10, 1 / 14)
    assert look_levels(16, earlier=[10])[2:] == (Look(10, 1 / 14), Look(16, 1 / 14))
    # Again between the same two: half of the half.
    twice = look_levels(32, earlier=[10, 12])
    assert twice[2:5] == (Look(10, 1 / 14), Look(12, 1 / 28), Look(16, 1 / 28))
    assert twice[5] == Look(32, 1 / 7)
    # Of a look of a race that had none there, nothing changes.
    assert look_levels(32, earlier=[2, 8, 16]) == look_levels(32)


@pytest.mark.parametrize(
    "earlier", list(itertools.product([3, 5, 10, 70], [5, 11, 200]))
)
def test_shares_sum_to_at_most_one_and_looks_rise(earlier):
    looks = look_levels(5000, earlier=earlier)
    seeds = [k.num_seeds for k in looks]
    assert seeds == sorted(set(seeds))
    assert sum(k.share for k in looks) < 1
    # What an earlier race looked at keeps its level.
    before = look_levels(max(earlier), earlier=earlier)
    assert looks[: len(before)] == before


def test_the_next_look_is_that_of_a_race_of_more_seeds():
    assert next_look(32) == Look(64, 1 / 7)
    assert next_look(10) == Look(16, 1 / 14)
    assert next_look(12, earlier=[10]) == Look(16, 1 / 28)
    assert next_look(2) == Look(4, 1 / 7)


def test_fewer_seeds_than_were_looked_at_are_refused():
    with pytest.raises(LoptError, match="at least 20"):
        look_levels(10, earlier=[20])
    with pytest.raises(LoptError, match="max_seeds must be a whole number"):
        look_levels(0)
