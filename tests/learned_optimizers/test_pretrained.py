"""The published optimizers: their names, where they are fetched, and prefab."""

from pathlib import Path
from typing import Any

import gin
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from learned_optimization import configuration
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from learned_optimization.learned_optimizers.published_checkpoints import (
    NO_CONFIG,
    address,
)
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.optimizers.optimizer_wrappers import WeightDecayWrapper
from learned_optimization.research.general_lopt import pretrained_optimizers
from learned_optimization.research.general_lopt.prefab import (
    LearnedOptimizer,
    optax_lopt,
)
from tests.learned_optimizers.checkpoint_files import content_of, small_theta, write
from tests.learned_optimizers.served import serve

VELO = "aug12_continue_on_bigger_2xbs_200kstep_bigproblem_v2_5620"


def test_names() -> None:
    assert len(pretrained_optimizers.opt_names) == 76
    assert len(pretrained_optimizers.functions) == 82
    for name, function in pretrained_optimizers.functions.items():
        assert getattr(pretrained_optimizers, name) is function
        assert gin.get_configurable(name)
        assert name.isidentifier()
    assert pretrained_optimizers.VeLO is getattr(pretrained_optimizers, VELO)
    assert set(NO_CONFIG) <= set(pretrained_optimizers.functions)


def test_published_addresses() -> None:
    root = "gs://gresearch/learned_optimization/pretrained_lopts"
    assert address(VELO) == f"{root}/{VELO}/params"
    assert address("sep14_sep10_compare_valid") == (
        f"{root}/no_config/sep14_sep10_compare_valid_path.checkpoint"
    )


@pytest.mark.parametrize(
    "name",
    [
        VELO,
        pretrained_optimizers.opt_names[-40],
        "april24_2022_march27_parametric_v3_29584",
    ],
)
def test_one_is_fetched_when_asked_for(name: str, tmp_path: Path) -> None:
    with serve(tmp_path / "site") as site:
        write(site.folder / name, content_of(small_theta()))
        function = pretrained_optimizers.functions[
            name.replace(".", "_").replace("-", "_")
        ]
        opt: Any = function(root=site.address)
        assert opt.lopt.hidden_size == 3
        assert sorted(site.asked) == [f"/{name}/config.gin", f"/{name}/params"]
        gin.parse_config(f"{function.__name__}.root = '{site.address}'")
        assert function().name == opt.name


def _small(tmp_path: Path, extra: tuple[str, ...] = ()) -> Any:
    path = write(tmp_path, content_of(small_theta()))
    return opt_from_checkpoint(path, extra_bindings=extra)


@pytest.mark.slow
def test_prefab_is_the_optimizer_alone(tmp_path: Path) -> None:
    inside = _small(tmp_path, ("MLPLOpt.step_mult = 0.1",))
    opt = LearnedOptimizer(10, base_lopt_fn=lambda: inside)
    params = {"w": jnp.arange(3.0), "b": jnp.ones([])}
    grads = jax.tree.map(lambda p: 0.1 * p + 1, params)
    state = opt.update(opt.init(params), grads, loss=jnp.float32(1))
    expected = inside.update(inside.init(params, num_steps=10), grads, jnp.float32(1))
    jax.tree.map(np.testing.assert_array_equal, opt.get_params(state), expected.params)
    assert inside.name in opt.name
    # As any optimizer here, it crosses jit and knows its settings by name.
    jitted = jax.jit(lambda opt, s: opt.update(s, grads, loss=1.0))(
        opt, opt.init(params)
    )
    moved = jax.tree.map(jnp.subtract, opt.get_params(jitted), params)
    wanted = jax.tree.map(jnp.subtract, expected.params, params)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4)  # noqa: E731
    jax.tree.map(close, moved, wanted)


def test_prefab_of_long_runs_accumulates_and_decays() -> None:
    opt = LearnedOptimizer(
        401, weight_decay=0.25, max_training_steps=100, base_lopt_fn=lambda: SGD(1.0)
    )
    assert isinstance(opt.opt, WeightDecayWrapper)
    assert isinstance(opt.opt.opt, GradientAccumulator)
    assert opt.opt.opt.num_average == 5  # as many times as 401 has 100 begun
    params = jnp.array([2.0])
    state = opt.init(params, num_steps=401)
    for _ in range(4):
        state = opt.update(state, jnp.array([0.5]), loss=jnp.float32(1))
        np.testing.assert_array_equal(opt.get_params(state), params)
    state = opt.update(state, jnp.array([0.5]), loss=jnp.float32(1))
    np.testing.assert_allclose(opt.get_params(state), [2 - (0.5 + 0.25 * 2)])


def test_prefab_of_short_runs_is_not_wrapped() -> None:
    opt = LearnedOptimizer(100, max_training_steps=100, base_lopt_fn=Adam)
    assert type(opt.opt) is type(Adam())


def test_prefab_refuses_another_length() -> None:
    opt = LearnedOptimizer(100, base_lopt_fn=SGD)
    with pytest.raises(LoptError, match=r"num_steps is 99, .*num_training_steps=100"):
        opt.init(jnp.ones(1), num_steps=99)
    with pytest.raises(LoptError, match="num_training_steps must be a whole number"):
        LearnedOptimizer(0, base_lopt_fn=SGD)


def test_prefab_for_optax(tmp_path: Path) -> None:
    inside = _small(tmp_path)
    tx = optax_lopt(10, base_lopt_fn=lambda: inside)
    params = {"w": jnp.arange(3.0)}
    grads = {"w": jnp.array([1.0, -2.0, 0.5])}
    state = tx.init(params)
    updates, state = tx.update(grads, state, params, extra_args={"loss": 1.0})
    got: Any = optax.apply_updates(params, updates)
    expected = inside.update(inside.init(params, num_steps=10), grads, jnp.float32(1))
    np.testing.assert_allclose(got["w"], expected.params["w"], rtol=1e-6)


def test_gin_knows_them_from_the_start() -> None:
    configuration.load(bindings=[f"inner_train_task.opt = @{VELO}()"])
    assert configuration.reference_name("inner_train_task.opt") == VELO
