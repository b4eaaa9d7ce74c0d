"""Image data sets: shapes, splits, places, refusals; on real files where it counts."""

import itertools

import numpy as np
import pytest

from learned_optimization.errors import (
    DataNotFoundError,
    LoptError,
    ResultError,
    UnknownNameError,
)
from learned_optimization.tasks.datasets import embedded, image, locations
from learned_optimization.tasks.datasets.base import split_ranges
from learned_optimization.tasks.datasets.image import fashion_mnist, mnist
from tests.tasks.datasets.original_files import (
    idx_bytes,
    original_images,
    original_labels,
    require_fashion_mnist,
    write_mnist_like,
)


@pytest.fixture
def mnist_folder(tmp_path):
    folder = tmp_path / "data" / "mnist"
    return folder, *write_mnist_like(folder)


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

    monkeypatch.setattr(image, "read_idx", refuse)
    monkeypatch.setattr(embedded, "load", refuse)
    monkeypatch.setattr(np, "load", refuse)
    for make, size in itertools.product((fashion_mnist, mnist), (8, 28)):
        data = make(4, size)
        assert data == make(4, size)
        assert data != make(8, size)
        assert hash(data) == hash(make(4, size))
        assert data.abstract_batch["image"].shape == (4, size, size, 1)
        data.is_at_hand()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_from_idx_files(tmp_path, ending):
    images, labels = write_mnist_like(tmp_path / "data" / "mnist", ending)
    data = mnist(batch_size=8)
    assert data.is_at_hand()
    np.testing.assert_array_equal(data.load().arrays["image"][..., 0], images)
    np.testing.assert_array_equal(data.load().arrays["label"], labels)
    assert mnist(8, image_size=16).load().arrays["image"].shape == (70_000, 16, 16, 1)


def test_other_spelling_of_file_names(mnist_folder):
    folder, images, _ = mnist_folder
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("-idx", ".idx"))
    np.testing.assert_array_equal(mnist(8).load().arrays["image"][..., 0], images)


def test_prepare_then_load(mnist_folder, tmp_path):
    folder, images, labels = mnist_folder
    elsewhere = folder.rename(tmp_path / "downloads")
    with pytest.raises(DataNotFoundError):
        mnist(8).load()
    path = image.prepare("mnist", elsewhere)
    assert path == locations.prepared_path("mnist")
    np.testing.assert_array_equal(mnist(8).load().arrays["image"][..., 0], images)
    np.testing.assert_array_equal(mnist(8).load().arrays["label"], labels)
    path.write_bytes(path.read_bytes()[:1000])
    image._load_files.cache_clear()
    with pytest.raises(ResultError, match="delete it and make it again"):
        mnist(8).load()


@pytest.mark.parametrize("fault", ["missing", "shape", "count", "label", "axes"])
def test_bad_files_are_refused_and_nothing_is_written(mnist_folder, fault):
    folder, _, labels = mnist_folder
    target = folder / "t10k-labels-idx1-ubyte"
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    bad = labels[60_000:].copy()
    if fault == "label":
        bad[5] = 10
    elif fault == "count":
        bad = bad[:-1]
    elif fault == "shape":
        images = folder / "t10k-images-idx3-ubyte"
        images.write_bytes(idx_bytes(np.zeros((10_000, 14, 14), np.uint8)))
    elif fault == "axes":
        bad = bad[:, None]
    if fault != "missing":
        target.write_bytes(idx_bytes(bad))
    messages = {
        "missing": "does not hold the four IDX files",
        "shape": r"shape \(10000, 14, 14\), expected \('num', 28, 28\)",
        "count": "10000 images and 9999 labels, expected 10000",
        "label": "holds the label 10",
        "axes": r"shape \(10000, 1\)",
    }
    with pytest.raises(LoptError, match=messages[fault]):
        image.prepare("mnist", folder)
    assert not locations.prepared_path("mnist").exists()


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError) as error:
        mnist(8).load()
    text = str(error.value)
    assert text.startswith("the data set mnist is not on this machine.")
    assert f"LOPT_DATA_DIR is set to {tmp_path / 'data'}, which does not exist" in text
    assert str(tmp_path / "data" / "mnist") in text
    assert "lopt data prepare mnist --from DIR" in text
    monkeypatch.setattr(locations, "_WELL_KNOWN", {})
    with pytest.raises(DataNotFoundError, match="apt-get install dataset-fashion-mn"):
        fashion_mnist(8).load()
    assert not fashion_mnist(8).is_at_hand()
    assert fashion_mnist(8, image_size=8).is_at_hand()


def test_unknown_data_set():
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        image.get_image_dataset("mnits")


def test_synthetic_data_only_when_asked(monkeypatch):
    data = mnist(8)
    assert not data.is_synthetic
    with pytest.raises(DataNotFoundError):
        data.load()
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")
    assert data.is_synthetic
    batch = next(data.train)
    assert batch["image"].shape == data.abstract_batch["image"].shape
    monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "0")
    with pytest.raises(DataNotFoundError):
        data.load()
