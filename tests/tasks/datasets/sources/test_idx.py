"""The IDX reader on good, damaged and random files."""

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learned_optimization.errors import DatasetShapeError
from learned_optimization.tasks.datasets.sources.idx import read_idx
from tests.tasks.datasets.original_files import idx_bytes


@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (2, 1), (0, 28, 28)])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_reads_what_was_written(tmp_path, shape, ending):
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    content = idx_bytes(array)
    path = tmp_path / f"file{ending}"
    path.write_bytes(gzip.compress(content) if ending else content)
    np.testing.assert_array_equal(read_idx(path), array)


GOOD = idx_bytes(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "nothing"),
        (b"\x01" + GOOD[1:], "begins with 01000802"),
        (b"\0\0\x0d\x02" + GOOD[4:], "begins with 00000d02"),
        (GOOD[:-1], r"declares the shape \(3, 4\), which takes 12 bytes, but holds 11"),
        (GOOD + b"x", "holds 13"),
        (GOOD[:9], "declares 2 axes but ends within"),
        (b"\0\0\x08\x46" + b"\0\0\0\x01" * 70 + b"x", "declares the shape"),
        (b"\0\0\x08\x04" + b"\0" * 4 + b"\xff" * 12, "declares the shape"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DatasetShapeError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_damaged_compression_and_missing_file(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(GOOD)[:-9])
    with pytest.raises(DatasetShapeError, match="cannot be read"):
        read_idx(path)
    with pytest.raises(DatasetShapeError, match="cannot be read"):
        read_idx(tmp_path / "none")


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=64) | st.binary(max_size=48).map(lambda b: b"\0\0\x08" + b))
def test_random_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "random"
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except DatasetShapeError:
        return
    assert idx_bytes(array) == content
