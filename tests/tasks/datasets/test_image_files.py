"""Files of image data sets: where they are found, what is refused, preparing."""

import dataclasses

import numpy as np
import pytest

from learned_optimization.errors import (
    DataNotFoundError,
    DatasetShapeError,
    LoptError,
    ResultError,
)
from learned_optimization.npz import write_npz
from learned_optimization.tasks.datasets import catalog, image, locations
from learned_optimization.tasks.datasets.image import fashion_mnist, mnist
from tests.tasks.datasets.original_files import idx_bytes, write_mnist_like


def without_debian(monkeypatch):
    row = catalog.IMAGE_DATASETS["fashion_mnist"]
    nowhere = dataclasses.replace(row, known_folders=())
    monkeypatch.setitem(catalog.IMAGE_DATASETS, "fashion_mnist", nowhere)


@pytest.fixture
def mnist_folder(tmp_path):
    folder = tmp_path / "data" / "mnist"
    return folder, *write_mnist_like(folder)


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
        "shape": r"shape \(10000, 14, 14\), expected \(10000, 28, 28\)",
        "count": r"shape \(9999,\), expected \(10000,\)",
        "label": "holds the label 10",
        "axes": r"shape \(10000, 1\)",
    }
    with pytest.raises(LoptError, match=messages[fault]):
        image.prepare("mnist", folder)
    assert not locations.prepared_path("mnist").exists()


@pytest.mark.parametrize("fault", ["keras", "shape", "dtype", "label"])
def test_a_prepared_file_of_another_make_is_refused(fault):
    arrays = {
        "image": np.zeros((70_000, 28, 28, 1), np.uint8),
        "label": np.zeros(70_000, np.uint8),
    }
    if fault == "keras":
        arrays = {"x_train": arrays["image"][:5], "y_train": arrays["label"][:5]}
    elif fault == "shape":
        arrays["image"] = arrays["image"][:-1]
    elif fault == "dtype":
        arrays["label"] = arrays["label"].astype(np.int64)
    else:
        arrays["label"][3] = 77
    write_npz(str(locations.prepared_path("mnist")), arrays, compress=False)
    message = {
        "keras": "image is not a file in the archive",
        "shape": r"shape \(69999, 28, 28, 1\), expected uint8 of shape \(70000, 28",
        "dtype": "'label' is int64",
        "label": "holds the label 77",
    }[fault]
    error = ResultError if fault == "keras" else DatasetShapeError
    with pytest.raises(error, match=message):
        mnist(8).load()


def test_an_empty_or_relative_data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOPT_DATA_DIR", "")
    assert locations.data_dir() == tmp_path / ".cache/lopt/data"
    assert "LOPT_DATA_DIR is set" not in str(locations.not_found("mnist"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOPT_DATA_DIR", "here")
    assert locations.data_dir() == tmp_path / "here"
    monkeypatch.setenv("LOPT_DATA_DIR", "~/there")
    assert locations.data_dir() == tmp_path / "there"


def test_description_and_whereabouts(mnist_folder, monkeypatch):
    folder, *_ = mnist_folder
    without_debian(monkeypatch)
    fashion, digits = locations.describe()
    assert (fashion.name, fashion.embedded_sizes) == ("fashion_mnist", (8,))
    assert fashion.files == ()
    assert "apt-get install dataset-fashion-mnist" in fashion.how_to_get
    assert digits.name == "mnist"
    assert set(digits.files) == set(folder.iterdir())
    assert list(digits.files) == locations.where("mnist")
    image.prepare("mnist", folder)
    assert locations.where("mnist") == [locations.prepared_path("mnist")]
    with pytest.raises(DataNotFoundError, match="fashion_mnist is not on this"):
        locations.where("fashion_mnist")


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError) as error:
        mnist(8).load()
    text = str(error.value)
    assert text.startswith("the data set mnist is not on this machine.")
    assert f"LOPT_DATA_DIR is set to {tmp_path / 'data'}, which does not exist" in text
    assert str(tmp_path / "data" / "mnist") in text
    assert "lopt data prepare mnist --from DIR" in text
    without_debian(monkeypatch)
    with pytest.raises(DataNotFoundError, match="apt-get install dataset-fashion-mn"):
        fashion_mnist(8).load()
    assert not fashion_mnist(8).is_at_hand()
    assert fashion_mnist(8, image_size=8).is_at_hand()
