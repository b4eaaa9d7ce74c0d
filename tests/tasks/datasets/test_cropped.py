"""The middle of images, from the same files."""

import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.tasks.datasets.cropped import (
    CroppedImageDatasets,
    fashion_mnist_middle,
)
from learned_optimization.tasks.datasets.image import fashion_mnist


@pytest.mark.parametrize("split", ["train", "inner_valid", "outer_valid", "test"])
def test_batches_are_the_middle_of_whole_images(split):
    cropped, whole = fashion_mnist_middle(16), fashion_mnist(16, image_size=8)
    got, want = (next(data.split(split, seed=3)) for data in (cropped, whole))
    np.testing.assert_array_equal(got["image"], want["image"][:, 1:7, 1:7])
    np.testing.assert_array_equal(got["label"], want["label"])


def test_the_shape_of_a_batch_is_known_without_reading():
    data = fashion_mnist_middle(16)
    shapes = {field: a.shape for field, a in data.abstract_batch.items()}
    assert shapes == {"image": (16, 6, 6, 1), "label": (16,)}
    assert data.is_available()
    batch = next(data.split("train"))
    assert {field: a.shape for field, a in batch.items()} == shapes
    assert batch["image"].dtype == data.abstract_batch["image"].dtype


def test_arrays_are_cropped_once():
    data = fashion_mnist_middle(16).load()
    assert data is fashion_mnist_middle(32).load()
    assert data.arrays["image"].shape == (70_000, 6, 6, 1)
    assert data.arrays["image"].flags.c_contiguous
    assert data.is_in_memory


def test_a_crop_is_other_data_than_the_whole():
    assert fashion_mnist_middle(16) == fashion_mnist_middle(16)
    assert fashion_mnist_middle(16) != fashion_mnist(16, image_size=8)
    assert fashion_mnist_middle(16) != CroppedImageDatasets(
        "fashion_mnist", 16, 8, margin=2
    )


@pytest.mark.parametrize(
    ("margin", "message"),
    [
        (0, "margin must be a whole number of at least 1, got 0"),
        (4, "a margin of 4 leaves nothing of images of 8x8"),
    ],
)
def test_a_margin_that_cannot_be(margin, message):
    with pytest.raises(LoptError, match=message):
        CroppedImageDatasets("fashion_mnist", 16, 8, margin=margin)
