"""Parameters as PyTorch lays them out: a list of tensors, outputs first.

Optimizers that look at shapes, as Muon and Shampoo do, mean those of `torch.nn`: a
matrix `[out, in]`, and the kernel of a convolution `[out, in, height, width]`. Kernels
here have their outputs last, and those of attention have an axis of heads, which is
part of one of the two. The compiled program transposes them, where it costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

_KERNEL = "kernel"
# The one kernel of flax's attention whose heads are inputs.
_OUT_OF_HEADS = "out"


@dataclass(frozen=True)
class TorchArrangement:
    """How the parameters of a task become tensors.

    Attributes:
      names: of each tensor its path in the pytree, as `Dense_0/kernel`.
      shapes: of each parameter, as the task has it.
      structure: of the pytree.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    structure: Any

    @classmethod
    def of(cls, params: Any) -> TorchArrangement:
        """Return the arrangement of a pytree of arrays, or of their shapes."""
        leaves, structure = jax.tree_util.tree_flatten_with_path(params)
        return cls(
            names=tuple(
                jax.tree_util.keystr(path, simple=True, separator="/")
                for path, _ in leaves
            ),
            shapes=tuple(tuple(jnp.shape(leaf)) for _, leaf in leaves),
            structure=structure,
        )

    def to_arrays(self, params: Any) -> list[jax.Array]:
        """Return the arrays that become tensors; traceable."""
        leaves = jax.tree.leaves(params)
        return [
            _outputs_first(name, leaf)
            for name, leaf in zip(self.names, leaves, strict=True)
        ]

    def to_params(self, arrays: Sequence[jax.Array]) -> Any:
        """Return the pytree that `to_arrays` was given; traceable."""
        leaves = [
            _outputs_last(name, array, shape)
            for name, array, shape in zip(self.names, arrays, self.shapes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)


def _is_kernel(name: str, num_axes: int) -> bool:
    return name.rpartition("/")[2].endswith(_KERNEL) and num_axes >= 2


def _outputs_first(name: str, leaf: jax.Array) -> jax.Array:
    if not _is_kernel(name, leaf.ndim):
        return jnp.asarray(leaf)
    if leaf.ndim == 3:
        leaf = leaf.reshape(_two_axes(name, leaf.shape))
    # Inputs come before the axes of a window.
    return jnp.moveaxis(leaf, (-1, -2), (0, 1)) if leaf.ndim > 2 else leaf.T


def _outputs_last(name: str, array: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if not _is_kernel(name, len(shape)):
        return array
    array = jnp.moveaxis(array, (0, 1), (-1, -2)) if array.ndim > 2 else array.T
    return array.reshape(shape)


def _two_axes(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return inputs and outputs of a kernel with an axis of heads."""
    parent = name.split("/")[-2] if "/" in name else ""
    num_inputs_axes = 2 if parent == _OUT_OF_HEADS else 1
    return math.prod(shape[:num_inputs_axes]), math.prod(shape[num_inputs_axes:])
