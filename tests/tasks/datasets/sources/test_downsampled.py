"""The downsampled ImageNet: planes, labels from 1, files one at a time."""

import numpy as np
import pytest

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets import catalog
from learned_optimization.tasks.datasets.image import imagenet
from learned_optimization.tasks.datasets.prepare import prepare
from learned_optimization.tasks.datasets.sources import downsampled
from tests.tasks.datasets.sources.images import draw, present, small

# As published: eleven files, the tenth not sorted behind the first by name.
LENGTHS = (3,) * 9 + (2,)
ROW = small("imagenet", sum(LENGTHS), 5)
IMAGES, LABELS = draw(ROW.num_train + ROW.num_test, 8, 1000)


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


@pytest.fixture
def folder(tmp_path):
    first = 0
    for i, length in enumerate((*LENGTHS, 5)):
        part = slice(first, first + length)
        train = i < len(LENGTHS)
        where = tmp_path / ("Imagenet8_train_npz" if train else "Imagenet8_val_npz")
        where.mkdir(exist_ok=True)
        name = f"train_data_batch_{i + 1}.npz" if train else "val_data.npz"
        labels = LABELS[part] + 1
        np.savez(where / name, data=planes(IMAGES[part]), labels=labels, mean=0.0)
        first += length
    return tmp_path


def test_pixels_and_labels(folder):
    source = present(downsampled.find(ROW, folder))
    assert (source.num_train, source.num_test) == (29, 5)
    for start, stop in ((0, 34), (2, 7), (28, 30), (27, 29), (33, 34)):
        images, labels = source.read(start, stop, 8)
        np.testing.assert_array_equal(images, IMAGES[start:stop])
        np.testing.assert_array_equal(labels, LABELS[start:stop])
    assert downsampled.find(ROW, folder / "Imagenet8_train_npz") is None


def test_prepared_and_loaded(folder, monkeypatch):
    monkeypatch.setitem(catalog.IMAGE_DATASETS, "imagenet", ROW)
    prepare("imagenet", folder, image_size=8)
    arrays = imagenet(2, image_size=8).load().arrays
    np.testing.assert_array_equal(arrays["image"], IMAGES)
    np.testing.assert_array_equal(arrays["label"], LABELS)


def test_what_is_refused(folder):
    with pytest.raises(DatasetShapeError, match=r"8x8 pixels.*768.* 16x16"):
        present(downsampled.find(ROW, folder)).read(0, 34, 16)
    val = folder / "Imagenet8_val_npz" / "val_data.npz"
    np.savez(val, data=planes(IMAGES[:5]), labels=np.full(5, 1001))
    with pytest.raises(DatasetShapeError, match="holds the label 1000"):
        present(downsampled.find(ROW, folder)).read(29, 34, 8)
    np.savez(val, data=planes(IMAGES[:4]), labels=LABELS[:4])
    with pytest.raises(DatasetShapeError, match="29 training and 4 test images"):
        present(downsampled.find(ROW, folder)).read(0, 3, 8)
    np.savez(val, data=planes(IMAGES[:5]))
    with pytest.raises(DatasetShapeError, match=r"val_data\.npz: has no 'labels'"):
        present(downsampled.find(ROW, folder)).read(0, 3, 8)
    val.write_bytes(b"no zip")
    with pytest.raises(DatasetShapeError, match=r"val_data\.npz: has no 'labels'"):
        present(downsampled.find(ROW, folder)).read(0, 3, 8)


def test_damage_and_odd_content_are_named(folder):
    val = folder / "Imagenet8_val_npz" / "val_data.npz"
    data, labels = planes(IMAGES[:5]), LABELS[:5] + 1
    for content, message in (
        ({"data": data / 1.0, "labels": labels}, "holds float64"),
        ({"data": np.uint8(3), "labels": labels}, r"of shape \(\)"),
        ({"data": data, "labels": labels / 1.0}, "labels are float64"),
        ({"data": data, "labels": np.int64(3)}, r"labels are int64 of shape \(\)"),
    ):
        np.savez(val, **content)
        with pytest.raises(DatasetShapeError, match=message):
            present(downsampled.find(ROW, folder)).read(29, 34, 8)
    np.savez_compressed(val, data=data // 9, labels=labels)
    content = bytearray(val.read_bytes())
    content[80:200] = bytes(byte ^ 0x5A for byte in content[80:200])
    val.write_bytes(content)
    with pytest.raises(DatasetShapeError, match=r"val_data\.npz: has no 'data'"):
        present(downsampled.find(ROW, folder)).read(29, 34, 8)
    with val.open("wb") as file:
        np.save(file, labels)
    with pytest.raises(DatasetShapeError, match=r"val_data\.npz: has no 'labels'"):
        present(downsampled.find(ROW, folder)).read(29, 34, 8)


def test_other_names_and_other_sizes(folder):
    train = folder / "Imagenet8_train_npz"
    (train / "train_data_batch_1 (1).npz").write_bytes(b"")
    assert present(downsampled.find(ROW, folder)).num_train == ROW.num_train
    other = folder / "Imagenet16_train_npz"
    other.mkdir()
    (other / "train_data_batch_1.npz").write_bytes(b"")
    with pytest.raises(DatasetShapeError, match=r"several copies \(Imagenet16_train"):
        present(downsampled.find(ROW, folder)).read(0, 1, 8)
