"""Search spaces: what is drawn, and what is refused."""

import itertools
import math

import numpy as np
import pytest

from learned_optimization.baselines.sets.search_space import (
    as_value,
    grid,
    parse_space,
    quasi_random,
    random,
)
from learned_optimization.errors import LoptError, UnknownNameError

SPACE = parse_space(
    {
        "learning_rate": {"log": [1e-5, 1e-1]},
        "beta1": {"linear": [0.8, 0.95]},
        "block": {"log_int": [1, 64]},
        "depth": {"int": [2, 5]},
        "nesterov": [True, False],
    }
)
SEARCHES = pytest.mark.parametrize("search", [random, quasi_random])


def test_grid_in_order():
    space = parse_space(
        {
            "learning_rate": {"log": [1e-4, 1e-1], "points": 4},
            "beta1": {"linear": [0.8, 1], "points": 3},
            "block": {"log_int": [1, 100], "points": 3},
            "kind": ["a", None],
        }
    )
    found = grid(space)
    assert len(found) == 4 * 3 * 3 * 2
    assert found[:3] == [
        {"learning_rate": 1e-4, "beta1": 0.8, "block": 1, "kind": "a"},
        {"learning_rate": 1e-4, "beta1": 0.8, "block": 1, "kind": None},
        {"learning_rate": 1e-4, "beta1": 0.8, "block": 10, "kind": "a"},
    ]
    columns = {k: list(dict.fromkeys(c[k] for c in found)) for k in space}
    assert columns["learning_rate"] == [1e-4, 1e-3, 1e-2, 1e-1]
    assert columns["beta1"] == [0.8, 0.9, 1.0]
    assert columns["block"] == [1, 10, 100]
    assert grid({}) == [{}]


def test_listed_values_are_kept_exactly():
    values = [0.123456789, 1e-30]
    assert [c["x"] for c in grid(parse_space({"x": values}))] == values
    [config] = grid(parse_space({"x": np.asarray([0.5])}))
    assert type(config["x"]) is float
    assert type(as_value("x", np.float64(0.5))) is float


@SEARCHES
def test_drawn_values_are_in_range_and_readable(search):
    found = search(SPACE, 300, 0)
    assert len(found) == 300
    for config in found:
        assert list(config) == list(SPACE)
        assert 1e-5 <= config["learning_rate"] <= 1e-1
        assert 0.8 <= config["beta1"] <= 0.95
        assert config["depth"] in (2, 3, 4, 5)
        assert type(config["depth"]) is type(config["block"]) is int
        assert 1 <= config["block"] <= 64
        assert isinstance(config["nesterov"], bool)
        for key in ("learning_rate", "beta1"):
            assert float(f"{config[key]:.6g}") == config[key]


@SEARCHES
def test_distributions(search):
    # Counts of n draws with probability p stay within 4 standard deviations.
    n = 2000
    found = search(SPACE, n, 3)

    def check(count: int, p: float) -> None:
        assert abs(count - n * p) < 4 * math.sqrt(n * p * (1 - p))

    for decade in range(-5, -1):
        low, high = 10.0**decade, 10.0 ** (decade + 1)
        check(sum(low <= c["learning_rate"] < high for c in found), 1 / 4)
    check(sum(c["beta1"] < 0.85 for c in found), 1 / 3)
    for depth in (2, 3, 4, 5):
        check(sum(c["depth"] == depth for c in found), 1 / 4)
    # A whole number stands for everything up to the next: log(2) of log(65).
    check(sum(c["block"] == 1 for c in found), math.log(2) / math.log(65))
    check(sum(c["block"] == 64 for c in found), math.log(65 / 64) / math.log(65))
    check(sum(c["nesterov"] for c in found), 1 / 2)


def test_quasi_random_is_spread_more_evenly_than_random():
    space = parse_space({"x": {"linear": [0, 1]}, "y": {"linear": [0, 1]}})

    def filled_cells(found):
        return len({(int(c["x"] * 16), int(c["y"] * 16)) for c in found})

    # 256 independent draws fill 256 (1 - 1/e) = 162 of 256 cells on average,
    # with a standard deviation below 6.
    for seed in range(3):
        assert filled_cells(random(space, 256, seed)) < 185
        assert filled_cells(quasi_random(space, 256, seed)) > 185


@SEARCHES
def test_seeds_and_prefixes(search):
    longer = search(SPACE, 300, 1)
    assert search(SPACE, 7, 1) == longer[:7]
    assert search(SPACE, 7, 2) != longer[:7]


@SEARCHES
def test_configurations_are_distinct_and_may_exhaust_the_space(search):
    space = parse_space({"n": {"int": [1, 4]}, "k": ["a", "b"]})
    found = search(space, 8, 0)
    assert {(c["n"], c["k"]) for c in found} == {
        (n, k) for n in (1, 2, 3, 4) for k in "ab"
    }
    assert search(space, 3, 0) == found[:3]
    with pytest.raises(LoptError, match="num_configs is 9, but the space has only 8"):
        search(space, 9, 0)
    narrow = parse_space({"x": {"linear": [1, 1.00002]}})
    with pytest.raises(LoptError, match=r"only 3 of 4 .* 6 significant digits"):
        search(narrow, 4, 0)
    with pytest.raises(LoptError, match="nothing to draw"):
        search({}, 1, 0)
    with pytest.raises(LoptError, match="num_configs must be a whole number"):
        search(space, 0, 0)
    with pytest.raises(LoptError, match="search_seed must be a whole number"):
        search(space, 1, -1)


def test_wide_ranges_do_not_overflow():
    space = parse_space({"x": {"log": [1e-300, 1e300], "points": 3}})
    assert [c["x"] for c in grid(space)] == [1e-300, 1.0, 1e300]
    drawn = np.array([c["x"] for c in random(space, 200, 0)], float)
    assert drawn.min() < 1e-200
    assert drawn.max() > 1e200


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (0.1, "x must have a list of values or a range.* got 0.1.*given as fixed"),
        ("0.1", "x must have a list of values or a range"),
        ([], "x has an empty list"),
        ([1, 2, 1.0], "x lists the value 1.0 twice"),
        ([float("nan")], "a value of x must be finite, got nan"),
        ([[1]], r"a value of x must be a number, text.* got \[1\]"),
        ({"lgo": [1, 2]}, "unknown word in the range of x 'lgo': did you mean log"),
        ({"log": [1, 2], "linear": [1, 2]}, "of one kind.* got log and linear"),
        ({"points": 2}, "of one kind.* got none"),
        ({"log": 1}, r"x: log needs \[low, high\], got 1"),
        ({"log": "12"}, r"x: log needs \[low, high\], got '12'"),
        ({"log": [1, 2, 3]}, r"x: log needs \[low, high\], got \[1, 2, 3\]"),
        ({"log": [2, 1]}, r"low below high, got \[2, 1\]"),
        ({"linear": [1, 1]}, r"low below high, got \[1, 1\]"),
        ({"log": [0, 1]}, "ends above 0.*that reaches 0 is linear"),
        ({"log_int": [0, 8]}, "ends above 0.*that reaches 0 is int"),
        ({"log": ["1e-3", 1]}, "an end of log must be a number, got '1e-3'"),
        ({"log": [True, 2]}, "an end of log must be a number, got True"),
        ({"linear": [0, math.inf]}, "an end of linear must be finite, got inf"),
        ({"int": [1, 2.5]}, "an end of int must be a whole number, got 2.5"),
        ({"log": [1, 2], "points": 1}, "points must be a whole number of at least 2"),
        ({"int": [1, 3], "points": 4}, r"4 points of int \[1, 3\] are not all diff"),
        (
            {"log": [1, 2], "points": 10**8},
            "points must be at most 100,000, got 100000",
        ),
        ({"log": [1, 2], "points": 10**9999}, "at most 100,000, got a very large int"),
        (range(10**9), "x: the number of values must be at most 100,000, got 10000000"),
        (np.zeros(100_001), "the number of values must be at most 100,000, got 100001"),
        ([10**30], "a value of x must be within 9,223,372,036,854,775,807 of zero"),
        ([10**9999], "within 9,223,.* of zero, got a very large int"),
        ({"int": [1, 10**400]}, "an end of int must be within 9,223,"),
        ({"linear": [-1.7e308, 1.7e308]}, "wider than any number"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(LoptError, match=message):
        parse_space({"x": values})


@pytest.mark.parametrize("search", [random, quasi_random])
def test_more_configurations_than_a_set_may_have(search):
    wide = parse_space({"x": {"log": [1e-9, 1]}, "y": list(range(100_000))})
    with pytest.raises(LoptError, match="num_configs must be at most 100,000, got"):
        search(wide, 10**9, 0)
    with pytest.raises(LoptError, match="search_seed must be at most"):
        search(wide, 1, 2**64)
    many = {f"x{i}": list(range(1000)) for i in range(50)}
    with pytest.raises(LoptError, match=r"a grid of 1,000,000,.* \(x0 1,000, x1 1,0"):
        grid(parse_space(many))


def test_other_refusals():
    with pytest.raises(LoptError, match="a space maps each hyper-parameter"):
        parse_space([1])  # pyright: ignore
    with pytest.raises(LoptError, match="name must be text, got 1"):
        parse_space({1: [1]})  # pyright: ignore
    with pytest.raises(LoptError, match="x: a grid takes points of a range"):
        grid(parse_space({"x": {"log": [1, 2]}}))
    with pytest.raises(UnknownNameError):
        parse_space({"x": {"linaer": [1, 2]}})


def test_every_configuration_of_a_large_space_is_drawn():
    space = parse_space({"x": list(range(200)), "y": list(range(100))})
    drawn = random(space, 20_000, 0)
    assert {(c["x"], c["y"]) for c in drawn} == set(
        itertools.product(range(200), range(100))
    )
