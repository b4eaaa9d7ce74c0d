"""CIFAR's binary version: pixels, labels, and what is refused."""

import io
import tarfile

import numpy as np
import pytest

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.image import cifar10, cifar100
from learned_optimization.tasks.datasets.sources import cifar
from tests.tasks.datasets.sources.images import draw, present, small

FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
ROWS = {"cifar10": small("cifar10", 50, 10), "cifar100": small("cifar100", 30, 10)}


def records(name, images, labels):
    """One record after another: labels, then red, green and blue planes."""
    out = []
    for image, label in zip(images, labels, strict=True):
        coarse = [77] if name == "cifar100" else []
        planes = [image[..., channel].tobytes() for channel in range(3)]
        out.append(bytes([*coarse, label]) + b"".join(planes))
    return out


def contents(name, row):
    num = row.num_train + row.num_test
    images, labels = draw(num, 32, row.num_classes)
    all_records = records(name, images, labels)
    train, test = all_records[: row.num_train], all_records[row.num_train :]
    if name == "cifar100":
        parts = {"train.bin": train, "test.bin": test}
    else:
        n = row.num_train // 5
        parts = {f"data_batch_{i + 1}.bin": train[n * i : n * i + n] for i in range(5)}
        parts["test_batch.bin"] = test
    return images, labels, {file: b"".join(part) for file, part in parts.items()}


def write(name, folder, parts):
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in parts.items():
        (folder / file).write_bytes(content)


def write_archive(name, folder, parts):
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{FOLDERS[name].replace('batches-bin', 'binary')}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for file, content in {"readme.html": b"<html>", **parts}.items():
            member = tarfile.TarInfo(f"{FOLDERS[name]}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("where", ["folder", "subfolder", "archive"])
def test_pixels_and_labels(name, where, tmp_path):
    row = ROWS[name]
    images, labels, parts = contents(name, row)
    if where == "archive":
        write_archive(name, tmp_path, parts)
    else:
        write(name, tmp_path / (FOLDERS[name] if where == "subfolder" else ""), parts)
    source = present(cifar.find(row, tmp_path))
    got_images, got_labels = source.read(0, row.num_train + row.num_test, 32)
    np.testing.assert_array_equal(got_images, images)
    np.testing.assert_array_equal(got_labels, labels)
    assert got_labels.dtype == np.int32
    middle, _ = source.read(3, 7, 32)
    np.testing.assert_array_equal(middle, images[3:7])


@pytest.mark.parametrize("name", ROWS)
def test_nothing_is_found_where_a_file_is_missing(name, tmp_path):
    assert cifar.find(ROWS[name], tmp_path) is None
    assert cifar.find(ROWS[name], tmp_path / "nowhere") is None
    _, _, parts = contents(name, ROWS[name])
    parts.popitem()
    write(name, tmp_path, parts)
    assert cifar.find(ROWS[name], tmp_path) is None


def test_what_is_refused(tmp_path):
    row = ROWS["cifar10"]
    _, _, parts = contents("cifar10", row)
    write("cifar10", tmp_path, {**parts, "data_batch_2.bin": b"x" * 100})
    with pytest.raises(
        DatasetShapeError,
        match=r"data_batch_2\.bin: holds 100 bytes, expected 30730: 10 records of 3073",
    ):
        present(cifar.find(row, tmp_path)).read(0, 60, 32)
    bad_label = b"\x0a" + parts["test_batch.bin"][1:]
    write("cifar10", tmp_path, {**parts, "test_batch.bin": bad_label})
    with pytest.raises(DatasetShapeError, match="holds the label 10"):
        present(cifar.find(row, tmp_path)).read(0, 60, 32)


def test_archives_that_are_refused(tmp_path):
    row = ROWS["cifar10"]
    _, _, parts = contents("cifar10", row)
    without = {file: part for file, part in parts.items() if file != "test_batch.bin"}
    archive = write_archive("cifar10", tmp_path, without)
    with pytest.raises(DatasetShapeError, match=r"lacks test_batch\.bin\. It must be"):
        present(cifar.find(row, tmp_path)).read(0, 60, 32)
    archive = write_archive("cifar10", tmp_path, parts)
    # One bit in the middle; only the checksum at the end can tell.
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DatasetShapeError, match="cannot be read"):
        present(cifar.find(row, tmp_path)).read(0, 60, 32)
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(DatasetShapeError, match="cannot be read"):
        present(cifar.find(row, tmp_path)).read(0, 60, 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_the_whole_set_through_its_task_face(name, tmp_path):
    rng = np.random.default_rng(0)
    bytes_a_label = 2 if name == "cifar100" else 1
    record = bytes_a_label + 3072
    num_classes = {"cifar10": 10, "cifar100": 100}[name]
    everything = np.frombuffer(rng.bytes(60_000 * record), np.uint8).reshape(-1, record)
    everything = everything.copy()
    everything[:, bytes_a_label - 1] %= num_classes
    if name == "cifar100":
        parts = {"train.bin": everything[:50_000], "test.bin": everything[50_000:]}
    else:
        parts = {
            f"data_batch_{i + 1}.bin": everything[10_000 * i :][:10_000]
            for i in range(5)
        }
        parts["test_batch.bin"] = everything[50_000:]
    content = {file: part.tobytes() for file, part in parts.items()}
    write(name, tmp_path / "data" / name, content)
    data = {"cifar10": cifar10, "cifar100": cifar100}[name](16)
    assert data.is_available()
    batch = data.load().take(np.array([0, 49_999, 50_000, 59_999]))
    red = everything[[0, 49_999, 50_000, 59_999], bytes_a_label : bytes_a_label + 1024]
    got = batch["image"][..., 0].reshape(4, -1)
    np.testing.assert_allclose(got, red / 255, atol=1e-7)
    assert data.load().splits["test"] == (50_000, 60_000)
    assert data.load().splits["outer_valid"] == (45_000, 50_000)
