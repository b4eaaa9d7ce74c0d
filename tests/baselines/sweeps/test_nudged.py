"""A trial trained again from parameters that are one bit off."""

import itertools
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import add_hparam_set
from learned_optimization.baselines.results.format import Result, read_result
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sweeps.nudged import Nudged, train_nudged
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.optimizers.optax_opts import SGD, Adam

TASK = "ImageMLP_FashionMnist8_Relu32"

PARAMS = {
    "w": np.linspace(-2.0, 2.0, 400, dtype=np.float32),
    "b": np.zeros(3, np.float32),
    "count": np.arange(3),
}


def bits(values: np.ndarray) -> np.ndarray:
    return np.asarray(values).view(np.int32).astype(np.int64)


def test_every_parameter_is_the_next_number_up_or_down():
    moved = Nudged(SGD(), 0).nudged(PARAMS)
    steps = bits(moved["w"]) - bits(PARAMS["w"])
    assert set(np.abs(steps)) == {1}
    larger = np.mean(np.asarray(moved["w"]) > PARAMS["w"])
    assert 0.4 < larger < 0.6
    np.testing.assert_array_equal(moved["count"], PARAMS["count"])
    assert np.abs(moved["b"]).max() < 1e-44


def test_nudges_differ():
    both = [np.asarray(Nudged(SGD(), n).nudged(PARAMS)["w"]) for n in (0, 1)]
    assert 0.4 < np.mean(both[0] == both[1]) < 0.6


def test_it_steps_as_the_optimizer_inside():
    params = {"w": jnp.asarray(PARAMS["w"])}
    grad = {"w": jnp.ones(400)}
    opt = Nudged(Adam(learning_rate=0.5), 3)
    state, inside = opt.init(params), opt.opt.init(opt.nudged(params))
    for _ in range(2):
        state, inside = opt.update(state, grad), opt.opt.update(inside, grad)
    np.testing.assert_array_equal(
        opt.get_params(state)["w"], opt.opt.get_params(inside)["w"]
    )


def trained(rates: tuple[float, ...]) -> list[tuple[str, Result]]:
    """Train SGD on perceptrons for 100 steps, and return the results by rate."""
    short = HParamSet(
        name="NudgedSGD_100_R1",
        optimizer="SGD",
        opt_names=tuple(f"SGD_lr{rate}" for rate in rates),
        hparams=tuple({"learning_rate": rate} for rate in rates),
        num_steps=100,
        repetitions=1,
        eval_every=10,
        eval_batches=1,
        last_eval_batches=1,
    )
    run_sweep([TASK], [add_hparam_set(short)])
    root = Path(utils.get_root_baseline_dir())
    files = [next(root.rglob(f"{name}/**/*.curves")) for name in short.opt_names]
    return [(str(path), read_result(str(path))) for path in files]


def farthest(path: str, stored: Result) -> float:
    """Return how far the training losses of nudged trials are apart."""
    several = list(itertools.islice(train_nudged(path, stored), 4))
    losses = np.stack([one["train/loss"] for one in several])
    assert len(np.unique(losses[:, -1])) > 1
    return float((np.ptp(losses, axis=0) / losses.min(axis=0)).max())


def test_only_where_training_amplifies_rounding_do_they_go_apart():
    stable, chaotic = trained((0.01, 3.0))
    assert farthest(*stable) < 1e-5
    assert farthest(*chaotic) > 1e-2


def test_there_are_none_of_an_optimizer_that_jax_does_not_compile(monkeypatch):
    [(path, stored)] = trained((0.01,))
    monkeypatch.setattr(SGD, "is_traceable", False)
    assert not list(train_nudged(path, stored))
