"""Packed archives: read without this package, and refused when they are not whole."""

import io
import lzma

import numpy as np
import pytest

from learned_optimization.baselines.release.packing import pack, unpack
from learned_optimization.errors import DamagedFileError, TooLargeError, UnsafeFileError
from learned_optimization.npz import limits

ARRAYS = {
    "eval/xs": np.arange(12).reshape(2, 2, 3),
    "eval/test/loss": np.asarray([[[1.5, np.nan, np.inf]]], np.float32),
    "opt_name": np.asarray([["SGD_lr0.1"]]),
}


def test_numpy_and_xz_read_one():
    with np.load(io.BytesIO(lzma.decompress(pack(ARRAYS)))) as file:
        assert list(file) == list(ARRAYS)
        for key, array in ARRAYS.items():
            np.testing.assert_array_equal(file[key], array)
            assert file[key].dtype == array.dtype


def test_it_is_read_as_it_was_written():
    content = pack(ARRAYS)
    assert content == pack(dict(ARRAYS))
    got = unpack(content, "a.npz.xz")
    assert list(got) == list(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(got[key], array)


def test_what_is_not_whole_is_refused(monkeypatch):
    content = pack(ARRAYS)
    other = lzma.compress(b"no npz")
    for bad in (content[:-1], content[:50], content + b"x", b"", b"text", other):
        with pytest.raises(DamagedFileError, match=r"cannot read a\.npz\.xz"):
            unpack(bad, "a.npz.xz")
    for place in range(0, len(content), 37):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(DamagedFileError):
            unpack(bytes(changed), "a.npz.xz")
    objects = io.BytesIO()
    np.savez(objects, a=np.asarray([{}], object))
    with pytest.raises(UnsafeFileError):
        unpack(lzma.compress(objects.getvalue()), "a.npz.xz")
    monkeypatch.setenv("LOPT_MAX_READ_BYTES", "100")
    with pytest.raises(TooLargeError, match="more than 100 bytes"):
        unpack(content, "a.npz.xz")


def test_a_small_file_that_holds_much_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "MAX_SMALL_READ_BYTES", 1_000)
    bomb = lzma.compress(bytes(1 << 20))
    most = limits.MAX_INFLATION * len(bomb)
    assert most < 1 << 20
    with pytest.raises(TooLargeError, match=f"it holds more than {most:,} bytes"):
        unpack(bomb, "a.npz.xz")


def test_a_dictionary_of_gigabytes_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    content = bytearray(lzma.compress(b"no npz", filters=filters))
    with pytest.raises(DamagedFileError, match="emory usage limit"):
        unpack(bytes(content), "a.npz.xz")
