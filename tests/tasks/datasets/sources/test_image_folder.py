"""Folders of real JPEGs: order, labels, sizes, and preparing them."""

import functools

import numpy as np
import pytest

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets import catalog, locations, prepared
from learned_optimization.tasks.datasets.image import imagenet
from learned_optimization.tasks.datasets.prepare import prepare
from learned_optimization.tasks.datasets.sources import image_folder
from learned_optimization.tasks.datasets.sources.decode import decode_image
from tests.tasks.datasets.sources.images import encoded, present, small, smooth

ROW = small("imagenet", 20, 6, num_classes=3)
CLASSES = ("n01440764", "n01443537", "n02123045")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three classes, shapes of all kinds, one grey and one CMYK image."""
    monkeypatch.setitem(catalog.IMAGE_DATASETS, "imagenet", ROW)
    root = tmp_path / "imagenet_copy"
    number = 0
    for part, counts in (("train", (7, 6, 7)), ("val", (2, 2, 2))):
        for name, count in zip(CLASSES, counts, strict=True):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                mode = {3: "L", 4: "CMYK"}.get(number)
                pixels = smooth(20 + 3 * number, 60 - number, number)
                file = root / part / name / f"{name}_{i:02d}.JPEG"
                file.write_bytes(encoded(pixels, "jpeg", mode))
                number += 1
    (root / "train" / "notes.txt").write_text("not a class")
    (root / "train" / CLASSES[0] / "thumbs.db").write_bytes(b"not an image")
    return root


def test_order_labels_and_pixels(folder):
    source = present(image_folder.find(ROW, folder))
    assert (source.num_train, source.num_test) == (20, 6)
    images, labels = source.read(0, 26, 16)
    assert labels.tolist() == [0] * 7 + [1] * 6 + [2] * 7 + [0, 0, 1, 1, 2, 2]
    assert images.shape == (26, 16, 16, 3)
    for i in (0, 3, 4, 19, 25):
        want = decode_image("x", source.files[i], row=ROW, image_size=16)
        np.testing.assert_array_equal(images[i], want)
    some, _ = source.read(5, 9, 16)
    np.testing.assert_array_equal(some, images[5:9])


def test_finding_lists_no_images(tmp_path, folder, monkeypatch):
    assert image_folder.find(ROW, tmp_path) is None
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    assert image_folder.find(ROW, tmp_path) is None
    monkeypatch.setattr(image_folder.Path, "glob", None)
    assert image_folder.find(ROW, folder) is not None


def test_what_is_refused(folder):
    (folder / "val" / CLASSES[1] / f"{CLASSES[1]}_01.JPEG").unlink()
    with pytest.raises(DatasetShapeError, match="3 classes, 20 training and 5 test"):
        present(image_folder.find(ROW, folder)).read(0, 1, 16)
    (folder / "train" / "n09999999").mkdir()
    with pytest.raises(DatasetShapeError, match=r"holds 4 classes.*imagenet has 3"):
        present(image_folder.find(ROW, folder)).read(0, 1, 16)


def test_prepared_at_two_sizes_and_trained_on(folder):
    for size in (8, 16):
        assert prepare("imagenet", folder, image_size=size) == (
            locations.prepared_folder("imagenet", str(size))
        )
        data = imagenet(4, image_size=size)
        assert data.is_available()
        arrays = data.load()
        images, labels = present(image_folder.find(ROW, folder)).read(0, 26, size)
        np.testing.assert_array_equal(arrays.arrays["image"], images)
        np.testing.assert_array_equal(arrays.arrays["label"], labels)
        batch = next(data.train)
        assert batch["image"].shape == (4, size, size, 3)
        assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    assert not imagenet(4, image_size=32).is_available()
    info = prepared.read(locations.prepared_folder("imagenet", "8")).info
    assert info["resampling"] == "box"
    assert info["format"] == "image_folder"


def test_preparing_goes_on_after_a_stop(folder, monkeypatch):
    source = image_folder.ImageFolder
    small_units = functools.partial(source, unit_size=4)
    monkeypatch.setattr(image_folder, "ImageFolder", small_units)
    whole = prepare("imagenet", folder, image_size=8)
    want = {path.name: path.read_bytes() for path in whole.iterdir()}
    read, done = source.read, []

    def stop_at_third(self, start, stop, size):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append((start, stop))
        return read(self, start, stop, size)

    with monkeypatch.context() as patch:
        patch.setattr(source, "read", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            prepare("imagenet", folder, image_size=8)
    again = []
    monkeypatch.setattr(
        source,
        "read",
        lambda self, *a: again.append(a[:2]) or read(self, *a),
    )
    prepare("imagenet", folder, image_size=8)
    assert done == [(0, 4), (4, 8)]
    assert again == [(8, 12), (12, 16), (16, 20), (20, 24), (24, 26)]
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == want


def test_a_damaged_image_leaves_nothing_prepared(folder):
    bad = folder / "train" / CLASSES[2] / f"{CLASSES[2]}_03.JPEG"
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(LoptError, match=f"{bad.name}: no image that can be read"):
        prepare("imagenet", folder, image_size=8)
    assert not imagenet(4, image_size=8).is_available()


def test_empty_folders_are_refused(tmp_path):
    for part in ("train", "val"):
        (tmp_path / part / CLASSES[0]).mkdir(parents=True)
    with pytest.raises(LoptError, match="its folders are empty"):
        prepare("imagenet", tmp_path, image_size=8)
