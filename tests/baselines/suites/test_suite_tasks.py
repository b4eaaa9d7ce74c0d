"""The script that says what tasks of a suite cost, and how well they tell."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines.suites.challengers import baseline_sets
from learned_optimization.baselines.suites.suite import Suite

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
TASK = "NoisyQuadratic_100dim_condition1000"


@pytest.fixture
def script(monkeypatch):
    # Scripts of that folder import each other.
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("suite_tasks")
    for name in ("suite_tasks", "real_losses", "race_simulation"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_a_row(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "_MEASURED_SECONDS", 0.1)
    sets = baseline_sets(Suite("brief", (TASK,), 20), ("SGD", "Adam"))
    row = script.of_task(TASK, sets, sets, num_groups=2)
    assert row[:3] == [TASK, "gaussian_offsets", "100"]
    # Two ways to make two disjoint groups agree, or not, of the order of two sets.
    assert all(0 <= float(cell) <= 1 for cell in row[-2:])
    # Of the second group only rates near the best are trained.
    assert capsys.readouterr().out.count("_from5: ") == 2
    again = script.of_task(TASK, sets, sets, num_groups=2)
    assert capsys.readouterr().out == ""
    assert again[4:] == row[4:]


def test_spread_is_in_units_of_what_seeds_do_to_each_alone(script):
    rng = np.random.default_rng(0)
    ends = np.asarray([0.0, 1.0, 5.0])[:, None]
    seeds = 10 * rng.standard_normal(2_000)
    noise, worst, middle = script.spread(
        ends + seeds + 0.5 * rng.standard_normal((3, 2_000))
    )
    assert noise == pytest.approx(0.5, rel=0.05)
    assert worst == pytest.approx(5 / 0.5, rel=0.05)
    assert middle == pytest.approx(1 / 0.5, rel=0.1)


@pytest.mark.parametrize(("gap", "least"), [(0.0, 0.4), (9.0, 1.0)])
def test_agreement_is_one_half_by_chance(script, gap, least):
    rng = np.random.default_rng(1)
    losses = [
        (noise := gap * i + rng.standard_normal((1, 10)), noise) for i in range(6)
    ]
    order, best = script.agreement(losses)
    assert least <= order <= (1.0 if gap else 0.6)
    assert best == 1.0 or not gap


def test_groups_share_no_seed(script):
    pairs = list(script.halves(10))
    assert len(pairs) == 126
    assert all(not set(a) & set(b) and len(a) == len(b) == 5 for a, b in pairs)
