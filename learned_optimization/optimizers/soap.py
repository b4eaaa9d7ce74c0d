"""SOAP: Adam in the eigenbasis of Shampoo's statistics."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from learned_optimization.errors import check_at_least
from learned_optimization.optimizers.base import (
    Gradient,
    Params,
    Scalar,
    hparam,
    optimizer,
    static_field,
)
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

# Eigenvalues below this share of the largest are those of a zero, rounded.
_RANK_TOLERANCE = 1e-5


@flax.struct.dataclass
class SOAPState:
    """State of SOAP; all but `count` have one item per parameter.

    Attributes:
      count: int32 scalar, the number of updates done.
      means: averages of the gradient, shaped like the parameter.
      squares: averages of the squared gradient in the eigenbasis; `[1, b_1, ..]`.
      statistics: for each axis that has a basis, float32 `[1, b, b]`.
      bases: the same shapes, orthogonal, an eigenvector a row, the one of the
        largest eigenvalue first.
    """

    count: jax.Array
    means: list[jax.Array]
    squares: list[jax.Array]
    statistics: list[tuple[jax.Array, ...]]
    bases: list[tuple[jax.Array, ...]]


@optimizer
class SOAP(OptaxOptimizer):
    """SOAP, Adam in Shampoo's eigenbasis (Vyas et al. 2024, arXiv:2409.11321).

    A matrix `G` of gradients is seen as `Q_L G Q_R^T`, where the rows of the two
    `Q` are the eigenvectors of averages of `G G^T` and `G^T G`, and stepped by
    Adam there. Each basis is brought up to date every `precondition_frequency`
    steps by one power iteration and a QR decomposition, and put in order of
    falling eigenvalues first.

    Tensors of more than two axes are matrices from all but their last axis, as
    far as merging them stays within `max_preconditioner_dim`, to the last: the
    kernel of a convolution `[h, w, in, out]` is `[h * w * in, out]`. Scalars and
    vectors are stepped by Adam, and so is a matrix one side of which is longer
    than `max_preconditioner_dim`, along that side.

    As in the authors' program, the first gradient only makes the first bases:
    matrices move from the second step on. Adam in the eigenbasis of that one
    gradient would make its rounding errors as large as everything else.

    Attributes:
      learning_rate: a number or a schedule.
      beta1: decay of the average of gradients.
      beta2: decay of the average of squared gradients.
      shampoo_beta: decay of the averages that the bases are eigenvectors of.
      epsilon: added to the root of the squared gradients.
      weight_decay: multiple of the parameters added to the step (the paper
        trains with 1e-4).
      precondition_frequency: steps from one refreshed basis to the next.
      max_preconditioner_dim: a longer axis has no basis.
    """

    learning_rate: ScalarOrSchedule = hparam(default=0.01, short="lr")
    beta1: Scalar = hparam(default=0.95, short="b1")
    beta2: Scalar = hparam(default=0.95, short="b2")
    shampoo_beta: Scalar = hparam(default=0.95, short="sb")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    weight_decay: Scalar = hparam(default=0.0, short="wd")
    precondition_frequency: Scalar = hparam(default=10, short="every")
    max_preconditioner_dim: int = static_field(default=10_000, short="maxdim")

    def __post_init__(self) -> None:
        """Refuse settings that make no program.

        Raises:
          LoptError: naming the setting.
        """
        check_at_least("SOAP.max_preconditioner_dim", self.max_preconditioner_dim, 0)

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of these hyper-parameters."""
        # optax's types know no state that is a dataclass.
        direction = optax.GradientTransformation(self._init, self._update)  # pyright: ignore[reportArgumentType]
        return optax.chain(direction, optax.scale_by_learning_rate(self.learning_rate))

    def _blocks(self, array: jax.Array) -> Blocks:
        """Return the parameter as one block, with bases for axes of matrices alone."""
        limit = self.max_preconditioner_dim
        *inputs, output = jnp.shape(array) or (1,)
        shape = (*merge_small_axes(inputs, limit), output)
        shape = tuple(size for size in shape if size > 1)
        return Blocks(shape, limit, limit if len(shape) > 1 else 0)

    def _init(self, params: Params) -> SOAPState:
        leaves = jax.tree.leaves(params)
        squares, bases = [], []
        for leaf in leaves:
            blocks = self._blocks(leaf)
            squares.append(jnp.zeros((1, *blocks.sizes), leaf.dtype))
            bases.append(
                tuple(
                    jnp.broadcast_to(
                        jnp.eye(blocks.sizes[axis], dtype=leaf.dtype),
                        blocks.square(axis),
                    )
                    for axis in blocks.axes
                )
            )
        return SOAPState(
            count=jnp.zeros([], jnp.int32),
            means=[jnp.zeros_like(leaf) for leaf in leaves],
            squares=squares,
            statistics=jax.tree.map(jnp.zeros_like, bases),
            bases=bases,
        )

    def _update(
        self, updates: Gradient, state: Any, params: Params | None = None
    ) -> tuple[Gradient, SOAPState]:
        grads, structure = jax.tree.flatten(updates)
        steps, means, squares, statistics = [], [], [], []
        for i, (grad, param) in enumerate(
            zip(grads, jax.tree.leaves(params), strict=True)
        ):
            blocks, bases = self._blocks(grad), state.bases[i]
            old = state.means[i], state.squares[i]
            step, new = self._adam(grad, blocks, bases, old, state.count)
            step = step + self.weight_decay * param
            if bases:
                waits = state.count == 0
                step = jnp.where(waits, 0.0, step)
                new = tuple(
                    jnp.where(waits, o, n) for o, n in zip(old, new, strict=True)
                )
            steps.append(step)
            means.append(new[0])
            squares.append(new[1])
            cut = blocks.cut(grad)
            statistics.append(
                tuple(
                    _average(matrix, gram(cut, axis), self.shampoo_beta)
                    for axis, matrix in zip(
                        blocks.axes, state.statistics[i], strict=True
                    )
                )
            )
        bases, squares = self._new_bases(state, statistics, squares)
        new_state = SOAPState(state.count + 1, means, squares, statistics, bases)
        return jax.tree.unflatten(structure, steps), new_state

    def _adam(
        self,
        grad: jax.Array,
        blocks: Blocks,
        bases: tuple[jax.Array, ...],
        old: tuple[jax.Array, jax.Array],
        count: jax.Array,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Return Adam's direction in the eigenbasis, and its two averages."""
        # A matrix has made one step less; at its first none would divide by zero.
        steps = jnp.maximum(count, 1) if bases else count + 1

        def turned(array: jax.Array) -> jax.Array:
            array = blocks.cut(array)
            for axis, basis in zip(blocks.axes, bases, strict=True):
                array = multiply(array, basis, axis)
            return array

        mean = _average(old[0], grad, self.beta1)
        square = _average(old[1], turned(grad) ** 2, self.beta2)
        unbiased = turned(mean) / (1.0 - self.beta1**steps)
        root = jnp.sqrt(square / (1.0 - self.beta2**steps))
        step = unbiased / (root + self.epsilon)
        for axis, basis in zip(blocks.axes, bases, strict=True):
            step = multiply(step, basis.mT, axis)
        return blocks.join(step).reshape(grad.shape), (mean, square)

    def _new_bases(
        self,
        state: SOAPState,
        statistics: list[tuple[jax.Array, ...]],
        squares: list[jax.Array],
    ) -> tuple[list[tuple[jax.Array, ...]], list[jax.Array]]:
        """Return bases, and squared gradients in the order of their eigenvectors."""
        if not any(statistics):
            return state.bases, squares
        bases = compute_if(state.count == 0, _eigenbases, statistics, state.bases)
        every = jnp.maximum(jnp.asarray(self.precondition_frequency, jnp.int32), 1)
        axes = [self._axes_of(square) for square in squares]
        return compute_if(
            (state.count > 0) & (state.count % every == 0),
            lambda operand: _refreshed(*operand, axes),
            (statistics, bases, squares),
            (bases, squares),
        )

    def _axes_of(self, square: jax.Array) -> tuple[int, ...]:
        return self._blocks(square[0]).axes


def _average(old: jax.Array, new: jax.Array, decay: Scalar) -> jax.Array:
    return decay * old + (1.0 - decay) * new


# One matrix after the other. jaxlib (0.10 at least) spreads the matrices of one
# LAPACK call over the threads that programs run on, and waits for them on such a
# thread itself: as many calls at once as there are threads wait forever.
@jax.custom_batching.sequential_vmap
def _eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@jax.custom_batching.sequential_vmap
def _orthogonalized(matrix: jax.Array) -> jax.Array:
    return jnp.linalg.qr(matrix)[0]


def _eigenbases(
    statistics: list[tuple[jax.Array, ...]],
) -> list[tuple[jax.Array, ...]]:
    return jax.tree.map(_eigenbasis, statistics)


def _eigenbasis(matrix: jax.Array) -> jax.Array:
    """Return eigenvectors as rows, the one of the largest eigenvalue first."""
    # The squares of entries far from one would be zero or infinite.
    scale = jnp.max(jnp.abs(matrix), axis=(-2, -1), keepdims=True)
    usable = jnp.isfinite(scale) & (scale > 0.0)
    matrix = jnp.where(usable, matrix / jnp.where(usable, scale, 1.0), 0.0)
    values, vectors = _eigh(matrix)
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    # Of eigenvectors to the eigenvalue zero, which one gradient leaves many of,
    # rounding decides. The reflections of a QR decomposition complete the others
    # to a basis that hardly depends on it.
    known = values > _RANK_TOLERANCE * values[..., :1]
    return _orthogonalized(jnp.where(known[..., None, :], vectors, 0.0)).mT


def _refreshed(
    statistics: list[tuple[jax.Array, ...]],
    bases: list[tuple[jax.Array, ...]],
    squares: list[jax.Array],
    axes: list[tuple[int, ...]],
) -> tuple[list[tuple[jax.Array, ...]], list[jax.Array]]:
    """Return one power iteration of every basis."""
    new_bases, new_squares = [], []
    for i, square in enumerate(squares):
        refreshed = []
        for axis, matrix, basis in zip(axes[i], statistics[i], bases[i], strict=True):
            images = jnp.matmul(basis, matrix, precision=jax.lax.Precision.HIGHEST)
            values = jnp.sum(images * basis, axis=-1)
            order = jnp.argsort(values, axis=-1, descending=True)
            images = jnp.take_along_axis(images, order[..., None], axis=-2)
            refreshed.append(_orthogonalized(images.mT).mT)
            square = jnp.take(square, order[0], axis=axis + 1)
        new_bases.append(tuple(refreshed))
        new_squares.append(square)
    return new_bases, new_squares
