"""Image data sets as batches: shapes, splits, order; on real files where it counts."""

import itertools

import gin
import jax
import numpy as np
import pytest

from learned_optimization.errors import DataNotFoundError, LoptError, UnknownNameError
from learned_optimization.tasks.datasets import catalog, embedded, image, image_data
from learned_optimization.tasks.datasets.base import split_ranges
from learned_optimization.tasks.datasets.image import (
    cifar10,
    fashion_mnist,
    mnist,
)
from learned_optimization.tasks.datasets.sources import idx
from tests.tasks.datasets.original_files import (
    original_images,
    original_labels,
    require_fashion_mnist,
)


def test_splits():
    assert split_ranges(60_000, 10_000) == {
        "train": (0, 48_000),
        "inner_valid": (48_000, 54_000),
        "outer_valid": (54_000, 60_000),
        "test": (60_000, 70_000),
    }


@pytest.mark.parametrize("size", [8, 28])
def test_fashion_mnist_batches(size):
    if size != 8:
        require_fashion_mnist()
    data = fashion_mnist(batch_size=32, image_size=size)
    for split in ("train", "inner_valid", "outer_valid", "test"):
        batch = next(data.split(split))
        for field, struct in data.abstract_batch.items():
            assert batch[field].shape == struct.shape
            assert batch[field].dtype == struct.dtype
        assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    assert data.extra_info["num_classes"] == 10


def test_fashion_mnist_is_the_published_data():
    require_fashion_mnist()
    data = fashion_mnist(batch_size=1).load()
    np.testing.assert_array_equal(data.arrays["image"][..., 0], original_images())
    np.testing.assert_array_equal(data.arrays["label"], original_labels())
    # The mean of the 60,000 training images, as published in many recipes.
    mean = data.take(np.arange(60_000))["image"].mean(dtype=np.float64)
    assert mean == pytest.approx(0.2860, abs=5e-5)


def test_sizes_agree_with_each_other():
    require_fashion_mnist()
    eight = fashion_mnist(1, image_size=8).load()
    full = original_images()[:50].astype(np.float64) / 255
    # Output pixel (0, 0) of 28 -> 8 samples the input at (1.25, 1.25).
    want = (
        0.5625 * full[:, 1, 1]
        + 0.1875 * (full[:, 1, 2] + full[:, 2, 1])
        + 0.0625 * full[:, 2, 2]
    )
    got = eight.take(np.arange(50))["image"][:, 0, 0, 0]
    np.testing.assert_allclose(got, want, atol=1e-7)


def test_one_epoch_has_every_example_once():
    data = fashion_mnist(batch_size=500, image_size=8)
    batches = itertools.islice(data.split("outer_valid"), 12)
    images = np.concatenate([batch["image"] for batch in batches])
    start, stop = data.load().splits["outer_valid"]
    want = data.load().take(np.arange(start, stop))["image"]

    def in_order(x):
        flat = x.reshape(len(x), -1)
        return flat[np.lexsort(flat.T)]

    np.testing.assert_array_equal(in_order(images), in_order(want))


def test_order_depends_on_the_seed_only():
    data = fashion_mnist(batch_size=16, image_size=8)
    first, again, other = (next(data.split("train", seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert not np.array_equal(first["image"], other["image"])
    with pytest.raises(UnknownNameError, match="did you mean outer_valid"):
        data.split("outervalid")


def test_nothing_is_read_before_it_is_needed(monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("data was read")

    monkeypatch.setattr(idx, "read_idx", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(embedded, "load", refuse)
    monkeypatch.setattr(np, "load", refuse)
    for make, size in itertools.product((fashion_mnist, mnist), (8, 28)):
        data = make(4, size)
        assert data == make(4, size)
        assert data != make(8, size)
        assert hash(data) == hash(make(4, size))
        assert data.abstract_batch["image"].shape == (4, size, size, 1)
        data.is_available()


@pytest.mark.parametrize("bad", [0, -3, 8.0, True])
def test_sizes_are_whole_and_positive(bad):
    with pytest.raises(LoptError, match="batch_size must be a whole number"):
        mnist(bad)
    with pytest.raises(LoptError, match="image_size must be a whole number"):
        mnist(8, image_size=bad)


def test_missing_data_is_downloaded_from_hugging_face_where_that_has_it():
    with pytest.raises(DataNotFoundError) as caught:
        cifar10(4).load()
    way, _, other = str(caught.value).partition("; or ")
    assert "`lopt data prepare cifar10 --from huggingface`" in way
    assert "--from DIR" in other


def test_unknown_data_set():
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        catalog.get_image_dataset("mnits")


def synthetic_test_accuracy(data):
    """Of taking the class whose mean training image is nearest."""
    train, test = (data.take(np.arange(*data.splits[s])) for s in ("train", "test"))
    means = np.stack([train["image"][train["label"] == c].mean(0) for c in range(10)])
    distances = np.square(test["image"][:, None] - means).sum((2, 3, 4))
    return (distances.argmin(1) == test["label"]).mean()


def test_synthetic_data_only_when_asked(monkeypatch):
    data = mnist(8)
    assert not data.is_synthetic
    with pytest.raises(DataNotFoundError):
        data.load()
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    assert data.is_synthetic
    batch = next(data.train)
    for field, struct in data.abstract_batch.items():
        assert (batch[field].shape, batch[field].dtype) == (struct.shape, struct.dtype)
    arrays = data.load()
    assert arrays.splits["test"] == (2000, 2500)
    assert synthetic_test_accuracy(arrays) > 0.9
    image_data._load_synthetic.cache_clear()
    for field, again in data.load().arrays.items():
        np.testing.assert_array_equal(arrays.arrays[field], again)
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "0")
    with pytest.raises(DataNotFoundError):
        data.load()


def test_grey_images_are_the_mean_of_their_channels(monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 32, 32, 3), np.uint8)
    labels, splits = np.arange(6), split_ranges(4, 2)
    for size in (32, 8, 5):
        colour = image_data._resized(images, labels, splits, size, is_grey=False)
        grey = image_data._resized(images, labels, splits, size, is_grey=True)
        want = colour.take(np.arange(6))["image"].mean(-1, keepdims=True)
        got = grey.take(np.arange(6))["image"]
        np.testing.assert_allclose(got, want, atol=1e-6)
    # 32 to 8 pixels halves between the two in the middle, exactly.
    eight = image_data._resized(images, labels, splits, 8, is_grey=True)
    assert eight.arrays["image"].dtype == np.uint16
    middle = np.float64(images[:, 1:3, 1:3]).mean((1, 2, 3)) / 255
    np.testing.assert_allclose(eight.take(np.arange(6))["image"][:, 0, 0, 0], middle)
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    data = cifar10(4, image_size=8, is_grey=True)
    assert next(data.train)["image"].shape == (4, 8, 8, 1)
    assert data != cifar10(4, image_size=8)


# The functions of the published names.


@pytest.mark.parametrize(
    ("make", "name", "size", "channels"),
    [
        (image.mnist_datasets, "mnist", 28, 1),
        (image.fashion_mnist_datasets, "fashion_mnist", 28, 1),
        (image.cifar10_datasets, "cifar10", 32, 3),
        (image.cifar100_datasets, "cifar100", 32, 3),
        (image.svhn_cropped_datasets, "svhn_cropped", 32, 3),
        (image.food101_datasets, "food101", 32, 3),
        (image.imagenet16_datasets, "imagenet", 16, 3),
        (image.imagenet32_datasets, "imagenet", 32, 3),
        (image.imagenet64_datasets, "imagenet", 64, 3),
    ],
)
def test_published_functions_make_the_same_handles(make, name, size, channels):
    data = make(batch_size=4, prefetch_batches=5, shuffle_buffer_size=7)
    assert data == image.ImageDatasets(name, 4, size)
    assert data == make(4, (size, size)) == make(4, image_size=size)
    assert data.abstract_batch["image"].shape == (4, size, size, channels)
    grey = make(4, convert_to_black_and_white=True)
    assert grey.abstract_batch["image"].shape == (4, size, size, 1)
    gin.parse_config(f"{make.__name__}.batch_size = 9")
    assert make().batch_size == 9


def test_channels_are_stacked_and_values_normalized_on_use():
    plain = image.fashion_mnist_datasets(6, (8, 8)).load().take(np.arange(6))["image"]
    stacked = image.fashion_mnist_datasets(6, (8, 8), 3)
    batch = stacked.load().take(np.arange(6))["image"]
    assert stacked.abstract_batch["image"].shape == batch.shape == (6, 8, 8, 3)
    np.testing.assert_array_equal(batch, np.repeat(plain, 3, axis=-1))
    assert next(stacked.train)["image"].shape == (6, 8, 8, 3)
    mean, std = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
    data = image.fashion_mnist_datasets(
        6, (8, 8), 3, normalize_mean=mean, normalize_std=std
    ).load()
    want = (255 * np.float64(plain) - np.array(mean)) / np.array(std)
    got = data.take(np.arange(6))["image"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    # The compiled program decodes as the host does.
    arrays = {field: a[:6] for field, a in data.arrays.items()}
    traced = jax.jit(data.decode)(arrays)["image"]
    np.testing.assert_allclose(traced, want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (28, 14)}, r"images are square, .* got \(28, 14\)"),
        ({"aug_flip_left_right": True}, r"random flips are not available"),
        ({"stack_channel": 3}, r"did you mean stack_channels"),
        ({"stack_channels": 0}, r"stack_channels must be a whole number"),
        ({"normalize_mean": (1.0,)}, r"are given together"),
        (
            {"normalize_mean": (1, 2), "normalize_std": (1, 2)},
            r"one for each, got \(1, 2\)",
        ),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(LoptError, match=message):
        image.mnist_datasets(4, **options)


def test_impossible_options_of_colours_and_sizes():
    with pytest.raises(LoptError, match="repeats one channel, and cifar10 has 3"):
        image.cifar10_datasets(4, stack_channels=3)
    with pytest.raises(LoptError, match=r"imagenet16: its images are 16x16, got .*=8"):
        image.imagenet16_datasets(4, image_size=(8, 8))
    assert image.mnist_datasets(4, aug_flip_left_right=False) == mnist(4)
