"""Steps of the published learned optimizers, and how ours differ from them.

A file holds what some updates were given and the parameters after each. Ours are given
the same, every update from the stored parameters, so that what is compared is one
update, and what accumulates is the rest of the state. Differences are measured in the
update's own change: some move parameters by 1e-4 only.

    run = golden_run("MLPLOpt")
    for way in WAYS:
        assert worst_difference(MLPLOpt(), run, way) < TOLERANCE
"""

import functools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.serialization import msgpack_restore

from tests.golden import reference

TOLERANCE = 1e-3
"""A fair bound of `worst_difference`: float64 arithmetic reaches 3e-4."""

# The optimizers of golden_celo whose meta-parameters have another one's name.
_THETA_OF = {
    "celo_phase1": "celo",
    "celo2": "celo2base",
    "celo2base_wd": "celo2base",
    "celo2_wd_embed": "celo2base",
}


@dataclass(frozen=True, eq=False)
class GoldenRun:
    """Some updates of a published learned optimizer.

    Attributes:
      name: the file's name, `HyperV2_small` or `celo__tree`, say.
      theta: the meta-parameters, nested dicts of the published names.
      num_steps: the length of the run that the optimizer was told.
      params: initial parameters.
      grads: gradients, each leaf `[updates, ...]`.
      losses: float32 `[updates]`.
      is_valid: bool `[updates]`.
      after: parameters after each update, each leaf `[updates, ...]`.
      state: arrays of the state after the last update, by names such as
        `rolling_features|m|conv|w`; decays are a trailing axis.
    """

    name: str
    theta: Any
    num_steps: int
    params: Any
    grads: Any
    losses: np.ndarray
    is_valid: np.ndarray
    after: Any
    state: dict[str, np.ndarray]

    @property
    def before(self) -> Any:
        """The parameters before each update, each leaf `[updates, ...]`."""
        return jax.tree.map(
            lambda first, after: np.concatenate([first[None], after[:-1]]),
            self.params,
            self.after,
        )


@functools.cache
def golden_run(name: str) -> GoldenRun:
    """Return the updates of a file; skips the test where it is absent."""
    if "__" not in name:
        arrays = _arrays(f"golden/{name}.npz")
        return GoldenRun(
            name=name,
            theta=nested(_below(arrays, "meta:")),
            num_steps=50 if name.startswith("HyperV2_small") else 10,
            params=nested(_below(arrays, "init:")),
            grads=nested(_below(arrays, "grad:")),
            losses=arrays["loss"],
            is_valid=arrays["is_valid"],
            after=nested(_below(arrays, "param:")),
            state=_below(arrays, "state:"),
        )
    arrays = _arrays(f"golden_celo/{name}.npz")
    return GoldenRun(
        name=name,
        theta=celo_theta(name.partition("__")[0]),
        num_steps=int(arrays["num_steps"]),
        params=nested(_below(arrays, "init|")),
        grads=nested(_below(arrays, "grads|")),
        losses=arrays["losses"],
        is_valid=np.zeros(arrays["losses"].shape, bool),
        after=nested(_below(arrays, "params|")),
        state=_below(arrays, "state|"),
    )


def celo_theta(optimizer: str) -> Any:
    """Return the meta-parameters of an optimizer of golden_celo."""
    name = _THETA_OF.get(optimizer, optimizer)
    path = reference(f"learned/golden_celo/theta/{name}.theta.state")
    return msgpack_restore(path.read_bytes())


def _arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(reference(f"learned/{name}")) as file:
        return dict(file)


def _below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def nested(arrays: dict[str, np.ndarray]) -> Any:
    """Return nested dicts of arrays named by paths, `linear_0|w`, say."""
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *parents, last = path.split("|")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = array
    return tree


def step_by_step(lopt: Any, theta: Any, run: GoldenRun) -> Any:
    """Return the parameters after each update: compiled, an update at a time.

    `is_valid` is a Python bool, as programs of users have it.
    """

    @functools.partial(jax.jit, static_argnames="is_valid")
    def update(theta: Any, state: Any, given: Any, is_valid: bool) -> Any:
        return _update(lopt.opt_fn(theta), state, given, is_valid)

    state, history = _start(lopt.opt_fn(theta), run), []
    for i in range(len(run.losses)):
        given = jax.tree.map(lambda x, i=i: x[i], (run.before, run.grads, run.losses))
        state = update(theta, state, (*given, _key(i)), is_valid=bool(run.is_valid[i]))
        history.append(lopt.opt_fn(theta).get_params(state))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *history)


def eagerly(lopt: Any, theta: Any, run: GoldenRun) -> Any:
    """Return the parameters after each update: operation by operation."""
    with jax.disable_jit():
        return step_by_step(lopt, theta, run)


def scanned(lopt: Any, theta: Any, run: GoldenRun) -> Any:
    """Return the parameters after each update: all in one `lax.scan`."""
    return jax.tree.map(np.asarray, jax.jit(functools.partial(_scan, lopt, run))(theta))


def vmapped(lopt: Any, theta: Any, run: GoldenRun) -> Any:
    """Return the parameters after each update: of several thetas at once."""
    others = [jax.tree.map(lambda x, s=s: s * x, theta) for s in (0.9, 1.0, 0.8)]
    thetas = jax.tree.map(lambda *leaves: np.stack(leaves), *others)
    after = jax.jit(jax.vmap(functools.partial(_scan, lopt, run)))(thetas)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[1], after)


WAYS: tuple[Callable[[Any, Any, GoldenRun], Any], ...] = (
    step_by_step,
    scanned,
    vmapped,
)
"""The ways in which the updates of a file are run."""


def every_way(names: Iterable[str], in_ci: Collection[str]) -> pytest.MarkDecorator:
    """Run a test of `name` and `way` with every file in each of `WAYS`.

    Args:
      names: names of the files.
      in_ci: those that are slow, not exhaustive, in the way that has the others in it:
        compiled, a scan over several thetas.
    """
    return pytest.mark.parametrize(
        ("name", "way"),
        [
            pytest.param(
                name,
                way,
                id=f"{name}-{way.__name__}",
                marks=pytest.mark.slow
                if way is vmapped and name in in_ci
                else pytest.mark.exhaustive,
            )
            for name in names
            for way in WAYS
        ],
    )


first_way = pytest.mark.parametrize(
    "way",
    [
        pytest.param(
            way,
            id=way.__name__,
            marks={step_by_step: (), vmapped: pytest.mark.slow}.get(
                way, pytest.mark.exhaustive
            ),
        )
        for way in WAYS
    ],
)
"""Runs a test of `way` in each of `WAYS`: an update at a time in every run of tests.

CI has the way too that has the others in it.
"""


def _key(i: Any) -> jax.Array:
    return jax.random.PRNGKey(i)


def _start(opt: Any, run: GoldenRun) -> Any:
    return opt.init(run.params, num_steps=run.num_steps, key=_key(0))


def _update(opt: Any, state: Any, given: Any, is_valid: Any) -> Any:
    before, grad, loss, key = given
    state = opt.set_params(state, jax.tree.map(jnp.asarray, before))
    return opt.update(state, grad, loss=loss, is_valid=is_valid, key=key)


def _scan(lopt: Any, run: GoldenRun, theta: Any) -> Any:
    opt = lopt.opt_fn(theta)

    def body(state: Any, given: Any) -> tuple[Any, Any]:
        *rest, is_valid = given
        state = _update(opt, state, rest, is_valid)
        return state, opt.get_params(state)

    keys = jax.vmap(_key)(np.arange(len(run.losses)))
    given = (run.before, run.grads, run.losses, keys, run.is_valid)
    return jax.lax.scan(body, _start(opt, run), given)[1]


def final_state(lopt: Any, run: GoldenRun) -> Any:
    """Return the state after the last update, in one `lax.scan`."""

    @jax.jit
    def whole(theta: Any) -> Any:
        opt = lopt.opt_fn(theta)

        def body(state: Any, given: Any) -> tuple[Any, None]:
            *rest, is_valid = given
            return _update(opt, state, rest, is_valid), None

        keys = jax.vmap(_key)(np.arange(len(run.losses)))
        given = (run.before, run.grads, run.losses, keys, run.is_valid)
        return jax.lax.scan(body, _start(opt, run), given)[0]

    return jax.tree.map(np.asarray, whole(run.theta))


def worst_difference(
    lopt: Any,
    run: GoldenRun,
    way: Callable[[Any, Any, GoldenRun], Any] = step_by_step,
) -> float:
    """Return the largest difference of an update from the published one.

    Args:
      lopt: the learned optimizer.
      run: what the published one did.
      way: one of `WAYS`, or `eagerly`.

    Returns:
      The largest, over updates and arrays, of the largest difference in an array as a
      share of the largest change in it. One unit in the last place of the parameters
      is no difference: each of the two is rounded by up to half of it.
    """
    return difference(way(lopt, run.theta, run), run.after, run.before)


def difference(got: Any, after: Any, before: Any) -> float:
    """Return the largest difference of updates, as a share of their own change.

    Args:
      got: parameters after each update, each leaf `[updates, ...]`.
      after: the same, as they should be.
      before: the same, before each update.
    """
    shares = jax.tree.map(_share, got, after, before)
    return max(jax.tree.leaves(shares))


def _share(got: Any, after: np.ndarray, before: np.ndarray) -> float:
    axes = tuple(range(1, after.ndim))
    got = np.asarray(got)
    assert got.shape == after.shape
    assert got.dtype == after.dtype
    assert np.isfinite(got).all()
    apart = np.abs(np.float64(got) - after)
    apart = np.max(np.maximum(apart - np.spacing(np.abs(before)), 0), axes)
    change = np.max(np.abs(np.float64(after) - before), axes)
    # An update of validation data changes nothing, and neither may ours.
    return float(np.max(np.where(apart > 0, apart / np.maximum(change, 1e-30), 0)))


def made_run(
    theta: Any, steps: Callable[..., Any], num: int = 6, seed: int = 0, **given: Any
) -> GoldenRun:
    """Return updates made by arithmetic of one's own, for where there are no files.

    Args:
      theta: meta-parameters.
      steps: takes theta, parameters, gradients and, of `losses` and `is_valid`, what
        `given` names; yields the parameters after each update.
      num: how many updates.
      seed: of parameters, gradients and losses.
      **given: further arguments of `steps`; True for `losses` or `is_valid`: the
        run's own.
    """
    draw = np.random.default_rng(seed).normal
    shapes = {"b": (5,), "kernel": (2, 3, 2, 3), "scalar": (), "w": (4, 3)}

    def arrays(scale: float) -> dict[str, np.ndarray]:
        return {
            k: np.asarray(scale * draw(size=s), np.float32) for k, s in shapes.items()
        }

    params, grads = arrays(0.5), [arrays(0.3) for _ in range(num)]
    losses = np.asarray(1 + 0.3 * np.abs(draw(size=num)), np.float32)
    own = {"losses": losses, "is_valid": np.arange(num) % 4 == 2}
    given = {key: own.get(key, value) for key, value in given.items()}
    after = list(steps(theta, params, grads, **given))
    return GoldenRun(
        name="made",
        theta=theta,
        num_steps=100,
        params=params,
        grads={k: np.stack([g[k] for g in grads]) for k in shapes},
        losses=losses,
        is_valid=given.get("is_valid", np.zeros(num, bool)),
        after={k: np.stack([np.float32(x[k]) for x in after]) for k in shapes},
        state={},
    )


def shaken(theta: Any, scale: float = 0.1, seed: int = 1) -> Any:
    """Return meta-parameters of which no array is zero: noise is added to each."""
    draw = np.random.default_rng(seed).normal
    return jax.tree.map(
        lambda x: np.asarray(x + scale * draw(size=np.shape(x)), np.float32), theta
    )
