"""Hugging Face's parquet layout, images and text, read offline."""

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learned_optimization.errors import DatasetShapeError, LoptError
from learned_optimization.tasks.datasets import catalog
from learned_optimization.tasks.datasets.image import cifar100, mnist
from learned_optimization.tasks.datasets.prepare import prepare
from learned_optimization.tasks.datasets.sources import parquet
from learned_optimization.tasks.datasets.text import wikipedia_en_bytes
from tests.tasks.datasets.sources.images import draw, encoded, present, small

ROW = small("cifar100", 10, 4)
IMAGES, LABELS = draw(14, 32, 100)


def write_images(path, images, labels, column="img", label="fine_label", groups=3):
    cells = [{"bytes": encoded(image), "path": None} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {column: pa.array(cells, kind), label: pa.array(labels, pa.int64())}
    columns["coarse_label"] = pa.array([7] * len(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=groups)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "copy"
    for name, part in (
        ("train-00000-of-00002", slice(0, 7)),
        ("train-00001-of-00002", slice(7, 10)),
        ("test-00000-of-00001", slice(10, 14)),
    ):
        path = root / "cifar100" / f"{name}.parquet"
        write_images(path, IMAGES[part], LABELS[part])
    return root


def test_pixels_and_labels(folder):
    for where in (folder, folder / "cifar100"):
        source = present(parquet.find(ROW, where))
        assert (source.num_train, source.num_test) == (10, 4)
        for start, stop in ((0, 14), (2, 3), (5, 12), (9, 14), (6, 7)):
            images, labels = source.read(start, stop, 32)
            np.testing.assert_array_equal(images, IMAGES[start:stop])
            np.testing.assert_array_equal(labels, LABELS[start:stop])


def test_prepared_and_loaded(folder, monkeypatch):
    monkeypatch.setitem(catalog.IMAGE_DATASETS, "cifar100", ROW)
    prepare("cifar100", folder)
    arrays = cifar100(2).load().arrays
    np.testing.assert_array_equal(arrays["image"], IMAGES)
    np.testing.assert_array_equal(arrays["label"], LABELS)


def test_grey_images(tmp_path, monkeypatch):
    row = small("mnist", 5, 2)
    monkeypatch.setitem(catalog.IMAGE_DATASETS, "mnist", row)
    images, labels = draw(7, 28, 10, channels=1)
    for part, span in (("train", slice(0, 5)), ("test", slice(5, 7))):
        path = tmp_path / "mnist" / f"{part}-00000-of-00001.parquet"
        write_images(path, images[span], labels[span], "image", "label")
    prepare("mnist", tmp_path)
    np.testing.assert_array_equal(mnist(2).load().arrays["image"], images)


def test_imagenet_is_tested_on_its_validation_part(tmp_path):
    row = small("imagenet", 6, 3)
    images, labels = draw(9, 10, 1000)
    for part, span in (("train", slice(0, 6)), ("validation", slice(6, 9))):
        path = tmp_path / "data" / f"{part}-00000-of-00001.parquet"
        write_images(path, images[span], labels[span], "image", "label")
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    write_images(path, images[:2], [-1, -1], "image", "label")
    source = present(parquet.find(row, tmp_path))
    got, numbers = source.read(0, 9, 10)
    np.testing.assert_array_equal(numbers, labels)
    np.testing.assert_array_equal(got, images)


def test_nothing_is_found_where_a_part_is_missing(folder):
    assert parquet.find(ROW, folder.parent) is None
    (folder / "cifar100" / "test-00000-of-00001.parquet").unlink()
    assert parquet.find(ROW, folder) is None


def test_what_is_refused(folder):
    with pytest.raises(DatasetShapeError, match="10 training and 4 test images, cifar"):
        present(parquet.find(small("cifar100", 11, 4), folder)).read(0, 1, 32)
    path = folder / "cifar100" / "test-00000-of-00001.parquet"
    write_images(path, IMAGES[:4], [0, 1, 100, 3])
    with pytest.raises(DatasetShapeError, match="holds the label 100"):
        present(parquet.find(ROW, folder)).read(0, 14, 32)
    write_images(path, IMAGES[:4], [0, 1, 2, 3], column="picture")
    with pytest.raises(DatasetShapeError, match=r"picture, .* expected one named im"):
        present(parquet.find(ROW, folder)).read(0, 14, 32)
    write_images(path, IMAGES[:4, :20, :20], [0, 1, 2, 3])
    with pytest.raises(DatasetShapeError, match=r"image 10: is 20x20 pixels"):
        present(parquet.find(ROW, folder)).read(0, 14, 32)
    path.write_bytes(b"PAR0")
    with pytest.raises(DatasetShapeError, match="no parquet file"):
        present(parquet.find(ROW, folder)).read(0, 14, 32)


def test_articles(tmp_path):
    row = catalog.get_text_dataset("wikipedia")
    articles = [f"Article {i}\n\nabout the number {i}." for i in range(300)]
    folder = tmp_path / "20231101.en"
    folder.mkdir()
    for i in range(3):
        texts = articles[100 * i : 100 * i + 100]
        table = pa.table({"id": [str(i)] * 100, "text": texts})
        path = folder / f"train-0000{i}-of-00003.parquet"
        pq.write_table(table, path, row_group_size=4)
    source = present(parquet.find(row, tmp_path))
    read = [text for shard in source.train for text in shard.documents()]
    assert read == articles
    assert not source.test
    prepare("wikipedia", tmp_path, vocabulary="bytes")
    data = wikipedia_en_bytes(2, 12).load()
    rows = data.take(np.arange(300))["obs"]
    # Byte b is token b + 3; articles come in an order drawn once.
    beginnings = sorted(bytes((row - 3).tolist()) for row in rows)
    assert beginnings == sorted(article.encode()[:12] for article in articles)
    pq.write_table(pa.table({"title": ["x"]}), folder / "train-00000-of-00003.parquet")
    with pytest.raises(DatasetShapeError, match="columns title, expected one named t"):
        next(present(parquet.find(row, tmp_path)).train[0].documents())


def test_one_configuration_of_several_is_read(tmp_path):
    row = small("svhn_cropped", 3, 2)
    images, labels = draw(5, 32, 10)
    for config in ("cropped_digits", "full_numbers"):
        for part, span in (("train", slice(0, 3)), ("test", slice(3, 5))):
            path = tmp_path / config / f"{part}-00000-of-00001.parquet"
            write_images(path, images[span], labels[span], "image", "label")
    source = present(parquet.find(row, tmp_path))
    assert {file.parent.name for file in source.files} == {"cropped_digits"}
    np.testing.assert_array_equal(source.read(0, 5, 32)[1], labels)
    wikipedia = catalog.get_text_dataset("wikipedia")
    for config in ("20231101.de", "20231101.en"):
        (tmp_path / config).mkdir()
        path = tmp_path / config / "train-00000-of-00001.parquet"
        pq.write_table(pa.table({"text": [config]}), path)
    (shard,) = present(parquet.find(wikipedia, tmp_path)).train
    assert list(shard.documents()) == ["20231101.en"]


@pytest.mark.parametrize("bad", ["image", "bytes", "label", "kind"])
def test_missing_cells_are_named(bad, tmp_path):
    cells: list[Any] = [{"bytes": encoded(image), "path": None} for image in IMAGES[:3]]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [1, None if bad == "label" else 2, 3]
    if bad == "image":
        cells[1] = None
    elif bad == "bytes":
        cells[1]["bytes"] = None
    elif bad == "kind":
        cells, kind = [cell["bytes"] for cell in cells], pa.binary()
    table = pa.table({"img": pa.array(cells, kind), "label": pa.array(labels)})
    for part in ("train", "test"):
        pq.write_table(table, tmp_path / f"{part}-00000-of-00001.parquet")
    number = 0 if bad == "kind" else 1
    with pytest.raises(DatasetShapeError, match=f"image {number}: has the label"):
        present(parquet.find(small("cifar10", 3, 3), tmp_path)).read(0, 6, 32)


def test_damage_inside_a_file_is_named(folder, tmp_path):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[4:120] = bytes(byte ^ 0xFF for byte in content[4:120])
        path.write_bytes(content)

    damage(folder / "cifar100" / "train-00000-of-00002.parquet")
    with pytest.raises(DatasetShapeError, match=r"00000-of-00002\.parquet: is damaged"):
        present(parquet.find(ROW, folder)).read(0, 14, 32)
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"text": [str(i) * 20 for i in range(99)]}), path)
    damage(path)
    (shard,) = present(
        parquet.find(catalog.get_text_dataset("wikipedia"), tmp_path)
    ).train
    with pytest.raises(DatasetShapeError, match="is damaged"):
        list(shard.documents())


def test_a_missing_package_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LoptError, match=r"pip install 'optimizer-baselines\[data\]'"):
        present(parquet.find(ROW, folder)).read(0, 14, 32)
