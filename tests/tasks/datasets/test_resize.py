"""Resizing against dense float64 interpolation matrices."""

import numpy as np
import pytest

from learned_optimization.tasks.datasets import embedded
from learned_optimization.tasks.datasets.resize import resize_bilinear
from tests.tasks.datasets.original_files import original_images, original_labels


def interpolation_matrix(in_size: int, out_size: int) -> np.ndarray:
    """Row `i` holds the weights of output pixel `i`; written as a plain loop."""
    matrix = np.zeros((out_size, in_size))
    for i in range(out_size):
        centre = (i + 0.5) * in_size / out_size - 0.5
        for j in range(in_size):
            matrix[i, j] = max(0.0, 1.0 - abs(centre - j))
        matrix[i] /= matrix[i].sum()
    return matrix


def reference(images: np.ndarray, size: int) -> np.ndarray:
    m = interpolation_matrix(images.shape[1], size)
    return np.einsum("ih,nhwc,jw->nijc", m, images.astype(np.float64), m) / 255


@pytest.mark.parametrize("in_size", [5, 28, 32])
@pytest.mark.parametrize("size", [3, 5, 8, 10, 16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_random_images(in_size, size, channels):
    rng = np.random.default_rng(in_size * size)
    images = rng.integers(0, 256, (20, in_size, in_size, channels)).astype(np.uint8)
    got, divisor = resize_bilinear(images, size)
    assert got.shape == (20, size, size, channels)
    np.testing.assert_allclose(
        got.astype(np.float64) / divisor, reference(images, size), atol=1e-7
    )


@pytest.mark.parametrize(
    ("size", "dtype", "divisor"),
    [
        (28, np.uint8, 255),
        (8, np.uint16, 255 * 16),
        (16, np.uint16, 255 * 64),
        (32, np.uint16, 255 * 256),
    ],
)
def test_sizes_of_fashion_mnist_are_exact(size, dtype, divisor):
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1)).astype(np.uint8)
    images[0] = 255
    got, got_divisor = resize_bilinear(images, size)
    assert (got.dtype, got_divisor) == (dtype, divisor)
    exact = reference(images, size) * divisor
    np.testing.assert_array_equal(got, np.rint(exact))
    np.testing.assert_allclose(exact, np.rint(exact), atol=1e-6)


def test_more_images_than_one_slab():
    images = np.random.default_rng(0).integers(0, 256, (9000, 6, 6, 1)).astype(np.uint8)
    got, divisor = resize_bilinear(images, 3)
    np.testing.assert_allclose(got / divisor, reference(images, 3), atol=1e-12)


def test_images_must_be_square():
    with pytest.raises(ValueError, match="4 x 6"):
        resize_bilinear(np.zeros((1, 4, 6, 1), np.uint8), 2)


def test_embedded_equals_the_resized_original():
    images, divisor, labels = embedded.load("fashion_mnist", 8)
    assert images.shape == (70_000, 8, 8, 1)
    want = reference(original_images()[..., None], 8)
    np.testing.assert_allclose(images / divisor, want, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(labels, original_labels())
