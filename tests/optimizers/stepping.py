"""Optimizers stepped beside their float64 numpy references, and compared."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.optimizers.base import Optimizer

Tree = dict[str, Any]
Problem = tuple[Tree, Tree, Tree, Tree]
TreeStep = Callable[[Tree, Tree, Any, int, SimpleNamespace], tuple[Tree, Any]]

STEPS = 50


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def problem(shape: tuple[int, ...]) -> Problem:
    """Return initial parameters, curvatures, minima and the noise of each step."""
    shapes = {"zeros": (5,), "weights": shape}
    params = {"zeros": np.zeros(5, np.float32), "weights": draw(0, *shape)}
    curvature = {k: 0.2 + 0.1 * np.abs(draw(1, *s)) for k, s in shapes.items()}
    minimum = {k: draw(2, *s) for k, s in shapes.items()}
    noise = {k: 0.3 * draw(3, STEPS, *s) for k, s in shapes.items()}
    # An input that is always zero: its weight has no gradient, ever.
    curvature["weights"][1, 2] = noise["weights"][:, 1, 2] = 0.0
    return params, curvature, minimum, noise


def loss(params: Tree, curvature: Tree, minimum: Tree, noise: Tree) -> jax.Array:
    """Make a quadratic whose axes are the parameters, tilted by a step's noise."""
    terms = jax.tree.map(
        lambda p, c, m, n: jnp.sum(0.5 * c * (p - m) ** 2 + n * p),
        params,
        curvature,
        minimum,
        noise,
    )
    return sum(jax.tree.leaves(terms), jnp.zeros([]))


def _gradient(params: Tree, curvature: Tree, minimum: Tree, noise: Tree) -> Tree:
    return jax.tree.map(
        lambda p, c, m, n: c * (p - m) + n, params, curvature, minimum, noise
    )


@jax.jit
def train(
    opt: Optimizer,
    params: Tree,
    curvature: Tree,
    minimum: Tree,
    noise: Tree,
    num_steps: int = STEPS,
) -> tuple[Any, Tree, Tree]:
    """Return the last state; parameters, and those to evaluate, after each step."""
    keys = jax.random.split(jax.random.PRNGKey(0), STEPS)

    def step(state: Any, now: tuple[Tree, jax.Array]) -> tuple[Any, Any]:
        noise_now, key = now
        params = opt.get_params(state)
        grad = _gradient(params, curvature, minimum, noise_now)
        extra: dict[str, Any] = {}
        if "loss_fn" in opt.needs:
            extra = {"loss_fn": lambda p: loss(p, curvature, minimum, noise_now)}
        value = loss(params, curvature, minimum, noise_now)
        state = opt.update(state, grad, loss=value, key=key, **extra)
        return state, (opt.get_params(state), opt.get_eval_params(state))

    state, curves = jax.lax.scan(
        step, opt.init(params, num_steps=num_steps), (noise, keys)
    )
    return state, *curves


def on_each_array(step: Callable[..., Any]) -> TreeStep:
    """Return a reference that steps one array, made to step all of them alike."""

    def tree_step(
        params: Tree, grads: Tree, states: Any, t: int, h: SimpleNamespace
    ) -> tuple[Tree, Any]:
        stepped = {
            k: step(p, grads[k], states.get(k, {}), t, h) for k, p in params.items()
        }
        return {k: p for k, (p, _) in stepped.items()}, {
            k: s for k, (_, s) in stepped.items()
        }

    return tree_step


def _only_params(params: Tree, state: Any) -> Tree:
    del state
    return params


def train_reference(
    step: TreeStep,
    hparams: SimpleNamespace,
    problem: Problem,
    schedule: Callable[[int], float] | None = None,
    read: Callable[[Tree, Any], Tree] = _only_params,
) -> Tree:
    """Return what `read` finds in the parameters and the state, after each step.

    Under a schedule the reference finds its value in `learning_rate`, and that
    of the step after in `next_rate`.
    """
    params, curvature, minimum, noise = jax.tree.map(np.float64, problem)
    state: Any = {}
    seen = []
    for t in range(1, STEPS + 1):
        if schedule is not None:
            rates = {"learning_rate": schedule(t - 1), "next_rate": schedule(t)}
            hparams = SimpleNamespace(**{**vars(hparams), **rates})
        noise_now = {k: n[t - 1] for k, n in noise.items()}
        grads = _gradient(params, curvature, minimum, noise_now)
        params, state = step(params, grads, state, t, hparams)
        seen.append(read(params, state))
    return {k: np.stack([now[k] for now in seen]) for k in params}


def largest_error(got: Tree, want: Tree, initial: Tree) -> float:
    """As a share of how far each array has moved at most."""
    return max(
        float(np.max(np.abs(got[k] - want[k])) / np.max(np.abs(want[k] - initial[k])))
        for k in want
    )
