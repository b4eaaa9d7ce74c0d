"""A task small enough to train in a test, with real learning to do."""

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax

from learned_optimization.baselines.hparam_sets import HParamSet
from learned_optimization.configurable import configurable
from learned_optimization.optimizers.optax_opts import OptaxOptimizer
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.datasets.base import ArrayData, Datasets, split_ranges

NUM_FEATURES = 5


@cache
def _load() -> ArrayData:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (300, NUM_FEATURES)).astype(np.uint8)
    y = (x.astype(np.float64) @ np.arange(NUM_FEATURES) / 255 - 3).astype(np.float32)
    return ArrayData({"x": x, "y": y}, split_ranges(240, 60), {"x": 255.0})


def data_of(task: Task) -> Datasets:
    """The data sets of a task that has some."""
    assert task.datasets is not None
    return task.datasets


@dataclass(frozen=True)
class TinyDatasets(Datasets):
    batch_size: int = 8
    name: str = "tiny"

    @property
    def extra_info(self):
        return {}

    @property
    def abstract_batch(self):
        return {
            "x": jax.ShapeDtypeStruct((self.batch_size, NUM_FEATURES), jnp.float32),
            "y": jax.ShapeDtypeStruct((self.batch_size,), jnp.float32),
        }

    def is_available(self) -> bool:
        return True

    def load(self) -> ArrayData:
        return _load()


@dataclass(frozen=True)
class TinyTask(Task):
    """Linear regression with a little noise drawn from the key of each step."""

    datasets: Datasets | None = TinyDatasets()
    noise: float = 0.01

    def init(self, key):
        return {"w": jax.random.normal(key, (NUM_FEATURES,)), "b": jnp.zeros(())}

    def loss(self, params, key, data):
        noise = self.noise * jax.random.normal(key, data["y"].shape)
        error = data["x"] @ params["w"] + params["b"] - data["y"] + noise
        return jnp.mean(error**2)

    def loss_and_aux(self, params, key, data):
        return self.loss(params, key, data), {"norm": jnp.sum(params["w"] ** 2)}

    def normalizer(self, loss):
        return jnp.clip(loss, 0.0, 10.0)


@dataclass(frozen=True)
class StatefulTask(TinyTask):
    """Counts its own loss calls in the model state."""

    def init_with_state(self, key):
        return self.init(key), {"calls": jnp.zeros((), jnp.int32)}

    def loss_with_state(self, params, state, key, data):
        loss = TinyTask.loss(self, params, key, data)
        return loss, {"calls": state["calls"] + 1}

    def loss_with_state_and_aux(self, params, state, key, data):
        loss, state = self.loss_with_state(params, state, key, data)
        return loss, state, {"calls": state["calls"]}


@configurable("tests")
class PlainSGD(OptaxOptimizer):
    """As users may write one: no dataclass, no pytree."""

    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    @property
    def name(self):
        return f"PlainSGD_lr{self.learning_rate}"

    def transformation(self):
        return optax.sgd(self.learning_rate)


@configurable("tests")
def TinyRegression() -> Task:
    task = TinyTask()
    object.__setattr__(task, "_name", "TinyRegression")
    return task


def tiny_set(name: str = "TinySGD_20_R3", optimizer: str = "SGD") -> HParamSet:
    """Three learning rates, the last of which diverges, with three seeds."""
    learning_rates = (0.01, 0.1, 1e8)
    return HParamSet(
        name=name,
        optimizer=optimizer,
        opt_names=tuple(f"{optimizer}_lr{lr}" for lr in learning_rates),
        hparams=tuple({"learning_rate": lr} for lr in learning_rates),
        num_steps=20,
        repetitions=3,
    )
