"""Resizing against dense float64 interpolation matrices."""

import hashlib
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from learned_optimization.npz import write_npz
from learned_optimization.tasks.datasets import embedded
from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.datasets.resize import resize_bilinear
from tests.tasks.datasets.original_files import (
    original_images,
    original_labels,
    require_fashion_mnist,
)

SCRIPT = Path(__file__).parents[3] / "scripts" / "make_embedded_fashion_mnist.py"

# Of the little-endian 16-bit images followed by the labels, not of the file:
# the bytes of the file depend on the version of zlib that wrote it.
EMBEDDED_SHA256 = "b18051a3e47ee044aac64ef700b493cf008f65d8b918e65176e1b5976c74793d"


def interpolation_matrix(in_size: int, out_size: int) -> np.ndarray:
    """Return row `i` holds the weights of output pixel `i`; written as a plain loop."""
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


@pytest.mark.parametrize("size", [3, 8, 10, 16, 32, 45])
def test_agrees_with_jax_without_antialiasing(size):
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1)).astype(np.uint8)
    got, divisor = resize_bilinear(images, size)
    want = jax.image.resize(
        images.astype(np.float32), (9, size, size, 1), "bilinear", antialias=False
    )
    np.testing.assert_allclose(got / divisor, want / 255, atol=2e-6)


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


@pytest.mark.parametrize(
    "size",
    [8, 28, *(pytest.param(size, marks=pytest.mark.slow) for size in (16, 32))],
)
def test_every_real_image_is_resized_exactly(size):
    original = original_images()
    data = fashion_mnist(batch_size=1, image_size=size).load()
    divisor = data.divisors["image"]
    matrix = interpolation_matrix(28, size)
    for start in range(0, len(original), 5000):
        part = slice(start, start + 5000)
        # Weights and products are binary fractions: exact in float64.
        want = matrix @ original[part].astype(np.float64) @ matrix.T * (divisor / 255)
        np.testing.assert_array_equal(data.arrays["image"][part, ..., 0], want)
    np.testing.assert_array_equal(data.arrays["label"], original_labels())


def test_embedded_content_is_the_one_released():
    images, divisor, labels = embedded.load("fashion_mnist", 8)
    assert (images.shape, images.dtype) == ((70_000, 8, 8, 1), np.uint16)
    assert (divisor, labels.dtype) == (255 * 16, np.uint8)
    content = images.astype("<u2").tobytes() + labels.tobytes()
    assert hashlib.sha256(content).hexdigest() == EMBEDDED_SHA256


@pytest.fixture
def script():
    require_fashion_mnist()
    return runpy.run_path(str(SCRIPT))


def test_embedded_file_equals_a_fresh_conversion(script, capsys):
    assert script["main"](["--check"]) == 0
    assert "equals a fresh conversion" in capsys.readouterr().out


def test_a_changed_embedded_file_is_noticed(script, monkeypatch, tmp_path):
    arrays = dict(script["convert"]())
    arrays["label"] = np.roll(arrays["label"], 1)
    write_npz(str(tmp_path / "fashion_mnist_8x8.npz"), arrays, compress=False)
    monkeypatch.setattr(embedded, "__file__", str(tmp_path / "__init__.py"))
    assert script["main"](["--check"]) == 1


def test_the_embedded_file_made_twice_has_equal_bytes(script, monkeypatch, tmp_path):
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        monkeypatch.setattr(embedded, "__file__", str(folder / "__init__.py"))
        assert script["main"]([]) == 0
        made.append((folder / "fashion_mnist_8x8.npz").read_bytes())
    assert made[0] == made[1]


def test_synthetic_images_are_never_embedded(script, monkeypatch):
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    with pytest.raises(SystemExit, match="only real images"):
        script["convert"]()
