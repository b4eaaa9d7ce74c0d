"""Decoding: sizes, colours, resampling, damage."""

import dataclasses
import sys

import jax
import numpy as np
import PIL.Image
import pytest

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets.catalog import get_image_dataset
from learned_optimization.tasks.datasets.sources.decode import (
    decode_image,
    decode_images,
)
from tests.tasks.datasets.sources.images import encoded, smooth

BILINEAR = get_image_dataset("food101")
BOX = get_image_dataset("imagenet")
DIGITS = get_image_dataset("mnist")


@pytest.mark.parametrize("shape", [(40, 25), (8, 31), (16, 16), (5, 3)])
def test_bilinear_is_that_of_jax(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    got = decode_image("x", encoded(pixels), row=BILINEAR, image_size=8)
    want = jax.image.resize(
        pixels.astype(np.float32), (8, 8, 3), "linear", antialias=False
    )
    assert got.dtype == np.uint8
    assert np.abs(got - np.asarray(want)).max() <= 0.51


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_box_is_the_mean_of_the_pixels_covered(factor):
    shape = (8 * factor, 8 * factor * 3, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    got = decode_image("x", encoded(pixels), row=BOX, image_size=8)
    blocks = pixels.reshape(8, factor, 8, 3 * factor, 3)
    assert np.abs(got - blocks.mean((1, 3))).max() <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_jpegs_of_any_colours_become_rgb(mode):
    pixels = smooth(30, 20)
    content = encoded(pixels, "jpeg", mode)
    got = decode_image("x", content, row=BOX, image_size=4)
    assert got.shape == (4, 4, 3)
    if mode == "L":
        assert (got[..., 0] == got[..., 1]).all()
    elif mode == "RGB":
        want = jax.image.resize(pixels.astype(np.float32), (4, 4, 3), "linear")
        assert np.abs(got - np.asarray(want)).max() < 12


@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "LA"])
def test_pngs_of_any_mode(mode):
    content = encoded(smooth(8, 8), "png", mode)
    assert decode_image("x", content, row=BOX, image_size=8).shape == (8, 8, 3)
    grey = decode_image(
        "x", content, row=dataclasses.replace(DIGITS, image_size=8), image_size=8
    )
    assert grey.shape == (8, 8, 1)


def test_a_lossless_image_is_kept_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8)
    got = decode_image("x", encoded(pixels), row=DIGITS, image_size=28)
    np.testing.assert_array_equal(got, pixels)


def test_another_size_is_refused_where_the_data_set_has_one():
    with pytest.raises(DatasetShapeError, match=r"nr 7: is 30x28 pixels, .* 28x28"):
        decode_image("nr 7", encoded(smooth(30, 28)), row=DIGITS, image_size=28)


def test_damage_is_named(tmp_path):
    content = encoded(smooth(64, 64, 1), "jpeg")
    path = tmp_path / "n01_1.JPEG"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetShapeError, match=r"n01_1\.JPEG: no image that can be"):
        decode_images(BOX, [("fine", content), (path, path)], 8)
    with pytest.raises(DatasetShapeError, match="third: no image that can be"):
        decode_images(BOX, [("third", b"GIF nonsense")], 8)


def test_many_keep_their_order():
    images = [smooth(12, 9, seed) for seed in range(20)]
    got = decode_images(BOX, [(i, encoded(p)) for i, p in enumerate(images)], 4)
    for one, pixels in zip(got, images, strict=True):
        want = decode_image("x", encoded(pixels), row=BOX, image_size=4)
        np.testing.assert_array_equal(one, want)


def test_an_image_too_large_to_be_one_is_named(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(DatasetShapeError, match="huge: no image that can be read"):
        decode_image("huge", encoded(smooth(64, 64)), row=BOX, image_size=8)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(LoptError, match=r"pip install 'optimizer-baselines\[data\]'"):
        decode_image("x", b"", row=BOX, image_size=8)
