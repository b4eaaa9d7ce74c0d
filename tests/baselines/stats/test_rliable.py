"""Our figures are those of rliable, kept in `rliable_figures.json`.

It is no dependency: with it come pandas below 3, statsmodels and seaborn. An exhaustive
test installs it in an environment of its own, and computes the figures again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import stats

REPS, FEWER_REPS = 10_000, 2_000
TAUS = np.linspace(-1, 3, 41)
REQUIREMENTS = ("rliable==1.2.0", "pandas<3")
FIGURES = Path(__file__).with_name("rliable_figures.json")
SCRIPT = Path(__file__).with_name("rliable_figures.py")


def scores() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    levels = rng.normal(0.5, size=6)
    return {
        "x": levels + rng.normal(size=(5, 6)),
        "y": levels + 0.4 + rng.standard_t(3, size=(4, 6)),
        "many": rng.lognormal(size=(10, 31)),
        "few": rng.normal(size=(2, 3)),
        "one task": rng.normal(size=(7, 1)),
        "ties": rng.integers(0, 3, size=(5, 20)).astype(float),
    }


@pytest.fixture(scope="module")
def rliable() -> dict[str, np.ndarray]:
    """Return figures by their names, as rliable computed them."""
    return {k: np.asarray(v) for k, v in json.loads(FIGURES.read_text()).items()}


def tolerance(low_high: np.ndarray, reps: int) -> float:
    """Return how far apart two ends of 95% intervals of so many resamplings may be."""
    # The 2.5% quantile of `reps` normal numbers has a standard error of
    # sqrt(0.025 * 0.975 / reps) / 0.0584 standard deviations, that of two of them
    # together root 2 of that; half the interval is 1.96 standard deviations.
    error = (0.025 * 0.975 / reps) ** 0.5 / 0.0584 * 2**0.5
    return 5 * error / 1.96 * float(low_high[1] - low_high[0]) / 2


def check_interval(interval: stats.Interval, low_high: np.ndarray, reps: int) -> None:
    at_most = tolerance(low_high, reps)
    assert interval.low == pytest.approx(low_high[0], abs=at_most)
    assert interval.high == pytest.approx(low_high[1], abs=at_most)


@pytest.mark.exhaustive
def test_the_figures_kept_are_those_of_rliable(rliable, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile", *REQUIREMENTS]
    subprocess.run(install, check=True)
    given = {**scores(), "taus": TAUS, "reps": REPS, "fewer_reps": FEWER_REPS}
    np.savez(tmp_path / "scores.npz", **given)
    subprocess.run(
        [python, SCRIPT, tmp_path / "scores.npz", tmp_path / "figures.json"],
        check=True,
        # Not our package's environment, and without a screen.
        env={**os.environ, "PYTHONPATH": "", "MPLBACKEND": "Agg"},
    )
    made = json.loads((tmp_path / "figures.json").read_text())
    assert made.keys() == rliable.keys()
    for name, values in made.items():
        # Its bootstrap is not that of a seed.
        reps = FEWER_REPS if name == "interval/improvement" else REPS
        at_most = tolerance(rliable[name], reps) if "interval/" in name else 1e-12
        np.testing.assert_allclose(values, rliable[name], 0, at_most, err_msg=name)


def test_aggregates_and_profiles(rliable):
    compared = 0
    for name, values in scores().items():
        if name in ("x", "y"):
            continue
        for aggregate in ("iqm", "median", "mean", "optimality_gap"):
            ours = getattr(stats, aggregate)(values)
            np.testing.assert_allclose(ours, rliable[f"{name}/{aggregate}"], 1e-12)
            compared += 1
        profile = stats.score_profile(values, TAUS)
        np.testing.assert_allclose(profile, rliable[f"{name}/profile"], 1e-12)
    assert compared == 16


def test_probability_of_improvement(rliable):
    data = scores()
    ours = stats.probability_of_improvement(data["x"], data["y"])
    np.testing.assert_allclose(ours, rliable["improvement"], 1e-12)


@pytest.mark.parametrize("aggregate", ["iqm", "median", "mean", "optimality_gap"])
def test_stratified_bootstrap(rliable, aggregate):
    interval = stats.bootstrap(
        getattr(stats, aggregate),
        scores()["x"],
        num_resamples=REPS,
        over=("runs",),
        method="percentile",
        seed=1,
    )
    check_interval(interval, rliable[f"interval/{aggregate}"], REPS)


def test_stratified_bootstrap_over_tasks(rliable):
    interval = stats.bootstrap(
        stats.iqm, scores()["x"], num_resamples=REPS, method="percentile", seed=1
    )
    check_interval(interval, rliable["interval/iqm over tasks"], REPS)


def test_stratified_bootstrap_of_two(rliable):
    data = scores()
    interval = stats.bootstrap(
        stats.probability_of_improvement,
        (data["x"], data["y"]),
        num_resamples=FEWER_REPS,
        over=("runs",),
        method="percentile",
        seed=1,
    )
    check_interval(interval, rliable["interval/improvement"], FEWER_REPS)
