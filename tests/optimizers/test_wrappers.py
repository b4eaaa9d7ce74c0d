"""Optimizers that step other optimizers: accumulation, grafting, clipping."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.optimizers import learning_rate_schedules as schedules
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.optimizers.gradient_accumulator import GradientAccumulator
from learned_optimization.optimizers.gradient_clip import GradientClipOptimizer
from learned_optimization.optimizers.grafting import GraftedOptimizer
from learned_optimization.optimizers.nadamw import NAdamW
from learned_optimization.optimizers.opt_list import OptList
from learned_optimization.optimizers.optax_opts import SGD, SGDM, Adam, AdamW
from learned_optimization.optimizers.optimizer_wrappers import (
    ExtendTimeWrapper,
    WeightDecayWrapper,
)
from learned_optimization.optimizers.schedule_free import ScheduleFreeSGD
from learned_optimization.optimizers.second_order import LBFGS, Sophia

Tree = dict[str, np.ndarray]
SHAPES = {"vector": (5,), "matrix": (4, 3)}
# Products, sums and roots of float32 numbers near one, at every step.
ROUNDING = 1e-6


def _draw(seed: int) -> Tree:
    normal = np.random.default_rng(seed).normal
    return {k: normal(size=shape).astype(np.float32) for k, shape in SHAPES.items()}


START = _draw(0)
GRADS = [_draw(seed) for seed in range(1, 13)]


def _mean(grads: list[Tree]) -> Tree:
    return {k: np.mean([grad[k] for grad in grads], axis=0) for k in SHAPES}


def _assert_equal(got: Any, want: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, got, want)


def _assert_close(got: Any, want: Any) -> None:
    for k in SHAPES:
        np.testing.assert_allclose(got[k], want[k], rtol=0, atol=ROUNDING)


INNER = [
    SGDM(learning_rate=0.1),
    AdamW(learning_rate=0.05, weight_decay=0.1),
    ScheduleFreeSGD(learning_rate=0.3),
    Adam(learning_rate=schedules.CosineDecay(num_steps=4.0, learning_rate=0.1)),
]


@pytest.mark.parametrize("inner", INNER)
def test_averages_of_one_change_nothing(inner: Optimizer) -> None:
    opt = GradientAccumulator(opt=inner, num_average=1)
    # Compiled, both: only then do they round alike.
    update, inner_update = jax.jit(opt.update), jax.jit(inner.update)
    state, want = opt.init(START), inner.init(START)
    for grad in GRADS[:5]:
        state, want = update(state, grad), inner_update(want, grad)
        _assert_equal(opt.get_params(state), inner.get_params(want))
        _assert_equal(opt.get_eval_params(state), inner.get_eval_params(want))


@pytest.mark.parametrize("inner", INNER)
def test_steps_with_the_mean_of_four_and_rests_between(inner: Optimizer) -> None:
    opt = GradientAccumulator(opt=inner, num_average=4)
    update = jax.jit(opt.update)
    state, want = opt.init(START), inner.init(START)
    for i, grad in enumerate(GRADS, 1):
        before = opt.get_params(state)
        state = update(state, grad)
        if i % 4:
            _assert_equal(opt.get_params(state), before)
            continue
        want = inner.update(want, _mean(GRADS[i - 4 : i]))
        _assert_close(opt.get_params(state), inner.get_params(want))
        _assert_close(opt.get_eval_params(state), inner.get_eval_params(want))
        assert np.max(np.abs(opt.get_params(state)["vector"] - before["vector"])) > 1e-3
    assert int(state.iteration) == 12
    assert int(state.inner.iteration) == 3


class _Recorder(Optimizer):
    """Writes down what it is told; nothing here is traced."""

    def __init__(self, *needs: str):
        self.needed, self.told = frozenset(needs), []

    @property
    def needs(self) -> frozenset[str]:
        return self.needed

    def prepare(self) -> None:
        self.told.append({"prepare": True})

    def init(self, params: Any, *args: Any, **kwargs: Any) -> Any:
        names = ("model_state", "num_steps", "key")
        self.told.append({**dict(zip(names, args, strict=False)), **kwargs})
        return {"params": params}

    def update(self, opt_state: Any, grad: Any, *args: Any, **kwargs: Any) -> Any:
        names = ("loss", "model_state", "is_valid", "key", "loss_fn")
        told = {**dict(zip(names, args, strict=False)), **kwargs}
        self.told.append({"grad": grad, **told})
        return opt_state

    def get_params(self, opt_state: Any) -> Any:
        return opt_state["params"]

    def set_params(self, opt_state: Any, params: Any) -> Any:
        return {"params": params}

    def get_eval_params(self, opt_state: Any) -> Any:
        return "the average"

    def get_state(self, opt_state: Any) -> Any:
        return "the model state"


@pytest.mark.parametrize(("average", "told"), [(1, 103), (4, 25), (104, 0)])
def test_the_optimizer_inside_is_told_of_fewer_steps(average: int, told: int) -> None:
    inner = _Recorder()
    opt: Any = GradientAccumulator(opt=inner, num_average=average)
    opt.init(START, model_state="model", num_steps=103, key="key")
    assert inner.told == [{"model_state": "model", "num_steps": told, "key": "key"}]
    opt.init(START)
    assert inner.told[1]["num_steps"] is None


def test_opt_list_plans_over_the_fewer_steps() -> None:
    inner = OptList(idx=5)
    opt = GradientAccumulator(opt=inner, num_average=3)
    state, want = opt.init(START, num_steps=12), inner.init(START, num_steps=4)
    for i, grad in enumerate(GRADS, 1):
        state = opt.update(state, grad)
        if i % 3 == 0:
            want = inner.update(want, _mean(GRADS[i - 3 : i]))
            _assert_close(opt.get_params(state), inner.get_params(want))


def test_model_state_and_loss_follow_every_gradient() -> None:
    @jax.jit
    def update(state: Any, i: Any) -> Any:
        return opt.update(state, START, loss=1.0 * i, model_state={"seen": i})

    opt = GradientAccumulator(opt=SGD(), num_average=3)
    state = opt.init(START, model_state={"seen": jnp.asarray(0)})
    sums = []
    for i in range(1, 8):
        state = update(state, jnp.asarray(i))
        assert int(opt.get_state(state)["seen"]) == i
        assert int(opt.get_params_state(state)[1]["seen"]) == i
        sums.append(float(state.loss_sum))
        # The optimizer inside has that of its last step.
        assert int(opt.opt.get_state(state.inner)["seen"]) == i - i % 3
    assert sums == [1, 3, 0, 4, 9, 0, 7]


def test_one_program_averages_over_different_numbers() -> None:
    def run(num_average: Any) -> Any:
        opt = GradientAccumulator(opt=Adam(learning_rate=0.1), num_average=num_average)
        state = opt.init(START, num_steps=12)
        for grad in GRADS:
            state = opt.update(state, grad)
        return opt.get_params(state)

    numbers = [1, 2, 3, 5, 12, 13]
    together = jax.jit(jax.vmap(run))(jnp.array(numbers))
    for i, n in enumerate(numbers):
        inner = Adam(learning_rate=0.1)
        want = inner.init(START)
        for j in range(n, 13, n):
            want = inner.update(want, _mean(GRADS[j - n : j]))
        _assert_close({k: v[i] for k, v in together.items()}, want.params)


def test_accumulation_refuses_what_cannot_be_averaged() -> None:
    for inner in (LBFGS(), Sophia()):
        name = type(inner).__name__
        message = f"cannot serve {name}, which asks for the loss of one batch"
        with pytest.raises(LoptError, match=message):
            GradientAccumulator(opt=inner).prepare()
    GradientAccumulator(opt=LBFGS(learning_rate=0.1)).prepare()
    with pytest.raises(LoptError, match="num_average must be at least 1, got 0"):
        GradientAccumulator(num_average=0).prepare()


def test_accumulation_passes_means_and_the_key_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Branches not traced, so that the recorder sees numbers.
    monkeypatch.setattr(
        jax.lax, "cond", lambda pred, yes, no, *args: (yes if pred else no)(*args)
    )
    inner = _Recorder("loss", "key")
    opt: Any = GradientAccumulator(opt=inner, num_average=2)
    opt.prepare()
    state = opt.init(START)
    state = opt.update(state, GRADS[0], 1.0, "first", True, "key 1")
    assert len(inner.told) == 2
    opt.update(state, GRADS[1], 4.0, "second", True, "key 2")
    told = inner.told[2]
    _assert_close(told.pop("grad"), _mean(GRADS[:2]))
    assert told == {
        "loss": 2.5,
        "model_state": "second",
        "is_valid": True,
        "key": "key 2",
    }


def _step_of(opt: Optimizer, state: Any, grad: Tree) -> tuple[Any, Tree]:
    """Return the state after, and how far the parameters went."""
    before = opt.get_params(state)
    state = opt.update(state, grad)
    after = opt.get_params(state)
    far = {k: np.asarray(after[k], np.float64) - before[k] for k in SHAPES}
    return state, far


def _norm(tree: Tree) -> float:
    return math.sqrt(sum(float(np.sum(leaf * leaf)) for leaf in tree.values()))


def test_a_graft_is_as_long_as_one_step_and_points_as_another() -> None:
    magnitude, direction = SGDM(learning_rate=0.3), AdamW(weight_decay=0.1)
    opt = GraftedOptimizer(magnitude_opt=magnitude, direction_opt=direction)
    state = opt.init(START)
    long, towards = magnitude.init(START), direction.init(START)
    for grad in GRADS:
        long, far = _step_of(magnitude, long, grad)
        towards, way = _step_of(direction, towards, grad)
        state, got = _step_of(opt, state, grad)
        # Of all arrays together. Differences of float32 parameters near one, which
        # are 0.01 at least: each is right to 1e-5.
        wanted, given = _norm(far), _norm(way)
        assert math.isclose(_norm(got), wanted, rel_tol=2e-5)
        for k in SHAPES:
            np.testing.assert_allclose(
                got[k] / wanted, way[k] / given, rtol=0, atol=2e-4
            )
        # Both go on from the new parameters.
        params = opt.get_params(state)
        _assert_equal(state.magnitude.params, params)
        _assert_equal(state.direction.params, params)
        long = magnitude.set_params(long, params)
        towards = direction.set_params(towards, params)


def test_a_graft_without_a_direction_stays() -> None:
    none = {k: np.zeros_like(g) for k, g in GRADS[0].items()}
    # Weight decay moves what has no gradient; the direction does not.
    opt = GraftedOptimizer(
        magnitude_opt=AdamW(weight_decay=0.5), direction_opt=SGD(learning_rate=0.1)
    )
    _assert_equal(opt.get_params(opt.update(opt.init(START), none)), START)
    # An array without a direction stays where the others move.
    grad = {**GRADS[0], "vector": none["vector"]}
    state = opt.update(opt.init(START), grad)
    _assert_equal(opt.get_params(state)["vector"], START["vector"])
    assert np.all(opt.get_params(state)["matrix"] != START["matrix"])
    # A length of zero is no step either.
    opt = GraftedOptimizer(magnitude_opt=SGD(), direction_opt=AdamW(weight_decay=0.5))
    _assert_equal(opt.get_params(opt.update(opt.init(START), none)), START)


def test_a_graft_gives_both_what_they_need() -> None:
    magnitude, direction = _Recorder("loss"), _Recorder("loss_fn", "key")
    opt: Any = GraftedOptimizer(magnitude_opt=magnitude, direction_opt=direction)
    assert opt.needs == {"loss", "loss_fn", "key"}
    opt.prepare()
    state = opt.init(START, "model", 10, jax.random.PRNGKey(0))
    opt.update(state, GRADS[0], 1.0, "new", True, jax.random.PRNGKey(1), "function")
    for one in (magnitude, direction):
        prepared, started, stepped = one.told
        assert prepared == {"prepare": True}
        assert (started["model_state"], started["num_steps"]) == ("model", 10)
        assert stepped["grad"] is GRADS[0]
        told = stepped["loss"], stepped["model_state"], stepped["is_valid"]
        assert told == (1.0, "new", True)
    # The function only to whom asks for it, and no two draw the same numbers.
    assert "loss_fn" not in magnitude.told[2]
    assert direction.told[2]["loss_fn"] == "function"
    for at in (1, 2):
        first, second = (
            np.asarray(one.told[at]["key"]) for one in (magnitude, direction)
        )
        assert np.any(first != second)
    opt.update(opt.init(START), GRADS[0])
    assert magnitude.told[-1]["key"] is None


def test_a_graft_carries_the_model_state() -> None:
    opt = GraftedOptimizer()
    state = opt.init(START, {"mean": np.float32(1)})
    assert opt.get_state(state) == {"mean": 1}
    state = opt.update(state, GRADS[0], model_state={"mean": np.float32(2)})
    assert opt.get_params_state(state)[1] == {"mean": 2}
    other = opt.set_params(state, GRADS[1])
    _assert_equal(opt.get_params(other), GRADS[1])
    assert opt.get_state(other) == {"mean": 2}


@pytest.mark.parametrize("grad_clip", [3.0, 0.5, jnp.asarray(0.1)])
def test_gradient_entries_are_clipped(grad_clip: Any) -> None:
    opt = GradientClipOptimizer(opt=SGD(learning_rate=0.1), grad_clip=grad_clip)
    grad = {k: 4 * g for k, g in GRADS[0].items()}
    assert max(np.max(np.abs(g)) for g in grad.values()) > 3
    got = opt.get_params(jax.jit(opt.update)(opt.init(START), grad))
    bound = float(grad_clip)
    for k in SHAPES:
        want = START[k] - 0.1 * np.minimum(np.maximum(grad[k], -bound), bound)
        np.testing.assert_allclose(got[k], want, rtol=0, atol=ROUNDING)
    assert GradientClipOptimizer().grad_clip == 3.0


def test_clipping_hands_everything_else_through() -> None:
    inner = _Recorder("loss", "num_steps")
    opt: Any = GradientClipOptimizer(opt=inner)
    assert opt.needs == {"loss", "num_steps"}
    opt.prepare()
    state = opt.init(START, "model", 10, "key")
    opt.update(state, GRADS[0], 1.0, "new", True, "key 2", "function")
    prepared, started, stepped = inner.told
    assert prepared == {"prepare": True}
    assert started == {"model_state": "model", "num_steps": 10, "key": "key"}
    del stepped["grad"]
    assert stepped == {
        "loss": 1.0,
        "model_state": "new",
        "is_valid": True,
        "key": "key 2",
        "loss_fn": "function",
    }
    assert opt.get_state(state) == "the model state"
    assert opt.get_eval_params(state) == "the average"
    assert opt.get_params(opt.set_params(state, GRADS[1])) is GRADS[1]


@pytest.mark.parametrize("inner", [SGDM(0.1), Adam(0.1)])
def test_weight_decay_is_added_to_the_gradient(inner: Optimizer) -> None:
    opt = WeightDecayWrapper(opt=inner, weight_decay=0.3)
    state, want = opt.init(START), inner.init(START)
    for grad in GRADS:
        params = inner.get_params(want)
        decayed = {k: g + 0.3 * params[k] for k, g in grad.items()}
        state, want = opt.update(state, grad), inner.update(want, decayed)
        _assert_close(opt.get_params(state), inner.get_params(want))


@pytest.mark.parametrize("add_to_loss", [True, False])
def test_weight_decay_is_added_to_the_loss(add_to_loss: bool) -> None:
    inner = _Recorder("loss", "num_steps")
    opt: Any = WeightDecayWrapper(inner, weight_decay=0.3, add_to_loss=add_to_loss)
    assert opt.needs == {"loss", "num_steps"}
    opt.prepare()
    state = opt.init(START, "model", 10, "key")
    opt.update(state, GRADS[0], 1.0, "new", True, "key 2", batch="batch")
    prepared, started, stepped = inner.told
    assert prepared == {"prepare": True}
    assert started == {"model_state": "model", "num_steps": 10, "key": "key"}
    squares = sum(float(np.sum(p * p)) for p in START.values())
    del stepped["grad"]
    loss = float(stepped.pop("loss"))
    assert math.isclose(loss, 1.0 + add_to_loss * 0.3 * squares, rel_tol=1e-6)
    told = {"model_state": "new", "is_valid": True, "key": "key 2", "batch": "batch"}
    assert stepped == told
    # A loss that is not given is not needed either.
    opt.update(state, GRADS[0])
    assert inner.told[-1]["loss"] is None
    assert opt.get_state(state) == "the model state"
    assert opt.get_eval_params(state) == "the average"
    with pytest.raises(LoptError, match="cannot serve LBFGS"):
        WeightDecayWrapper(LBFGS()).prepare()


def _twice_as_fast(updates: Any) -> Any:
    return 2 * updates


def _half_as_fast(updates: Any) -> Any:
    return 0.5 * updates


@pytest.mark.parametrize(
    ("warp", "length"), [(None, 12), (_twice_as_fast, 24), (_half_as_fast, 6)]
)
def test_a_clock_runs_as_its_function_says(warp: Any, length: int) -> None:
    schedule = schedules.CosineLearningRateSchedule(learning_rate=0.1)
    inner = NAdamW(learning_rate=schedule)
    opt = ExtendTimeWrapper(opt=inner, warp_fn=warp)
    assert opt.needs == {"num_steps"}
    state, want = opt.init(START, num_steps=12), inner.init(START, num_steps=length)

    # As the engine does it: the state keeps its structure and its types.
    def step(state: Any, grad: Any) -> Any:
        state = opt.update(state, grad)
        return state, opt.get_params(state)

    stacked = jax.tree.map(lambda *grads: np.stack(grads), *GRADS)
    last, after = jax.lax.scan(step, state, stacked)
    for i, grad in enumerate(GRADS):
        now = i if warp is None else warp(i)
        want = inner.update(dataclasses.replace(want, iteration=jnp.asarray(now)), grad)
        _assert_close({k: a[i] for k, a in after.items()}, inner.get_params(want))
    assert int(last.iteration) == len(GRADS)
    assert opt.get_eval_params(last).keys() == SHAPES.keys()


def test_a_clock_that_is_no_function_or_not_there_is_refused() -> None:
    with pytest.raises(LoptError, match=r"warp_fn must be a function .* got 2"):
        ExtendTimeWrapper(warp_fn=2).prepare()  # pyright: ignore[reportArgumentType]
    with pytest.raises(LoptError, match="GraftedOptimizer, whose state counts no"):
        ExtendTimeWrapper(opt=GraftedOptimizer()).init(START)


def test_clocks_have_names_of_their_own() -> None:
    names = {
        ExtendTimeWrapper(warp_fn=warp).name
        for warp in (None, _twice_as_fast, _half_as_fast, lambda t: 3 * t)
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    "opt",
    [
        SGD(),
        NAdamW(),
        OptList(),
        GradientAccumulator(),
        GradientClipOptimizer(),
        GraftedOptimizer(),
        WeightDecayWrapper(),
        ExtendTimeWrapper(),
    ],
)
def test_keywords_that_only_others_know_are_ignored(opt: Any) -> None:
    state = opt.init(START, num_steps=10)
    more = {"out_state": 1, "batch": GRADS[0]}
    _assert_equal(opt.update(state, GRADS[0], **more), opt.update(state, GRADS[0]))


def test_keywords_are_passed_on() -> None:
    for wrap in (GradientClipOptimizer, WeightDecayWrapper):
        inner = _Recorder()
        opt: Any = wrap(inner)
        opt.update(opt.init(START), GRADS[0], batch="batch")
        assert inner.told[-1]["batch"] == "batch"
    both = _Recorder(), _Recorder()
    opt = GraftedOptimizer(*both)
    opt.update(opt.init(START), GRADS[0], batch="batch")
    assert [one.told[-1]["batch"] for one in both] == ["batch", "batch"]


def test_wrappers_nest() -> None:
    opt = GradientAccumulator(
        opt=GradientClipOptimizer(
            opt=GraftedOptimizer(magnitude_opt=SGD(0.3), direction_opt=Adam(0.1)),
            grad_clip=0.5,
        ),
        num_average=2,
    )
    inside = GraftedOptimizer(magnitude_opt=SGD(0.3), direction_opt=Adam(0.1))
    state, want = opt.init(START), inside.init(START)
    for i in range(0, 12, 2):
        for grad in GRADS[i : i + 2]:
            state = opt.update(state, grad)
        # The mean is clipped, not the gradients.
        mean = _mean(GRADS[i : i + 2])
        want = inside.update(want, {k: np.clip(g, -0.5, 0.5) for k, g in mean.items()})
        _assert_close(opt.get_params(state), inside.get_params(want))
    assert opt.name == (
        "GradientAccumulator_opt(GradientClipOptimizer_opt(GraftedOptimizer"
        "_magnitude(SGD_lr0.3)_direction(Adam_lr0.1_b10.9_b20.999_eps1e-08"
        "_epsroot1e-08))_clip0.5)_average2"
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: GradientAccumulator(opt=inner),
        lambda inner: GradientClipOptimizer(opt=inner),
        lambda inner: ExtendTimeWrapper(opt=inner),
        lambda inner: WeightDecayWrapper(opt=inner),
        lambda inner: GraftedOptimizer(direction_opt=inner),
        lambda inner: GraftedOptimizer(magnitude_opt=inner),
        lambda inner: GradientClipOptimizer(opt=GraftedOptimizer(inner)),
    ],
)
def test_needs_pass_through(wrap: Any) -> None:
    assert wrap(SGD()).needs == frozenset()
    assert wrap(Sophia()).needs == {"loss_fn", "key"}
    assert wrap(LBFGS()).needs == {"loss", "loss_fn"}
    assert wrap(OptList()).needs == {"num_steps"}
    bad = OptList(idx=1000)
    with pytest.raises(LoptError, match="from 0 to 999"):
        wrap(bad).prepare()
