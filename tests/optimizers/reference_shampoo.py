"""Shampoo in float64 numpy, block by block and axis by axis, knowing nothing of jax.

Anil et al. 2020, arXiv:2002.09018, with the choices of the published baselines: one
parameter at a time, `Shampoo(hparams, param).step(param, grad)`. The inverse root is
the caller's choice: exact, or float32's coupled Newton iteration, as published.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Root = Callable[[Array, int, float], Array]


def exact_root(matrix: Array, p: int, epsilon: float) -> Array:
    """`(A + epsilon max(largest eigenvalue, 1e-6) I)^(-1/p)` in float64."""
    values, vectors = np.linalg.eigh(np.float64(matrix))
    values = np.maximum(values, 0) + epsilon * max(values[-1], 1e-6)
    return (vectors * values ** (-1 / p)) @ vectors.T


def newton_root(matrix: Array, p: int, epsilon: float) -> Array | None:
    """Return the same in float32, by the coupled iteration (Guo & Higham 2006).

    None where the residual stays at 0.1 or above. The iteration ends when the largest
    residual is below 1e-6, or would become more than 1.2 times as large.
    """
    a = np.asarray(matrix, np.float32)
    identity = np.eye(len(a), dtype=np.float32)
    ridge = np.float32(epsilon) * np.maximum(_largest(a), np.float32(1e-6))
    damped = a + ridge * identity
    alpha = np.float32(-1 / p)
    z = np.float32((1 + p) / (2 * np.linalg.norm(damped)))
    m, h = damped * z, identity * z ** np.float32(1 / p)
    error, ratio = np.max(np.abs(m - identity)), 1.0
    old = h
    for _ in range(100):
        if not (error > 1e-6 and ratio < 1.2):
            break
        change = (1 - alpha) * identity + alpha * m
        m, old = np.linalg.matrix_power(change, p) @ m, h
        h = h @ change
        new = np.max(np.abs(m - identity))
        error, ratio = new, new / error
    root = h if ratio < 1.2 else old
    return np.asarray(root, np.float64) if error < 0.1 else None


def _largest(matrix: Array) -> Any:
    """Return the largest eigenvalue by at most 100 steps of power iteration."""
    v = np.random.RandomState(1729).uniform(-1, 1, len(matrix)).astype(np.float32)
    value, last = np.float32(0.0), np.float32(np.inf)
    for _ in range(100):
        if abs(value - last) <= 1e-6:
            break
        v = v / np.linalg.norm(v)
        image = matrix @ v
        last, value = value, v @ image
        v = image
    return value


def merged_shape(shape: tuple[int, ...], limit: int = 4096) -> tuple[int, ...]:
    """Merge axes, from the first on, while their product is at most the limit."""
    if not shape:
        return ()
    merged, product = [], 1
    for size in shape:
        if product * size <= limit:
            product *= size
            continue
        if product > 1:
            merged.append(product)
        product = size
    if product > 1 or not merged:
        merged.append(product)
    return tuple(merged)


def _weight(decay: float) -> float:
    return 1.0 if decay == 1.0 else 1.0 - decay


class Shampoo:
    """One parameter's optimizer."""

    def __init__(self, h: Any, param: Array, root: Root = exact_root):
        self.h, self.root, self.t = h, root, 0
        shape = np.shape(param)
        skipped = any(n > h.skip_preconditioning_dim_size_gt for n in shape)
        merge = h.best_effort_shape_interpretation
        self.shape = merged_shape(shape) if merge else shape
        self.axes = [] if skipped else list(range(len(self.shape)))
        cuts = [
            [slice(i, min(i + h.block_size, n)) for i in range(0, n, h.block_size)]
            for n in self.shape
        ]
        self.blocks = list(itertools.product(*cuts)) if self.axes else []
        sizes = {
            (b, axis): where[axis].stop - where[axis].start
            for b, where in enumerate(self.blocks)
            for axis in self.axes
        }
        self.statistics = {k: h.matrix_epsilon * np.eye(n) for k, n in sizes.items()}
        self.roots = {k: np.eye(n) for k, n in sizes.items()}
        self.squares = np.zeros(shape)
        self.velocities = [np.zeros(shape), np.zeros(shape)]

    def step(self, param: Array, grad: Array, rate: float) -> Array:
        """Return the parameter after one more step."""
        h = self.h
        param, grad = np.asarray(param, np.float64), np.asarray(grad, np.float64)
        graft = self._graft(grad)
        direction = graft
        if self.axes:
            direction = self._precondition(grad.reshape(self.shape)).reshape(grad.shape)
            length = np.linalg.norm(graft) / (np.linalg.norm(direction) + 1e-16)
            direction = direction * length
        steps = []
        for i, one in enumerate((graft, direction)):
            one = one + h.weight_decay * param
            if h.moving_average_for_momentum:
                one = (1 - h.beta1) * one
            self.velocities[i] = h.beta1 * self.velocities[i] + one
            velocity = self.velocities[i]
            steps.append(one + h.beta1 * velocity if h.nesterov else velocity)
        started = self.t >= h.start_preconditioning_step
        self.t += 1
        return param - rate * steps[started]

    def _graft(self, g: Array) -> Array:
        h = self.h
        if h.graft_type == "SGD":
            return g
        if h.graft_type == "SQRT_N":
            return np.sign(g)
        if h.graft_type.endswith("NORMALIZED"):
            g = g / (np.linalg.norm(g) + 1e-16)
        if h.graft_type.startswith("ADAGRAD"):
            self.squares = self.squares + g * g
        else:
            self.squares = h.beta2 * self.squares + _weight(h.beta2) * g * g
        root = np.sqrt(self.squares) + h.diagonal_epsilon
        return np.divide(g, root, out=np.zeros_like(g), where=root > 0)

    def _precondition(self, tensor: Array) -> Array:
        h, direction = self.h, np.array(tensor)
        power = h.exponent_override or 2 * len(self.axes)
        for b, where in enumerate(self.blocks):
            block = out = tensor[where]
            for axis in self.axes:
                flat = np.moveaxis(block, axis, 0).reshape(block.shape[axis], -1)
                if self.t % h.statistics_compute_steps == 0:
                    old = h.beta2 * self.statistics[b, axis]
                    self.statistics[b, axis] = old + _weight(h.beta2) * flat @ flat.T
                if self.t % h.preconditioning_compute_steps == 0:
                    new = self.root(self.statistics[b, axis], power, h.matrix_epsilon)
                    if new is not None:
                        self.roots[b, axis] = new
                turned = np.tensordot(self.roots[b, axis], out, (1, axis))
                out = np.moveaxis(turned, 0, axis)
            direction[where] = out
        return direction


def error(got: Array, want: Array, start: Array) -> float:
    """Return the largest difference, as a share of how far the array moves."""
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want - start)))
