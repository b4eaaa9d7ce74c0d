"""How a grid is computed: every way alike, the fastest found and remembered."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from learned_optimization.errors import LoptError, RunStoppedError
from learned_optimization.eval_training import (
    OutOfMemoryWarning,
    Strategy,
    multi_trial_training_curves,
)
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.tasks.models.convolution import convolve
from learned_optimization.training import run as run_module
from learned_optimization.training import strategy as strategy_module
from learned_optimization.training import strategy_choice
from learned_optimization.training.checkpoint import Checkpoint
from learned_optimization.training.strategy import (
    default_strategy,
    other_strategies,
    size_class,
)
from tests.tiny import StatefulTask, TinyTask


def train(task=None, **kwargs):
    return multi_trial_training_curves(
        task or TinyTask(),
        [SGD(learning_rate=lr) for lr in (0.01, 0.02, 0.05)],
        num_steps=57,
        keys=[jax.random.PRNGKey(s) for s in range(4)],
        eval_every=5,
        **kwargs,
    )


@pytest.mark.parametrize(
    ("task", "widths"),
    [
        pytest.param(TinyTask(), (2, 6), marks=pytest.mark.slow, id="plain"),
        pytest.param(StatefulTask(), (1, 3), marks=pytest.mark.slow, id="state"),
    ],
)
def test_every_strategy_gives_the_same_curves(task, widths):
    want = train(task, strategy=Strategy(16))
    assert want.strategy == Strategy(16)
    for strategy in (*map(Strategy, widths), Strategy(16, True)):
        got = train(task, strategy=strategy)
        assert got.strategy == strategy
        for name, values in want.curves.items():
            np.testing.assert_allclose(
                got.curves[name], values, rtol=2e-5, atol=1e-7, err_msg=name
            )


def test_library_kernels_are_an_option_of_the_compiler():
    assert strategy_module.has_library_kernels()
    x = np.ones((64, 64), np.float32)
    compiled = {
        used: str(
            jax.jit(lambda x: jax.nn.relu(x @ x).sum(-1))
            .lower(x)
            .compile(compiler_options=Strategy(1, used).compiler_options("cpu"))
            .as_text()
        )
        for used in (True, False)
    }
    assert "ynn" in compiled[True]
    assert "ynn" not in compiled[False]
    assert Strategy(1, False).compiler_options("gpu") == {}


def test_text_of_a_strategy():
    for strategy in (Strategy(1), Strategy(64, True)):
        assert Strategy.parse(str(strategy)) == strategy
    assert Strategy.parse("trials_at_once=8") == Strategy(8)
    for wrong in ("", "8", "trials_at_once=x", "trials_at_once=8,colour=red", "a=b=c"):
        with pytest.raises(LoptError, match="trials_at_once=8,library_kernels=no"):
            Strategy.parse(wrong)
    with pytest.raises(LoptError, match="trials_at_once must be"):
        Strategy(0)


def test_defaults_and_what_is_tried_besides():
    class Large(TinyTask):
        def loss(self, params, key, data):
            square = jax.numpy.ones((2000, 2000))
            return super().loss(params, key, data) + 0 * (square @ square).sum()

    class SmallConvolution(TinyTask):
        def loss(self, params, key, data):
            image, kernel = jax.numpy.ones((1, 8, 8, 1)), jax.numpy.ones((3, 3, 1, 1))
            return super().loss(params, key, data) + 0 * convolve(image, kernel).sum()

    class LargeConvolution(TinyTask):
        def loss(self, params, key, data):
            image, kernel = jax.numpy.ones((9, 80, 80, 9)), jax.numpy.ones((9, 9, 9, 9))
            return super().loss(params, key, data) + 0 * convolve(image, kernel).sum()

    assert [size_class(n) for n in (1, 2, 3, 35, 64, 65)] == [1, 2, 4, 64, 64, 128]
    assert default_strategy(TinyTask(), 35, "cpu") == Strategy(8)
    assert default_strategy(TinyTask(), 1, "cpu") == Strategy(1)
    assert default_strategy(SmallConvolution(), 35, "cpu") == Strategy(1, True)
    assert default_strategy(TinyTask(), 35, "gpu") == Strategy(64)
    large = default_strategy(Large(), 35, "cpu")
    assert large == Strategy(1, library_kernels=True)
    assert default_strategy(Large(), 1, "cpu", idle_cores=True) == large
    assert default_strategy(LargeConvolution(), 1, "cpu") == large
    assert default_strategy(LargeConvolution(), 1, "cpu", True) == Strategy(1)
    assert other_strategies(large, 35, "cpu") == [
        Strategy(8, True),
        Strategy(64, True),
        Strategy(1, False),
    ]
    assert other_strategies(Strategy(64), 35, "gpu") == [Strategy(1), Strategy(8)]
    assert other_strategies(Strategy(1), 1, "gpu") == []


@pytest.fixture
def quick_measuring(monkeypatch):
    monkeypatch.setattr(run_module, "MEASURED_SECONDS", 1e-9)
    monkeypatch.setattr(strategy_choice, "MEASURED_SECONDS", 1e-9)


def remembered() -> list[dict]:
    folder = Path(os.environ["LOPT_CACHE_DIR"]) / "strategies"
    return [json.loads(p.read_text()) for p in folder.glob("*.json")]


def with_digest(record: dict) -> str:
    """Return the text of a record, which holds the digest of the rest of it."""
    rest = {key: value for key, value in record.items() if key != "digest"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    return json.dumps(rest | {"digest": digest})


@pytest.mark.slow
@pytest.mark.usefixtures("quick_measuring")
def test_measured_once_then_remembered():
    # Little work is not worth measuring,
    assert train(similar_runs=0.0).strategy == Strategy(8)
    assert remembered() == []
    # much is.
    chosen = train(similar_runs=1e9)
    [record] = remembered()
    rates = record["trial_steps_per_second"]
    assert set(rates) == {
        f"trials_at_once={n},library_kernels={k}"
        for n, k in ((1, "no"), (8, "no"), (8, "yes"))
    }
    assert record["strategy"] == str(chosen.strategy) == max(rates, key=rates.get)
    assert record["jaxlib"]
    # What is remembered is used, whatever it is;
    [path] = (Path(os.environ["LOPT_CACHE_DIR"]) / "strategies").iterdir()
    other = next(Strategy.parse(text) for text in rates if text != record["strategy"])
    path.write_text(with_digest({**record, "strategy": str(other)}))
    again = train()
    assert again.strategy == other
    for name, values in chosen.curves.items():
        np.testing.assert_allclose(again.curves[name], values, rtol=2e-5, atol=1e-7)
    # one asked for comes first; another task has its own; a damaged file is none.
    assert train(strategy=chosen.strategy).strategy == chosen.strategy
    assert train(TinyTask(noise=0.5), similar_runs=0.0).strategy == Strategy(8)
    changed = {**record, "strategy": str(Strategy(3)), "digest": record["digest"]}
    for damaged in ('{"strategy": "trials', json.dumps(changed)):
        path.write_text(damaged)
        assert train(similar_runs=0.0).strategy == Strategy(8)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_measuring")
def test_a_run_goes_on_with_the_strategy_of_its_checkpoint(tmp_path):
    path, progress = str(tmp_path / "grid.npz"), []
    stopping = Checkpoint(path, "this", should_stop=lambda: bool(progress))
    with pytest.raises(RunStoppedError):
        train(strategy=Strategy(3), checkpoint=stopping, on_progress=progress.append)
    resumed = train(checkpoint=Checkpoint(path, "this"), similar_runs=1e9)
    assert resumed.strategy == Strategy(3)
    unbroken = train(strategy=Strategy(3))
    for name, values in unbroken.curves.items():
        np.testing.assert_array_equal(resumed.curves[name], values)


LIMITED = """
import resource, warnings
import jax
from learned_optimization.eval_training import Strategy, multi_trial_training_curves
from learned_optimization.optimizers.optax_opts import SGD
from tests.training.test_strategy import Wide

jax.numpy.ones(()).block_until_ready()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 30), resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    result = multi_trial_training_curves(
        Wide(),
        [SGD(learning_rate=0.001 * (i + 1)) for i in range(16)],
        num_steps=1,
        keys=[jax.random.PRNGKey(0)],
        eval_batches=1,
        last_eval_batches=1,
        devices=jax.local_devices()[:1],
        strategy=Strategy(16),
    )
for w in caught:
    print(w.category.__name__, w.message)
print(result.strategy, bool((result.curves["train/loss"] > 0).all()))
"""


class Wide(TinyTask):
    """Needs over 128 MiB per trial to compute its loss."""

    def loss(self, params, key, data):
        field = jax.numpy.full((1 << 12, 1 << 13), params["w"][0])
        products = jax.numpy.tanh(field) @ jax.numpy.ones((1 << 13, 4))
        return super().loss(params, key, data) + products.mean() ** 2


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_out_of_memory_halves_the_width_and_says_so():
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    result = subprocess.run(
        [sys.executable, "-c", LIMITED], env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    *warned, last = result.stdout.strip().splitlines()
    assert warned
    assert warned[0] == (
        f"{OutOfMemoryWarning.__name__} out of memory; goes on with 8 trials side by "
        "side on a device"
    )
    width = int(warned[-1].split("with ")[1].split()[0])
    assert last == f"trials_at_once={width},library_kernels=no True"
