"""Shampoo: a matrix preconditioner for every axis of every parameter."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp
import optax

from learned_optimization.errors import UnknownNameError, check_at_least
from learned_optimization.optimizers.base import (
    Gradient,
    Params,
    Scalar,
    hparam,
    optimizer,
    static_field,
)
from learned_optimization.optimizers.matrix_roots import inverse_pth_root
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer,
    ScalarOrSchedule,
)
from learned_optimization.optimizers.periodic import compute_if
from learned_optimization.optimizers.tensor_blocks import (
    Blocks,
    gram,
    merge_small_axes,
    multiply,
)

GRAFT_TYPES = (
    "SGD",
    "ADAGRAD",
    "RMSPROP",
    "RMSPROP_NORMALIZED",
    "SQRT_N",
    "ADAGRAD_NORMALIZED",
)

# Neighbouring axes are merged up to this many elements.
_MERGED = 4096

# Used in place of the largest eigenvalue of a matrix where that is smaller.
_LEAST_EIGENVALUE = 1e-6

# Added to norms that are divided by.
_TINY = 1e-16

# One `[B, b, b]` array for each axis that has matrices, for each parameter.
Matrices = list[tuple[jax.Array, ...]]


@flax.struct.dataclass
class ShampooState:
    """State of Shampoo.

    Attributes:
      count: int32 scalar, the number of updates done.
      statistics: for each parameter and axis, float32 `[B, b, b]`.
      roots: their inverse roots, identities before the first are computed.
      squares: the graft's squared gradients, one array per parameter.
      graft_momentum: momentum of the graft's steps, one array per parameter.
      momentum: momentum of the preconditioned steps, one array per parameter.
    """

    count: jax.Array
    statistics: Matrices
    roots: Matrices
    squares: list[jax.Array]
    graft_momentum: list[jax.Array]
    momentum: list[jax.Array]


@optimizer
class Shampoo(OptaxOptimizer):
    """Shampoo (Gupta et al. 2018, arXiv:1802.09568; Anil et al. 2020, 2002.09018).

    The algorithm of the published baselines. A parameter loses its axes of size 1,
    neighbouring axes are merged, from the first on, while their product is at most
    4,096, and what is left is cut into blocks of at most `block_size` along each axis.
    Each axis of a block has a matrix: the average of the gradient's inner products
    over all other axes, begun with `matrix_epsilon` times the identity. A block's
    gradient is multiplied along each of `k` such axes by the inverse `2 k`-th root of
    its matrix: a matrix `G` becomes `L^(-1/4) G R^(-1/4)`, a vector's preconditioner
    is that of full-matrix AdaGrad. Scalars, and parameters with an axis that is too
    long, have none.

    The step keeps that direction, and for each parameter takes its length from
    another optimizer's, the graft; without a preconditioner it is the graft's. The
    decayed weights are added to both, and each has a momentum of its own from the
    first step on. Before step `start_preconditioning_step`, counted from 0, the
    parameters move by the graft's, from then on by the other.

    Inverse roots are exact to float32's rounding. The published program's are up to
    17% off where a matrix has a low rank: see the page of differences.

    Attributes:
      learning_rate: a number or a schedule.
      block_size: the largest size of a block along an axis.
      beta1: momentum; the velocity is a sum, `v <- beta1 v + step`.
      beta2: decay of the averages of statistics and of RMSPROP's squares; 1 for
        sums instead of averages.
      diagonal_epsilon: added to the root of the graft's squares.
      matrix_epsilon: share of a matrix's largest eigenvalue, or of 1e-6 if that is
        more, added to all.
      weight_decay: multiple of the parameters added to the step.
      start_preconditioning_step: the first preconditioned step.
      preconditioning_compute_steps: steps from one inverse root to the next. With 1,
        the published value, a step of a small network (64x32 and 32x10) takes one
        core 100 ms, with 10 11 ms; Adam's takes 0.04 ms.
      statistics_compute_steps: steps from one change of the statistics to the next.
      best_effort_shape_interpretation: whether axes are merged.
      graft_type: one of `GRAFT_TYPES`. The step `g` for SGD, `sign(g)` for
        SQRT_N, `g / (sqrt(squares) + diagonal_epsilon)` for the others with a sum of
        squares (ADAGRAD) or an average (RMSPROP), of the gradient divided by its norm
        where it is `_NORMALIZED`.
      nesterov: whether to step by `step + beta1 v` instead of by `v`.
      exponent_override: which inverse root to take instead of the `2 k`-th, if
        not 0.
      moving_average_for_momentum: whether the velocity is an average instead, `v <-
        beta1 v + (1 - beta1) step`.
      skip_preconditioning_dim_size_gt: a parameter with a longer axis has no
        preconditioner.
    """

    not_supported: ClassVar = {
        "inverse_failure_threshold": "inverse roots are exact, none fails",
        "clip_by_scaled_gradient_norm": "no published set clips",
        "best_effort_memory_usage_reduction": "matrices are kept in float32",
        "precision": "products of matrices have the highest precision always",
        "max_preconditioner_dim": "it is called skip_preconditioning_dim_size_gt",
    }

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    block_size: int = static_field(default=128, short="block")
    beta1: Scalar = hparam(default=0.9, short="b1")
    beta2: Scalar = hparam(default=0.999, short="b2")
    diagonal_epsilon: Scalar = hparam(default=1e-10, short="diageps")
    matrix_epsilon: Scalar = hparam(default=1e-6, short="mateps")
    weight_decay: Scalar = hparam(default=0.0, short="wd")
    start_preconditioning_step: Scalar = hparam(default=5, short="start")
    preconditioning_compute_steps: Scalar = hparam(default=1, short="every")
    statistics_compute_steps: Scalar = hparam(default=1, short="stats")
    best_effort_shape_interpretation: bool = static_field(default=True, short="merge")
    graft_type: str = static_field(default="SGD", short="graft")
    nesterov: bool = static_field(default=True, short="nesterov")
    exponent_override: int = static_field(default=0, short="exp")
    moving_average_for_momentum: bool = static_field(default=False, short="average")
    skip_preconditioning_dim_size_gt: int = static_field(default=4096, short="maxdim")

    def __post_init__(self) -> None:
        """Refuse settings that make no program.

        Raises:
          LoptError: naming the setting, and the nearest allowed ones.
        """
        if self.graft_type not in GRAFT_TYPES:
            raise UnknownNameError("graft type", str(self.graft_type), GRAFT_TYPES)
        check_at_least("Shampoo.block_size", self.block_size, 1)
        check_at_least("Shampoo.exponent_override", self.exponent_override, 0)
        check_at_least(
            "Shampoo.skip_preconditioning_dim_size_gt",
            self.skip_preconditioning_dim_size_gt,
            0,
        )

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        # optax's types know no state that is a dataclass.
        direction = optax.GradientTransformation(self._init, self._update)  # pyright: ignore[reportArgumentType]
        return optax.chain(direction, optax.scale_by_learning_rate(self.learning_rate))

    def _blocks(self, array: jax.Array) -> Blocks:
        """Return how a parameter is cut; without axes where it has no matrices."""
        shape = jnp.shape(array)
        limit = self.skip_preconditioning_dim_size_gt
        skipped = any(size > limit for size in shape)
        if self.best_effort_shape_interpretation and shape:
            shape = merge_small_axes(shape, _MERGED) or (1,)
        return Blocks(shape, self.block_size, -1 if skipped else max(shape, default=0))

    def _init(self, params: Params) -> ShampooState:
        leaves = jax.tree.leaves(params)

        def matrices(scale: Scalar) -> Matrices:
            return [
                tuple(
                    jnp.broadcast_to(
                        scale * jnp.eye(blocks.sizes[axis], dtype=leaf.dtype),
                        blocks.square(axis),
                    )
                    for axis in blocks.axes
                )
                for leaf in leaves
                for blocks in [self._blocks(leaf)]
            ]

        def zeros() -> list[jax.Array]:
            return [jnp.zeros_like(leaf) for leaf in leaves]

        return ShampooState(
            count=jnp.zeros([], jnp.int32),
            statistics=matrices(self.matrix_epsilon),
            roots=matrices(1.0),
            squares=zeros(),
            graft_momentum=zeros(),
            momentum=zeros(),
        )

    def _update(
        self, updates: Gradient, state: Any, params: Params | None = None
    ) -> tuple[Gradient, ShampooState]:
        grads, structure = jax.tree.flatten(updates)
        statistics = compute_if(
            _is_due(state.count, self.statistics_compute_steps),
            self._new_statistics,
            (grads, state.statistics, self.beta2),
            state.statistics,
        )
        roots = compute_if(
            _is_due(state.count, self.preconditioning_compute_steps),
            self._new_roots,
            (statistics, state.roots, self.matrix_epsilon),
            state.roots,
        )
        started = state.count >= self.start_preconditioning_step
        steps, squares, graft_momentum, momentum = [], [], [], []
        for i, (grad, param) in enumerate(
            zip(grads, jax.tree.leaves(params), strict=True)
        ):
            graft, new_squares = self._graft(grad, state.squares[i])
            direction = graft
            if roots[i]:
                direction = _with_norm_of(graft, self._precondition(grad, roots[i]))
            decayed = self.weight_decay * param
            graft_step, graft_velocity = self._momentum(
                graft + decayed, state.graft_momentum[i]
            )
            step, velocity = self._momentum(direction + decayed, state.momentum[i])
            steps.append(jnp.where(started, step, graft_step))
            squares.append(new_squares)
            graft_momentum.append(graft_velocity)
            momentum.append(velocity)
        new_state = ShampooState(
            state.count + 1, statistics, roots, squares, graft_momentum, momentum
        )
        return jax.tree.unflatten(structure, steps), new_state

    def _momentum(
        self, step: jax.Array, velocity: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Return the step with momentum, and the new velocity."""
        if self.moving_average_for_momentum:
            step = (1.0 - self.beta1) * step
        velocity = self.beta1 * velocity + step
        return (step + self.beta1 * velocity if self.nesterov else velocity), velocity

    def _new_statistics(self, operand: tuple[Any, Matrices, Scalar]) -> Matrices:
        grads, old, beta2 = operand
        new = []
        for grad, matrices in zip(grads, old, strict=True):
            blocks = self._blocks(grad)
            cut = blocks.cut(grad)
            new.append(
                tuple(
                    decay * matrix + _new_weight(decay) * gram(cut, axis)
                    for axis, matrix in zip(blocks.axes, matrices, strict=True)
                    # Where jax computes in float64, the number alone would be that.
                    for decay in [jnp.asarray(beta2, matrix.dtype)]
                )
            )
        return new

    def _new_roots(self, operand: tuple[Matrices, Matrices, Scalar]) -> Matrices:
        statistics, old, matrix_epsilon = operand

        def root(matrix: jax.Array, before: jax.Array, num_axes: int) -> jax.Array:
            power = self.exponent_override or 2 * num_axes
            new = inverse_pth_root(matrix, power, matrix_epsilon, _LEAST_EIGENVALUE)
            usable = jnp.all(jnp.isfinite(new), axis=(-2, -1), keepdims=True)
            return jnp.where(usable, new, before)

        return [
            tuple(
                root(matrix, before, len(matrices))
                for matrix, before in zip(matrices, roots, strict=True)
            )
            for matrices, roots in zip(statistics, old, strict=True)
        ]

    def _precondition(self, grad: jax.Array, roots: tuple[jax.Array, ...]) -> jax.Array:
        blocks = self._blocks(grad)
        cut = blocks.cut(grad)
        for axis, matrices in zip(blocks.axes, roots, strict=True):
            cut = multiply(cut, matrices, axis)
        return blocks.join(cut).reshape(grad.shape)

    def _graft(
        self, grad: jax.Array, squares: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Return the graft's step, and its squared gradients."""
        kind = self.graft_type.removesuffix("_NORMALIZED")
        if kind == "SGD":
            return grad, squares
        if kind == "SQRT_N":
            return jnp.sign(grad), squares
        if kind != self.graft_type:
            grad = grad / (jnp.linalg.norm(grad) + _TINY)
        sums = kind == "ADAGRAD"
        decay = 1.0 if sums else self.beta2
        weight = 1.0 if sums else _new_weight(self.beta2)
        squares = decay * squares + weight * grad * grad
        # Where epsilon is zero, an entry that never had a gradient makes no step.
        root = jnp.sqrt(squares) + self.diagonal_epsilon
        return grad / jnp.where(root == 0.0, 1.0, root), squares


def _is_due(count: jax.Array, every: Scalar) -> jax.Array:
    return count % jnp.maximum(jnp.asarray(every, jnp.int32), 1) == 0


def _new_weight(beta2: Scalar) -> jax.Array:
    """Return what an average gives its new term; 1 where it is a sum."""
    return jnp.where(jnp.asarray(beta2) == 1.0, 1.0, 1.0 - beta2)


def _with_norm_of(step: jax.Array, direction: jax.Array) -> jax.Array:
    return direction * (jnp.linalg.norm(step) / (jnp.linalg.norm(direction) + _TINY))
