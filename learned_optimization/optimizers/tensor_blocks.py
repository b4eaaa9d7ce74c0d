"""Tensors cut into blocks, each axis of which may be multiplied by a matrix.

Shared by the optimizers after Shampoo (Gupta, Koren & Singer 2018,
arXiv:1802.09568; cut into blocks by Anil et al. 2020, arXiv:2002.09018).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

_EXACT = jax.lax.Precision.HIGHEST


def merge_small_axes(shape: Sequence[int], limit: int) -> tuple[int, ...]:
    """Return the shape without axes of size 1, with small neighbouring axes merged.

    From the first axis on, each is merged with the one before it while their
    product is at most `limit`: `(3, 3, 2, 40)` becomes `(18, 40)` for 128.
    """
    merged: list[int] = []
    for size in shape:
        if merged and merged[-1] * size <= limit:
            merged[-1] *= size
        elif size != 1:
            merged.append(size)
    return tuple(merged)


@dataclasses.dataclass(frozen=True)
class Blocks:
    """How a tensor is cut: `[B, b_1, .., b_r]` in place of `[s_1, .., s_r]`.

    An axis longer than `block_size` is cut into blocks of that size; the last is
    filled up with zeros, which add nothing to sums of products over a block. An axis
    longer than `max_dim` stays whole and has no matrix.

    Attributes:
      shape: the shape of the tensor, `(s_1, .., s_r)`.
      block_size: the largest size of a block.
      max_dim: the largest size of an axis that has matrices.
    """

    shape: tuple[int, ...]
    block_size: int
    max_dim: int

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that have matrices, counted from 0."""
        return tuple(i for i, size in enumerate(self.shape) if size <= self.max_dim)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of a block along each axis, `(b_1, .., b_r)`."""
        return tuple(
            min(size, self.block_size) if size <= self.max_dim else size
            for size in self.shape
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of blocks along each axis; `B` is their product."""
        return tuple(-(-s // b) for s, b in zip(self.shape, self.sizes, strict=True))

    def square(self, axis: int) -> tuple[int, int, int]:
        """Return the shape of the matrices of an axis, `[B, b_axis, b_axis]`."""
        return math.prod(self.counts), self.sizes[axis], self.sizes[axis]

    def cut(self, tensor: jax.Array) -> jax.Array:
        """Return the blocks of a tensor of as many elements."""
        counts, sizes = self.counts, self.sizes
        tensor = tensor.reshape(self.shape)
        missing = [c * b - s for c, b, s in zip(counts, sizes, self.shape, strict=True)]
        if any(missing):
            tensor = jnp.pad(tensor, [(0, m) for m in missing])
        pairs = [n for pair in zip(counts, sizes, strict=True) for n in pair]
        rank = len(sizes)
        order = (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
        blocks = tensor.reshape(pairs).transpose(order)
        return blocks.reshape(math.prod(counts), *sizes)

    def join(self, blocks: jax.Array) -> jax.Array:
        """Return the tensor `[s_1, .., s_r]` that was cut."""
        counts, sizes = self.counts, self.sizes
        rank = len(sizes)
        order = [i + offset for i in range(rank) for offset in (0, rank)]
        tensor = blocks.reshape(*counts, *sizes).transpose(order)
        tensor = tensor.reshape([c * b for c, b in zip(counts, sizes, strict=True)])
        return tensor[tuple(slice(s) for s in self.shape)]


def gram(blocks: jax.Array, axis: int) -> jax.Array:
    """Return the inner products of the slices along an axis, `[B, b_axis, b_axis]`.

    `G @ G.T` for axis 0 of a block that is a matrix, `G.T @ G` for axis 1.
    """
    rows = jnp.moveaxis(blocks, axis + 1, 1)
    rows = rows.reshape(*rows.shape[:2], -1)
    return jnp.matmul(rows, rows.mT, precision=_EXACT)


def multiply(blocks: jax.Array, matrices: jax.Array, axis: int) -> jax.Array:
    """Return each block with its matrix `[b_axis, b_axis]` applied along an axis.

    `M @ G` for axis 0 of a block that is a matrix, `G @ M.T` for axis 1.
    """
    rows = jnp.moveaxis(blocks, axis + 1, 1)
    flat = rows.reshape(*rows.shape[:2], -1)
    product = jnp.matmul(matrices, flat, precision=_EXACT)
    return jnp.moveaxis(product.reshape(rows.shape), 1, axis + 1)
