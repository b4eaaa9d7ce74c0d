"""Search spaces: grids, draws, and what is no space."""

import math

import numpy as np
import pytest

from learned_optimization.baselines import search_space
from learned_optimization.baselines.search_space import parse_space
from learned_optimization.errors import LoptError

SPACE = parse_space(
    {
        "rate": {"log": [1e-4, 1.0]},
        "share": {"linear": [0.0, 2.0]},
        "count": {"log_int": [1, 1000]},
        "kind": ["a", "b", "c"],
    }
)


def test_a_grid_varies_the_last_fastest():
    space = parse_space({"a": [1, 2], "b": {"log": [0.01, 1], "points": 3}})
    assert search_space.grid(space) == [
        {"a": a, "b": b} for a in (1, 2) for b in (0.01, 0.1, 1.0)
    ]
    assert search_space.grid({}) == [{}]


def test_spaced_points():
    (values,) = (
        [c["n"] for c in search_space.grid(parse_space({"n": spec}))]
        for spec in [{"log_int": [1, 1024], "points": 11}]
    )
    assert values == [2**i for i in range(11)]
    linear = search_space.grid(parse_space({"x": {"linear": [-1, 1], "points": 5}}))
    assert [c["x"] for c in linear] == [-1.0, -0.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("draw", [search_space.random, search_space.quasi_random])
def test_draws(draw):
    configs = draw(SPACE, 300, seed=0)
    assert len({tuple(c.values()) for c in configs}) == 300
    assert configs == draw(SPACE, 300, seed=0)
    assert configs[:40] == draw(SPACE, 40, seed=0)
    assert configs[:40] != draw(SPACE, 40, seed=1)
    rates = np.array([c["rate"] for c in configs])
    counts = np.array([c["count"] for c in configs])
    shares = np.array([c["share"] for c in configs])
    assert rates.min() >= 1e-4
    assert rates.max() <= 1.0
    assert all(float(f"{r:.6g}") == r for r in rates)
    assert {type(c["count"]) for c in configs} == {int}
    # Half of what is uniform lies below the middle, half of what is log-uniform
    # below the geometric mean; 300 draws miss by three in a hundred, rarely nine.
    for below in (shares < 1.0, rates < 1e-2, counts < math.sqrt(1001)):
        assert abs(below.mean() - 0.5) < 0.09
    assert abs(np.mean([c["kind"] == "b" for c in configs]) - 1 / 3) < 0.09


def test_quasi_random_draws_are_more_even():
    space = parse_space({"x": {"linear": [0.0, 1.0]}})

    def unevenness(draw, seed):
        values = np.sort([c["x"] for c in draw(space, 64, seed)])
        return np.abs(values - (np.arange(64) + 0.5) / 64).max()

    for seed in range(5):
        even = unevenness(search_space.quasi_random, seed)
        assert even < 0.04 < unevenness(search_space.random, seed)


def test_small_spaces_are_drawn_whole_and_no_further():
    space = parse_space({"a": [1, 2], "b": {"int": [1, 3]}})
    drawn = search_space.random(space, 6, seed=0)
    assert {tuple(c.values()) for c in drawn} == {
        (a, b) for a in (1, 2) for b in (1, 2, 3)
    }
    with pytest.raises(LoptError, match=r"num_configs is 7, but .* only 6 different"):
        search_space.random(space, 7, seed=0)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ([1], "a space maps each hyper-parameter"),
        ({"a": 1}, "must have a list of values or a range"),
        ({"a": []}, "empty list"),
        ({"a": [1, 1]}, "lists the value 1 twice"),
        ({"a": [float("nan")]}, "must be finite"),
        ({"a": [[1]]}, "must be a number, text"),
        ({"a": {"lg": [1, 2]}}, "did you mean log"),
        ({"a": {"log": [1, 2], "int": [1, 2]}}, "must be of one kind"),
        ({"a": {"log": [0, 1]}}, "needs ends above 0"),
        ({"a": {"log": [1, 1]}}, "low below high"),
        ({"a": {"log": [1]}}, r"needs \[low, high\]"),
        ({"a": {"int": [1, 2.5]}}, "must be a whole number"),
        ({"a": {"linear": ["x", 1]}}, "must be a number, got 'x'"),
        ({"a": {"int": [1, 3], "points": 4}}, "are not all different"),
    ],
)
def test_what_is_no_space(space, message):
    with pytest.raises(LoptError, match=message):
        parse_space(space)


def test_what_cannot_be_searched():
    with pytest.raises(LoptError, match="takes points of a range"):
        search_space.grid(SPACE)
    with pytest.raises(LoptError, match="nothing to draw"):
        search_space.random({}, 1, seed=0)
    with pytest.raises(LoptError, match="num_configs must be a whole number"):
        search_space.random(SPACE, 0, seed=0)
    with pytest.raises(LoptError, match="search_seed"):
        search_space.quasi_random(SPACE, 1, seed=-1)
