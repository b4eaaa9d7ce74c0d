"""The convolution of the image models, in the form that is fastest where it runs.

`convolve` is a primitive of its own, because the form must be chosen late, when
it is known what is mapped and which backend compiles it:

- Beside others with kernels of their own (`jax.vmap` over weights) it is a matrix
  product over patches on accelerators, and on a CPU one convolution after another:
  XLA would make one convolution of many groups of it, which is slow everywhere.
- On a CPU it is XLA's convolution of the canonical layout, `b01f_01io->b01f`, and
  so are its gradients, with the transpositions that takes written out. XLA itself
  brings convolutions into this layout only outside of loops: inside of a training
  loop JAX's gradients of a convolution take some sixty times as long. Where the
  canonical convolution is slow itself, it is a product over patches again.
- On accelerators it is XLA's convolution, as JAX has it.

One of image, kernel and output is linear in each of the other two, and which one is
asked for is a parameter of the primitive. Every derivative, of any order, forward
or backward, is this primitive again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from learned_optimization.tasks.models.products import product

Role = Literal["image", "kernel", "output"]

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# Numbers a window sees, at least, for the canonical convolution to beat the product
# over patches. On two cores, milliseconds over patches and canonical, forward:
# 3x3 of 3 channels 0.39 and 0.75, of 4 0.17 and 0.38, of 8 0.32 and 0.33, of 16
# 0.25 and 0.21, of 64 73 and 29; 5x5 of 3 channels 2.3 and 1.3.
_MIN_WINDOW = 64


@dataclass(frozen=True)
class Geometry:
    """Everything about a convolution with `SAME` padding but batch and channels.

    Attributes:
      image: height and width of the image.
      size: height and width of the window.
      stride: step of the window along both axes.
    """

    image: tuple[int, int]
    size: int
    stride: int

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        rows, columns = (-(-length // self.stride) for length in self.image)
        return rows, columns

    @property
    def padding(self) -> list[tuple[int, int]]:
        """How much to pad the image before and after, along both axes."""
        return [same_padding(length, self.size, self.stride) for length in self.image]


def convolve(image: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Return a two-dimensional convolution with `SAME` padding.

    Args:
      image: float `[batch, height, width, inputs]`.
      kernel: float `[size, size, inputs, outputs]`.
      stride: step of the window along both axes.

    Returns:
      Float `[batch, ceil(height / stride), ceil(width / stride), outputs]`.
    """
    if kernel.shape[0] == 1:
        return product(image[:, ::stride, ::stride], kernel[0, 0])
    rows, columns = image.shape[1:3]
    geometry = Geometry((rows, columns), kernel.shape[0], stride)
    image, kernel = promote_dtype(image, kernel)
    return _bind("output", geometry, image=image, kernel=kernel)


def over_patches(a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
    """Return the primitive as matrix products over patches.

    Args:
      a: the first of image, kernel and output that is given.
      b: the other one.
      **params: of the primitive.
    """

    def forward(image: jax.Array, kernel: jax.Array) -> jax.Array:
        patches = _patches(image, params["geometry"])
        return product(patches, kernel.reshape(-1, kernel.shape[-1]))

    return _solve(forward, a, b, **params)


def same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Return how much to pad an axis before and after it.

    With an odd number of padded places one more is after it, as in TensorFlow's
    `SAME`.
    """
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def _patches(image: jax.Array, geometry: Geometry) -> jax.Array:
    """Return windows, row by row: `[batch, rows, columns, size**2 * inputs]`."""
    (rows, columns), stride = geometry.output, geometry.stride
    padded = jnp.pad(image, ((0, 0), *geometry.padding, (0, 0)))
    places = [
        padded[:, i : i + stride * (rows - 1) + 1 : stride][
            :, :, j : j + stride * (columns - 1) + 1 : stride
        ]
        for i in range(geometry.size)
        for j in range(geometry.size)
    ]
    return jnp.concatenate(places, axis=-1)


def _by_xla(a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
    stride = (params["geometry"].stride,) * 2

    def forward(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            image, kernel, stride, "SAME", dimension_numbers=_LAYOUT
        )

    return _solve(forward, a, b, **params)


def _solve(
    forward: Callable[[jax.Array, jax.Array], jax.Array],
    a: jax.Array,
    b: jax.Array,
    *,
    wanted: Role,
    geometry: Geometry,
) -> jax.Array:
    """Return what is wanted, from a function that computes the output."""
    if wanted == "output":
        return forward(a, b)
    missing = jax.ShapeDtypeStruct(
        _shape(a, b, wanted=wanted, geometry=geometry), a.dtype
    )
    to_output = partial(forward, a) if wanted == "kernel" else lambda x: forward(x, a)
    return jax.linear_transpose(to_output, missing)(b)[0]


def _canonical(
    a: jax.Array, b: jax.Array, *, wanted: Role, geometry: Geometry
) -> jax.Array:
    size, stride = geometry.size, (geometry.stride,) * 2
    convolution = partial(lax.conv_general_dilated, dimension_numbers=_LAYOUT)
    if wanted == "output":
        return convolution(a, b, stride, geometry.padding)
    # Every axis as long as what the strides of the output span.
    spans = [(rows - 1) * geometry.stride + 1 for rows in geometry.output]
    axes = list(zip(geometry.image, geometry.padding, spans, strict=True))
    if wanted == "image":
        turned = a[::-1, ::-1].swapaxes(2, 3)
        padding = [
            (size - 1 - before, length + before - span)
            for length, (before, _), span in axes
        ]
        return convolution(b, turned, (1, 1), padding, lhs_dilation=stride)
    padding = [
        (before, size - 1 + span - length - before)
        for length, (before, _), span in axes
    ]
    kernel = convolution(
        a.transpose(3, 1, 2, 0),
        b.transpose(1, 2, 0, 3),
        (1, 1),
        padding,
        rhs_dilation=stride,
    )
    return kernel.transpose(1, 2, 0, 3)


def _on_cpu(a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
    fast = a.dtype == jnp.float32 and _is_fast(a, b, **params)
    return (_canonical if fast else over_patches)(a, b, **params)


def _is_fast(a: jax.Array, b: jax.Array, *, wanted: Role, geometry: Geometry) -> bool:
    """Return whether the canonical convolution is."""
    if wanted == "kernel":
        return True
    # XLA swaps the operands where the window is larger than what it slides over,
    # and then takes ten times as long.
    slides_over, channels = (
        (geometry.image, a.shape[-1])
        if wanted == "output"
        else (geometry.output, b.shape[-1])
    )
    window = geometry.size**2
    return (
        window <= slides_over[0] * slides_over[1] and window * channels >= _MIN_WINDOW
    )


def _shape(a: Any, b: Any, *, wanted: Role, geometry: Geometry) -> tuple[int, ...]:
    return {
        "image": (b.shape[0], *geometry.image, a.shape[2]),
        "kernel": (geometry.size, geometry.size, a.shape[-1], b.shape[-1]),
        "output": (a.shape[0], *geometry.output, b.shape[-1]),
    }[wanted]


def _given(wanted: Role) -> tuple[Role, Role]:
    roles: dict[Role, tuple[Role, Role]] = {
        "image": ("kernel", "output"),
        "kernel": ("image", "output"),
        "output": ("image", "kernel"),
    }
    return roles[wanted]


def _bind(wanted: Role, geometry: Geometry, **given: Any) -> jax.Array:
    a, b = (given[role] for role in _given(wanted))
    return convolution_p.bind(a, b, wanted=wanted, geometry=geometry)


def _transpose(
    place: int, cotangent: Any, *operands: Any, wanted: Role, geometry: Geometry
) -> jax.Array:
    missing, known = _given(wanted)[place], _given(wanted)[1 - place]
    given = {wanted: cotangent, known: operands[1 - place]}
    return _bind(missing, geometry, **given)


def _batch(
    operands: Any, axes: Any, *, wanted: Role, geometry: Geometry
) -> tuple[jax.Array, int]:
    given = dict(zip(_given(wanted), operands, strict=True))
    mapped = dict(zip(_given(wanted), axes, strict=True))
    if wanted == "kernel" or mapped["kernel"] is not None:
        params = {"wanted": wanted, "geometry": geometry}
        return lax.platform_dependent(
            *operands,
            cpu=partial(_one_by_one, axes=axes, **params),
            default=jax.vmap(partial(over_patches, **params), in_axes=tuple(axes)),
        ), 0
    # Of one kernel, more images are a larger batch.
    (other,) = given.keys() - {"kernel"}
    images = jnp.moveaxis(given[other], mapped[other], 0)
    given[other] = images.reshape(-1, *images.shape[2:])
    out = _bind(wanted, geometry, **given)
    return out.reshape(*images.shape[:2], *out.shape[1:]), 0


def _one_by_one(*operands: jax.Array, axes: Any, **params: Any) -> jax.Array:
    def one(mapped: tuple[jax.Array, ...]) -> jax.Array:
        rest = iter(mapped)
        own = [
            x if axis is None else next(rest)
            for x, axis in zip(operands, axes, strict=True)
        ]
        return convolution_p.bind(*own, **params)

    return lax.map(
        one,
        tuple(
            jnp.moveaxis(x, axis, 0)
            for x, axis in zip(operands, axes, strict=True)
            if axis is not None
        ),
    )


convolution_p = Primitive("convolve")
convolution_p.def_impl(
    jax.jit(convolution_p.bind, static_argnames=("wanted", "geometry"))
)
convolution_p.def_abstract_eval(
    lambda a, b, **params: a.update(shape=_shape(a, b, **params), sharding=None)
)
ad.defbilinear(convolution_p, partial(_transpose, 0), partial(_transpose, 1))
batching.primitive_batchers[convolution_p] = _batch
for _form, _platform in ((_by_xla, None), (_on_cpu, "cpu")):
    mlir.register_lowering(
        convolution_p, mlir.lower_fun(_form, multiple_results=False), _platform
    )
