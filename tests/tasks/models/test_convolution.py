"""Convolutions in all their forms against their definition, in float64.

On a CPU the form depends on sizes and on what is mapped: the images of `CASES` are
such that each form is taken, for the output and for both gradients.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import Mesh, PartitionSpec

from learned_optimization.tasks.models.convolution import (
    Geometry,
    convolve,
    over_patches,
    same_padding,
)

KEY = jax.random.PRNGKey(0)

# Height, width, size of the window, stride, inputs, outputs.
CASES = [
    (7, 5, size, stride, *channels)
    for size, stride, channels in itertools.product(
        (1, 3, 7), (1, 2), ((2, 3), (9, 10))
    )
] + [
    (8, 8, 3, 2, 16, 8),
    (1, 1, 3, 1, 8, 8),
    (2, 3, 3, 2, 8, 8),
    (9, 9, 4, 3, 4, 4),
    (9, 8, 2, 3, 16, 16),  # pixels that no window sees
]


def by_definition(image, kernel, stride):
    """Every window times the kernel, in numpy and float64."""
    image, kernel = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    size = kernel.shape[0]
    pads = [same_padding(length, size, stride) for length in image.shape[1:3]]
    padded = np.pad(image, ((0, 0), *pads, (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return np.einsum("bhwcij,ijco->bhwo", seen[:, ::stride, ::stride], kernel)


def pulled_back(image, kernel, weights, stride):
    """Gradients of `sum(weights * output)`, entry by entry of image and kernel.

    The output is linear in both, so that what one entry contributes is the output
    of an image or kernel of zeros with a one there.
    """

    def along(shape, output):
        ones = np.eye(np.prod(shape)).reshape(-1, *shape)
        return np.reshape([np.sum(weights * output(one)) for one in ones], shape)

    return (
        along(image.shape, lambda one: by_definition(one, kernel, stride)),
        along(kernel.shape, lambda one: by_definition(image, one, stride)),
    )


def operands(case, batch=2):
    rows, columns, size, stride, inputs, outputs = case
    keys = jax.random.split(KEY, 3)
    image = jax.random.normal(keys[0], (batch, rows, columns, inputs))
    kernel = jax.random.normal(keys[1], (size, size, inputs, outputs))
    out = jax.eval_shape(partial(convolve, stride=stride), image, kernel)
    return image, kernel, jax.random.normal(keys[2], out.shape), stride


def gradients(image, kernel, weights, stride):
    return jax.grad(
        lambda image, kernel: jnp.sum(weights * convolve(image, kernel, stride)),
        argnums=(0, 1),
    )(image, kernel)


def assert_close(got, want, tolerance=1e-5):
    for ours, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        scale = np.abs(right).max() + 1e-6
        np.testing.assert_allclose(ours, right, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(
    "case",
    [
        # The largest window is asked for the most, entry by entry.
        pytest.param(case, marks=pytest.mark.slow if case[2] == 7 else ())
        for case in CASES
    ],
)
def test_output_and_gradients_by_definition(case):
    image, kernel, weights, stride = operands(case)
    assert_close(convolve(image, kernel, stride), by_definition(image, kernel, stride))
    assert_close(
        gradients(image, kernel, weights, stride),
        pulled_back(image, kernel, weights, stride),
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mapped", ["image", "kernel", "both"])
def test_mapped_it_is_each_alone(case, mapped):
    image, kernel, weights, stride = operands(case)
    images = jnp.stack([image, 2 * image + 1]) if mapped != "kernel" else image
    # Mapped over another axis than the first.
    kernels = jnp.stack([kernel, kernel - 1], 2) if mapped != "image" else kernel
    axes = (None if mapped == "kernel" else 0, None if mapped == "image" else 2)

    def both(image, kernel):
        output = convolve(image, kernel, stride)
        return output, gradients(image, kernel, weights, stride)

    got = jax.jit(jax.vmap(both, in_axes=axes))(images, kernels)
    alone = [
        both(
            image if mapped == "kernel" else images[i],
            kernel if mapped == "image" else kernels[:, :, i],
        )
        for i in range(2)
    ]
    assert_close(got, jax.tree.map(lambda *parts: jnp.stack(parts), *alone))


def test_mapped_within_mapped():
    """As the engine evaluates: splits of one kernel, for trials of their own."""
    image, kernel, *_ = operands((8, 8, 3, 1, 8, 8))
    images, kernels = jnp.stack([image, image + 1]), jnp.stack([kernel, -kernel])
    one = jax.vmap(convolve, in_axes=(0, None))
    got = jax.vmap(one, in_axes=(None, 0))(images, kernels)
    want = [[by_definition(i, k, 1) for i in images] for k in kernels]
    assert_close(got, np.array(want))


@pytest.mark.parametrize("case", [(8, 8, 3, 2, 9, 8), (5, 4, 3, 1, 2, 3)])
def test_training_inside_a_loop(case):
    image, kernel, weights, stride = operands(case)

    def descend(kernel, convolution):
        grad = jax.grad(lambda k: jnp.mean((convolution(image, k) - weights) ** 2))
        return lax.fori_loop(0, 5, lambda _, k: k - 0.1 * grad(k), kernel)

    def xlas(image, kernel):
        return lax.conv_general_dilated(
            image,
            kernel,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    got = jax.jit(partial(descend, convolution=partial(convolve, stride=stride)))
    assert_close(got(kernel), descend(kernel, xlas), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("inner", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("case", [(4, 4, 3, 1, 8, 1), (3, 3, 3, 2, 1, 2)])
def test_second_derivatives_forward_and_backward(case, inner, outer):
    image, kernel, _, stride = operands(case, batch=1)

    def loss(convolution, image, kernel):
        return jnp.sum(jnp.tanh(convolution(image, kernel)))

    def hessian(convolution):
        return outer(inner(partial(loss, convolution), (0, 1)), (0, 1))(image, kernel)

    geometry = Geometry((image.shape[1], image.shape[2]), kernel.shape[0], stride)
    ordinary = partial(over_patches, wanted="output", geometry=geometry)
    got = hessian(partial(convolve, stride=stride))
    assert_close(got, hessian(ordinary), 1e-4)


@pytest.mark.slow
def test_float64_stays():
    with jax.enable_x64(True):
        image, kernel, weights, stride = operands((8, 8, 3, 1, 8, 2), batch=1)
        got = gradients(image, kernel, weights, stride)
        assert all(part.dtype == np.float64 for part in got)
        assert_close(got, pulled_back(image, kernel, weights, stride), 1e-12)


def test_bfloat16_stays_and_mixed_becomes_the_wider():
    image, kernel, _, stride = operands((8, 8, 3, 1, 8, 2))
    narrow, weights = image.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    got = convolve(narrow, weights, stride)
    assert got.dtype == jnp.bfloat16
    assert_close(np.float64(got), by_definition(narrow, weights, stride), 1e-2)
    mixed = jax.grad(lambda x: convolve(x, kernel, stride).sum())(narrow)
    assert convolve(narrow, kernel, stride).dtype == jnp.float32
    assert mixed.dtype == jnp.bfloat16


def test_over_devices_as_the_engine_splits_them():
    image, kernel, weights, stride = operands((8, 8, 3, 1, 8, 8))
    over = PartitionSpec("trials")
    split = jax.shard_map(
        jax.vmap(partial(gradients, stride=stride), in_axes=(None, 0, None)),
        mesh=Mesh(jax.devices()[:2], ("trials",)),
        in_specs=(PartitionSpec(), over, PartitionSpec()),
        out_specs=over,
        check_vma=False,
    )
    kernels = jnp.stack([kernel, kernel + 1])
    want = [gradients(image, k, weights, stride) for k in kernels]
    got = split(image, kernels, weights)
    assert_close(got, jax.tree.map(lambda *parts: jnp.stack(parts), *want))


def backward_convolutions(platform):
    image, kernel, weights, _ = operands((8, 8, 3, 1, 8, 8))
    grad = jax.jit(partial(gradients, stride=1))
    text = export.export(grad, platforms=[platform])(
        image, kernel, weights
    ).mlir_module()
    return [line for line in text.splitlines() if "stablehlo.convolution" in line]


def test_gradients_have_the_canonical_layout_on_a_cpu():
    lines = backward_convolutions("cpu")
    assert len(lines) == 2
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line for line in lines)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_the_gradients_of_jax(platform):
    lines = backward_convolutions(platform)
    assert len(lines) == 2
    assert any("[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]" in line for line in lines)


def test_gradients_by_hand():
    # Each pixel is seen by the windows around it, fewer at the border.
    image, kernel = jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1))
    to_image, to_kernel = gradients(image, kernel, jnp.ones((1, 3, 3, 1)), 1)
    counts = [[4, 6, 4], [6, 9, 6], [4, 6, 4]]
    np.testing.assert_array_equal(to_image[0, :, :, 0], counts)
    np.testing.assert_array_equal(to_kernel[:, :, 0, 0], counts)
