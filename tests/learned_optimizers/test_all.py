"""What every registered learned optimizer must do; a new one is covered with no edit.

What is only traced costs little, so that it covers everything; what is run is run for
a quick one, and for all others where the tests have more time.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from learned_optimization.errors import LoptError
from learned_optimization.eval_training import (
    Strategy,
    multi_trial_training_curves,
    single_task_training_curves,
    trial_curves,
)
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    all_learned_optimizers,
    get_learned_optimizer,
    summary,
)
from learned_optimization.optimizers.base import NEEDS
from tests.learned_optimizers.golden import shaken
from tests.learned_optimizers.published import SETTINGS, THETAS
from tests.optimizers.test_all_optimizers import changed
from tests.optimizers.test_types import floats, kinds, shapes, signature, start, step
from tests.tasks.conftest import quick_compilation  # noqa: F401
from tests.tiny import StatefulTask

NAMES = list(all_learned_optimizers())
QUICK = ("LearnableAdam",)
RUN = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES]
# Of what the golden steps show too, and of what is the same for all.
RUN_FEWER = [
    pytest.param(
        n,
        marks=()
        if n in QUICK
        else pytest.mark.slow
        if n == "Celo"
        else pytest.mark.exhaustive,
    )
    for n in NAMES
]
NUM_STEPS = 3


def make(name: str, **settings: Any) -> LearnedOptimizer:
    return get_learned_optimizer(name)(**settings)


def thetas_of(lopt: LearnedOptimizer, num: int = 2) -> list[Any]:
    """Return different meta-parameters, of which none is zero."""
    keys = jax.random.split(jax.random.PRNGKey(0), num)
    return [shaken(lopt.init(key), 0.03, seed) for seed, key in enumerate(keys)]


def stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


# --- What they are ---


def test_there_are_all_that_the_documentation_names() -> None:
    assert {*SETTINGS, *THETAS} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_is_documented(name: str) -> None:
    assert summary(get_learned_optimizer(name)).endswith(".")


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_have_the_published_names_order_and_defaults(name: str) -> None:
    fields = dataclasses.fields(get_learned_optimizer(name))  # type: ignore[arg-type]
    ours = {field.name: field.default for field in fields}
    first = dict(itertools.islice(ours.items(), len(SETTINGS[name])))
    assert list(first.items()) == list(SETTINGS[name].items())


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_in_the_name(name: str) -> None:
    lopt: Any = make(name)
    assert lopt.name == name
    fields = [f.name for f in dataclasses.fields(lopt)]
    names = {field: changed(lopt, field).name for field in fields}
    assert len({name, *names.values()}) == 1 + len(fields)
    assert all(got.startswith(f"{name}_") for got in names.values())


@pytest.mark.parametrize("name", NAMES)
def test_is_a_pytree_of_its_settings(name: str) -> None:
    lopt = make(name)
    copied = jax.tree.map(lambda x: x, lopt)
    assert type(copied) is type(lopt)
    assert copied.name == lopt.name


def test_no_two_classes_share_a_structure() -> None:
    structures = [jax.tree.structure(make(name)) for name in NAMES]
    assert all(a != b for a, b in itertools.combinations(structures, 2))


@pytest.mark.parametrize("name", THETAS)
def test_theta_has_the_published_names_and_shapes(name: str) -> None:
    for settings, want in THETAS[name]:
        theta = jax.eval_shape(make(name, **settings).init, jax.random.PRNGKey(0))
        leaves = jax.tree_util.tree_leaves_with_path(theta)
        got = {"|".join(part.key for part in path): x.shape for path, x in leaves}
        assert got == want


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("x64", [False, True])
def test_theta_is_float32(x64: bool, name: str) -> None:
    with floats(x64):
        theta = jax.eval_shape(make(name).init, jax.random.PRNGKey(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(theta)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("name", NAMES)
def test_two_thetas_have_two_names(name: str) -> None:
    lopt = make(name)
    opts = [lopt.opt_fn(theta) for theta in thetas_of(lopt)]
    again = [lopt.opt_fn(theta) for theta in thetas_of(lopt)]
    assert opts[0].name != opts[1].name
    assert [opt.name for opt in opts] == [opt.name for opt in again]


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_needs(name: str) -> None:
    lopt = make(name)
    opt = lopt.opt_fn(thetas_of(lopt, 1)[0])
    assert opt.needs <= NEEDS.keys()
    params = {"vector": jnp.ones(3)}
    if "num_steps" in opt.needs:
        with pytest.raises(LoptError, match=r"needs .*num_steps="):
            opt.init(params)
    needs_loss = "loss" in opt.needs

    def updated(params: Any) -> Any:
        state = opt.init(params, num_steps=9 if "num_steps" in opt.needs else None)
        return opt.update(state, params, loss=jnp.ones([]) if needs_loss else None)

    jax.eval_shape(updated, params)
    if needs_loss:
        state = opt.init(params, num_steps=9)
        with pytest.raises(LoptError, match=r"needs .*loss="):
            opt.update(state, params)


# --- What they do ---


def check_types(name: str, kind: str, x64: bool) -> None:
    with floats(x64):
        lopt, params = make(name), shapes(kind, x64)
        theta = jax.eval_shape(lopt.init, jax.random.PRNGKey(0))
        state = jax.eval_shape(lambda th, p: start(lopt.opt_fn(th), p), theta, params)

        def stepped(theta: Any, state: Any) -> tuple[Any, Any]:
            opt = lopt.opt_fn(theta)
            after = step(opt, state, 1.0)
            return after, opt.get_params(after)

        after, new_params = jax.eval_shape(stepped, theta, state)
        assert jax.tree.structure(after) == jax.tree.structure(state)
        assert signature(after) == signature(state)
        assert signature(new_params) == signature(params)


@pytest.mark.parametrize("name", NAMES)
def test_a_mixed_tree_keeps_its_types(name: str) -> None:
    check_types(name, "mixed", x64=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_tree_keeps_its_types(name: str, x64: bool) -> None:
    for kind in kinds(x64):
        check_types(name, kind, x64)


@pytest.mark.parametrize("name", NAMES)
def test_the_length_of_the_run_may_be_traced(name: str) -> None:
    lopt = make(name)
    theta = thetas_of(lopt, 1)[0]

    def run(num_steps: Any) -> Any:
        opt = lopt.opt_fn(theta)
        state = opt.init({"w": jnp.ones((2, 3))}, num_steps=num_steps)
        return opt.update(state, {"w": jnp.ones((2, 3))}, loss=jnp.ones([]))

    jax.eval_shape(run, jnp.asarray(7))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_model_state(name: str) -> None:
    lopt = make(name)
    theta = thetas_of(lopt, 1)[0]
    params = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
    given = {"mean": jnp.arange(3.0)}

    @jax.jit
    def run(theta: Any) -> tuple[Any, ...]:
        opt = lopt.opt_fn(theta)
        state = opt.init(params, num_steps=9, model_state={"mean": jnp.zeros(3)})
        moved = opt.set_params(state, jax.tree.map(lambda x: x + 1, params))
        after = opt.update(
            state,
            jax.tree.map(jnp.ones_like, params),
            loss=jnp.ones([]),
            model_state=given,
        )
        return (
            opt.get_params(state),
            opt.get_params(moved),
            *opt.get_params_state(after),
        )

    first, moved, stepped, model_state = run(theta)
    jax.tree.map(np.testing.assert_array_equal, first, params)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b + 1), moved, params)
    assert not np.array_equal(stepped["w"], params["w"])
    np.testing.assert_array_equal(model_state["mean"], given["mean"])


def check_finite(name: str, kind: str, x64: bool) -> None:
    """Step zero and other parameters with zero and other gradients, of two thetas."""
    with floats(x64):
        lopt, tree = make(name), shapes(kind, x64)
        rng = np.random.default_rng(0)
        drawn = {
            k: jnp.asarray(rng.normal(size=s.shape), s.dtype) for k, s in tree.items()
        }

        def run(theta: Any, of_params: Any, of_grads: Any) -> Any:
            opt = lopt.opt_fn(theta)
            scaled = {k: p * of_params.astype(p.dtype) for k, p in drawn.items()}

            def one(state: Any, _: None) -> tuple[Any, None]:
                return step(opt, state, of_grads), None

            state, _ = jax.lax.scan(one, start(opt, scaled), length=NUM_STEPS)
            return state

        over_scales = jax.vmap(run, in_axes=(None, 0, 0))
        pairs = np.asarray(list(itertools.product([0, 1], [0, 1])), np.float32)
        state = jax.jit(jax.vmap(over_scales, in_axes=(0, None, None)))(
            stacked(thetas_of(lopt)), *map(jnp.asarray, pairs.T)
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            finite = np.isfinite(np.asarray(leaf, np.float64))
            assert finite.all(), jax.tree_util.keystr(path)


@pytest.mark.parametrize("name", RUN)
def test_a_mixed_tree_stays_finite(name: str) -> None:
    check_finite(name, "mixed", x64=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_every_tree_stays_finite(name: str) -> None:
    for x64 in (False, True):
        for kind in kinds(x64):
            check_finite(name, kind, x64)


@pytest.mark.parametrize("name", RUN_FEWER)
def test_steps_the_same_whichever_way_it_runs(name: str) -> None:
    """Operation by operation, compiled, and of several thetas at once."""
    lopt = make(name)
    rng = np.random.default_rng(1)
    params = {
        "matrix": np.float32(rng.normal(size=(4, 3))),
        "vector": np.float32(rng.normal(size=3)),
        "scalar": np.float32(rng.normal()),
    }

    def run(theta: Any) -> Any:
        opt = lopt.opt_fn(theta)
        state = start(opt, params)
        for _ in range(2):
            state = step(opt, state, 1.0)
        moved = jax.tree.map(lambda a, b: a - b, opt.get_params(state), params)
        return {k: jnp.asarray(v) for k, v in moved.items()}

    thetas = thetas_of(lopt)
    compiled = jax.jit(run)
    alone = stacked([compiled(theta) for theta in thetas])
    together = jax.jit(jax.vmap(run))(stacked(thetas))
    eager = run(thetas[0])
    for key, moved in alone.items():
        # Of float32 parameters near 1, and steps that may be as small as 1e-4.
        bound = 1e-3 * np.abs(moved).max() + 3e-7
        assert np.abs(moved).max() > 0
        np.testing.assert_allclose(together[key], moved, 0, bound)
        np.testing.assert_allclose(eager[key], moved[0], 0, bound)


# --- In the engine ---

PLAN: dict[str, Any] = {"eval_every": 5, "eval_batches": 1, "last_eval_batches": 1}
# Otherwise measured, and another one now and then.
AT_ONCE = Strategy(trials_at_once=3)


@pytest.mark.parametrize("name", RUN_FEWER)
def test_a_trial_alone_is_the_trial_in_a_grid(name: str) -> None:
    lopt, task = make(name), StatefulTask()
    opts = [lopt.opt_fn(theta) for theta in thetas_of(lopt)]
    keys = list(jax.random.split(jax.random.PRNGKey(4), 2))
    grid = multi_trial_training_curves(task, opts, 12, keys, **PLAN)
    alone = single_task_training_curves(task, opts[1], 12, keys[1], **PLAN)
    for key, want in trial_curves(grid, 1, 1).items():
        np.testing.assert_allclose(alone[key], want, 1e-4, 1e-6, err_msg=key)
    losses = grid.curves["train/loss"]
    assert not np.array_equal(losses[0], losses[1])


@pytest.fixture
def own_programs(tmp_path: Path) -> Iterator[None]:
    """Compile anew what another test has compiled."""
    before = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "programs"))
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@contextlib.contextmanager
def counted_compilations() -> Iterator[list[str]]:
    """Give a list with an entry per program that XLA compiles in the block."""
    compiled: list[str] = []

    def note(event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/cache_misses":
            compiled.append(event)

    jax.monitoring.register_event_listener(note)
    yield compiled
    jax.monitoring.unregister_event_listener(note)


@pytest.mark.usefixtures("own_programs")
@pytest.mark.parametrize("name", RUN_FEWER)
def test_checkpoints_of_one_architecture_share_a_program(name: str) -> None:
    """Three in one grid, other three in another, and three one after another."""
    lopt, task, key = make(name), StatefulTask(), jax.random.PRNGKey(0)
    opts = [lopt.opt_fn(theta) for theta in thetas_of(lopt, 6)]
    counts = []
    for together in (opts[:3], opts[3:], opts[:1], opts[1:2], opts[2:3]):
        with counted_compilations() as compiled:
            multi_trial_training_curves(
                task, together, 6, [key], **PLAN, strategy=AT_ONCE
            )
        counts.append(len(compiled))
    grid, other_grid, first, second, third = counts
    # A grid, and a trial alone, are a program each.
    assert (other_grid, second, third) == (0, 0, 0)
    assert 0 < first <= grid
