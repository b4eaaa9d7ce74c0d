"""Files of image data sets: where they are found, what is refused, preparing."""

import dataclasses
import json

import numpy as np
import pytest

from learned_optimization.errors import (
    DataNotFoundError,
    DatasetShapeError,
    LoptError,
)
from learned_optimization.tasks.datasets import catalog, image_data, locations, prepared
from learned_optimization.tasks.datasets.image import (
    cifar10,
    fashion_mnist,
    imagenet,
    mnist,
)
from learned_optimization.tasks.datasets.prepare import prepare
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
    assert data.is_available()
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
    path, progress = None, []
    path = prepare("mnist", elsewhere, on_progress=lambda *seen: progress.append(seen))
    assert path == locations.prepared_folder("mnist")
    assert progress == [(0, 2), (1, 2), (2, 2)]
    np.testing.assert_array_equal(mnist(8).load().arrays["image"][..., 0], images)
    np.testing.assert_array_equal(mnist(8).load().arrays["label"], labels)
    info = prepared.read(path).info
    assert info["read from"] == str(elsewhere)
    image_file = path / "image.bin"
    image_file.write_bytes(image_file.read_bytes()[:1000])
    image_data._load_prepared.cache_clear()
    with pytest.raises(DatasetShapeError, match="Prepare the data set again"):
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
        "missing": "holds no files of mnist in a form known here",
        "shape": r"shape \(10000, 14, 14\), expected \(10000, 28, 28\)",
        "count": r"shape \(9999,\), expected \(10000,\)",
        "label": "holds the label 10",
        "axes": r"shape \(10000, 1\)",
    }
    with pytest.raises(LoptError, match=messages[fault]):
        prepare("mnist", folder)
    assert not locations.prepared_folder("mnist").exists()


@pytest.mark.parametrize("fault", ["shape", "label"])
def test_a_prepared_folder_of_another_make_is_refused(fault):
    num = 70_000 - (fault == "shape")
    label = np.zeros(num, np.int32)
    label[3] = 77 if fault == "label" else 0
    arrays = {"label": label, "image": np.zeros((num, 28, 28, 1), np.uint8)}
    prepared.write(
        locations.prepared_folder("mnist"),
        {
            "label": prepared.Field("int32"),
            "image": prepared.Field("uint8", (28, 28, 1)),
        },
        [prepared.Unit("train", lambda: arrays)],
        fingerprint="",
        info={},
    )
    message = {
        "shape": r"images of shape \(69999, 28, 28, 1\)",
        "label": "holds the label 77",
    }[fault]
    with pytest.raises(DatasetShapeError, match=message):
        mnist(8).load()


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("label", {"dtype": "O"}, "label is of 'O', and should be of numbers"),
        ("label", {"dtype": "O,i4"}, "label is of 'O,i4'"),
        ("label", {"dtype": "no type"}, "no manifest of a prepared data set"),
        ("label", {"shape": [-1]}, r"label has the shape \[-1\]"),
        ("label", {"shape": [1.5]}, r"label has the shape \[1.5\]"),
        ("../label", {}, "an array is called '../label'"),
    ],
)
def test_a_prepared_manifest_names_arrays_of_numbers(tmp_path, name, changes, message):
    """Not of pointers, which reading would follow, nor of files elsewhere."""
    arrays = {"label": np.zeros(3, np.int32)}
    prepared.write(
        tmp_path / "p",
        {"label": prepared.Field("int32")},
        [prepared.Unit("train", lambda: arrays)],
        fingerprint="",
        info={},
    )
    assert prepared.read(tmp_path / "p").arrays["label"].shape == (3,)
    path = tmp_path / "p" / prepared.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["arrays"] = {name: manifest["arrays"]["label"] | changes}
    path.write_text(json.dumps(manifest))
    with pytest.raises(DatasetShapeError, match=message):
        prepared.read(tmp_path / "p")


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
    by_name = {row.name: row for row in locations.describe()}
    assert by_name.keys() == catalog.all_datasets().keys()
    fashion, digits = by_name["fashion_mnist"], by_name["mnist"]
    assert (fashion.embedded, fashion.places) == (("8x8",), ())
    assert "apt-get install dataset-fashion-mnist" in fashion.how_to_get
    assert set(digits.places) == set(folder.iterdir())
    assert list(digits.places) == locations.where("mnist")
    prepare("mnist", folder)
    assert locations.where("mnist") == [locations.prepared_folder("mnist")]
    with pytest.raises(DataNotFoundError, match="fashion_mnist is not on this"):
        locations.where("fashion_mnist")


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError) as error:
        mnist(8).load()
    text = str(error.value)
    assert text.startswith("the data set mnist is not on this machine.")
    assert f"LOPT_DATA_DIR is set to {tmp_path / 'data'}, which does not exist" in text
    assert str(tmp_path / "data" / "mnist") in text
    by_itself = "Run `lopt data prepare mnist --from huggingface`, which downloads it"
    assert text.index(by_itself) < text.index("lopt data prepare mnist --from DIR")
    without_debian(monkeypatch)
    with pytest.raises(DataNotFoundError, match="apt-get install dataset-fashion-mn"):
        fashion_mnist(8).load()
    assert not fashion_mnist(8).is_available()
    assert fashion_mnist(8, image_size=8).is_available()


def test_sizes_that_vary_are_prepared_one_by_one(tmp_path):
    with pytest.raises(DataNotFoundError) as error:
        imagenet(8, image_size=16).load()
    text = str(error.value)
    assert text.startswith("the data set imagenet (16) is not on this machine.")
    assert "run `lopt data prepare imagenet --size 16`, or run that with" in text
    assert not imagenet(8, image_size=16).is_available()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imagenet", {}, "say which to make them, e.g. --size 64"),
        ("imagenet", {"image_size": 0}, "--size must be 1 to 512 pixels, got 0"),
        ("cifar10", {"image_size": 8}, "cifar10 is prepared at 32x32, its own size"),
        ("cifar10", {"vocabulary": "32k"}, "set of images: it has no --vocabulary"),
        ("lm1b", {"image_size": 8}, "lm1b is text: it has no --size"),
        ("lm1b", {"vocabulary": "8k"}, "must be one of bytes, 32k, got '8k'"),
        ("lm1b", {"folder": "huggingface"}, "no copy on Hugging Face known here"),
        ("cifar10", {"folder": "/no/such"}, "no such folder: /no/such"),
        ("cifar01", {}, "did you mean cifar10"),
    ],
)
def test_options_that_do_not_fit_are_refused(name, options, message):
    with pytest.raises(LoptError, match=message):
        prepare(name, **options)


def test_a_cache_of_hugging_face_is_looked_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    snapshot = tmp_path / "hf/hub/datasets--uoft-cs--cifar10/snapshots/abc"
    snapshot.mkdir(parents=True)
    assert snapshot in locations.original_folders("cifar10")
    assert not cifar10(8).is_available()
    (snapshot / "train-00000-of-00001.parquet").touch()
    (snapshot / "test-00000-of-00001.parquet").touch()
    with pytest.raises(DataNotFoundError, match="run `lopt data prepare cifar10` once"):
        cifar10(8).load()


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "train.txt").write_text("a sentence\n")
    monkeypatch.setenv("LOPT_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(LoptError, match=r"cannot prepare lm1b in .*file: .*Set LOPT"):
        prepare("lm1b", tmp_path / "texts")
