"""npz files: what was written is what is read, or an error, and nothing runs."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    ResultError,
    TooLargeError,
    UnsafeFileError,
)
from learned_optimization.npz import (
    NpzWriter,
    limits,
    open_npz,
    read_npz,
    write_npz,
)

ARRAYS = {
    "losses": np.array([3.0, np.nan, 1.5], np.float32),
    "eval/xs": np.arange(0, 21, 10),
    "name": np.asarray("Adam, β₁"),
    "flag": np.bool_(True),
    "empty": np.zeros((0, 3), np.float64),
    "grid": np.arange(12, dtype=np.int16).reshape(3, 4),
}


def same(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype
        and a[k].shape == b[k].shape
        and np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind == "f")
        for k in a
    )


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.npz")


@pytest.mark.parametrize("compress", [True, False])
def test_what_is_written_is_read_by_us_and_by_numpy(path, compress):
    write_npz(path, ARRAYS, compress)
    want = {key: np.asarray(value) for key, value in ARRAYS.items()}
    assert same(read_npz(path), want)
    with np.load(path, allow_pickle=False) as npz:
        assert same(dict(npz.items()), want)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(path, save):
    arrays = {**ARRAYS, "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3))}
    arrays["big_endian"] = np.arange(3, dtype=">f8")
    save(path, **arrays)
    assert same(read_npz(path), {k: np.asarray(v) for k, v in arrays.items()})
    with open_npz(path) as npz:
        assert not npz.is_sealed


def test_rows_make_the_same_file_as_the_whole(tmp_path):
    whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    contents = []
    for rows in ([whole], list(whole.reshape(6, 4)), [*whole]):
        file = io.BytesIO()
        with NpzWriter(file) as writer:
            writer.add_rows("x", whole.shape, whole.dtype, rows)
        contents.append(file.getvalue())
    assert contents[0] == contents[1] == contents[2]
    with (
        pytest.raises(ValueError, match="bytes short"),
        NpzWriter(io.BytesIO()) as short,
    ):
        short.add_rows("x", whole.shape, whole.dtype, [whole[0]])


def test_some_keys(path):
    write_npz(path, ARRAYS)
    assert list(read_npz(path, ["grid", "name"])) == ["grid", "name"]
    assert list(read_npz(path, ["grid", "none"], missing_ok=True)) == ["grid"]
    with pytest.raises(DamagedFileError, match=r"key 'none': there is no such key"):
        read_npz(path, ["grid", "none"])
    with open_npz(path) as npz:
        assert npz.header("grid").shape == (3, 4)
        assert npz.size_of("grid") == npz.header("grid").total_bytes


def test_one_changed_key_does_not_spoil_the_others(path):
    write_npz(path, ARRAYS, compress=False)
    content = bytearray(Path(path).read_bytes())
    at = content.index(ARRAYS["grid"].tobytes())
    content[at] ^= 1
    Path(path).write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"key 'grid'") as error:
        read_npz(path)
    assert (error.value.path, error.value.key) == (path, "grid")
    assert same(read_npz(path, ["losses"]), {"losses": ARRAYS["losses"]})


def test_every_flipped_bit_is_noticed_or_changes_nothing(path):
    arrays = {"x": np.array([1, 2], np.float32), "t": np.asarray("ab")}
    write_npz(path, arrays)
    content = Path(path).read_bytes()
    noticed = 0
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        Path(path).write_bytes(flipped)
        try:
            read = read_npz(path)
        except DamagedFileError:
            noticed += 1
        else:
            assert same(read, arrays), f"bit {bit}"
    assert noticed > 0.8 * 8 * len(content)


def test_every_truncation_is_noticed(path):
    write_npz(path, {"x": np.array([1, 2], np.float32), "t": np.asarray("ab")})
    content = Path(path).read_bytes()
    for length in range(len(content)):
        Path(path).write_bytes(content[:length])
        with pytest.raises(DamagedFileError):
            read_npz(path)


class _Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_no_pickle_is_run(path, tmp_path):
    trap = tmp_path / "executed"
    objects = np.array([_Malicious(trap)], dtype=object)
    np.savez(path, x=np.zeros(2), bad=objects)
    with pytest.raises(UnsafeFileError, match=r"key 'bad': it holds Python objects"):
        read_npz(path)
    # Not even the file of a pickle alone, or one inside a zip.
    Path(path).write_bytes(pickle.dumps(_Malicious(trap)))
    with pytest.raises(DamagedFileError):
        read_npz(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", pickle.dumps(_Malicious(trap)))
    with pytest.raises(DamagedFileError, match="does not begin as an array"):
        read_npz(path)
    assert not trap.exists()
    # The trap itself works.
    pickle.loads(pickle.dumps(_Malicious(trap)))
    assert trap.exists()


def test_no_header_is_evaluated(path):
    for descr in (
        "'|O'",
        "'O'",
        "[('a', 'O')]",
        "__import__('os').mkdir('x')",
        "'<f4' if 1 else 0",
        "'<m8[s]'",
        "'|V4'",
        "'<U0'",
        "'<f3'",
    ):
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n"
        header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", header + b"1234")
        with pytest.raises(DamagedFileError):
            read_npz(path)


def _bomb(path, declared):
    """A member that says it holds so many bytes."""
    header = io.BytesIO()
    shape = (declared - 128,)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", header.getvalue())
    content = bytearray(Path(path).read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", declared)
    Path(path).write_bytes(content)


def test_a_declared_size_that_cannot_be_is_refused_unread(path):
    _bomb(path, (1 << 32) - 2)
    tracemalloc.start()
    with pytest.raises(DamagedFileError, match="more than can come of"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_real_bomb_is_bounded_before_it_is_read(path, monkeypatch):
    np.savez_compressed(path, a=np.zeros(1 << 23), b=np.zeros(1 << 23))
    monkeypatch.setenv("LOPT_MAX_READ_BYTES", str(100 << 20))
    tracemalloc.start()
    with pytest.raises(TooLargeError, match=r"134,\d{3},\d{3} bytes, and 104,857,600"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    # One of the two fits.
    assert read_npz(path, ["a"])["a"].shape == (1 << 23,)
    for wrong in ("0", "-1", "many"):
        monkeypatch.setenv("LOPT_MAX_READ_BYTES", wrong)
        with pytest.raises(LoptError, match="LOPT_MAX_READ_BYTES must be"):
            read_npz(path)


def test_a_small_file_may_hold_a_gigabyte_and_no_more(path, monkeypatch):
    # Two arrays of 600 MB that are all zeros, which a file of 1.2 MB can hold.
    size = 600 << 20
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    )
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    parts = [deflate.compress(header.getvalue())]
    parts += [deflate.compress(block) for _ in range(size >> 20)]
    content = b"".join([*parts, deflate.flush()])
    total = size + len(header.getvalue())
    _zip(path, *((f"{key}.npy", b"?" * len(content)) for key in "ab"))
    whole = bytearray(Path(path).read_bytes().replace(b"?" * len(content), content))
    at = -1
    while (at := whole.find(b"PK\x01\x02", at + 1)) >= 0:
        whole[at + 10 : at + 12] = struct.pack("<H", zipfile.ZIP_DEFLATED)
        whole[at + 24 : at + 28] = struct.pack("<I", total)
    Path(path).write_bytes(whole)
    assert len(whole) < 8 << 20
    tracemalloc.start()
    with pytest.raises(TooLargeError, match=r"1,258,\d{3},\d{3} bytes, and 1,07"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert limits.max_read_bytes(len(whole)) == 1 << 30
    assert limits.max_read_bytes(1 << 25) == 100 << 25
    assert limits.max_read_bytes(1 << 40) == limits.max_read_bytes() == 16 << 30
    # Who trusts the file says so.
    monkeypatch.setenv("LOPT_MAX_READ_BYTES", str(1 << 31))
    assert limits.max_read_bytes(len(whole)) == 1 << 31
    monkeypatch.setenv("LOPT_MAX_READ_BYTES", "9" * 10_000)
    with pytest.raises(LoptError, match="LOPT_MAX_READ_BYTES must be"):
        read_npz(path)


def test_what_a_header_says_is_judged_before_values_are_read(path):
    np.savez_compressed(path, a=np.zeros(1 << 22), b=np.zeros(3))
    tracemalloc.start()
    with (
        pytest.raises(DamagedFileError, match="key 'a': more than three"),
        open_npz(path) as npz,
    ):
        npz.read(check=lambda key, h: "more than three" if h.shape[0] > 3 else None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def _directory(count, size_of_each=0):
    """A zip that is little but a directory of so many entries."""
    name = b"x" * size_of_each
    entry = struct.pack("<4s24x3H12x", b"PK\x01\x02", len(name), 0, 0) + name
    size = count * len(entry)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0)
    return entry * count + end


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_directory(80_000), "it has 80,000 members"),
        (_directory(1_000_000), "its directory has 46,000,000 bytes"),
        (_directory(100, 60_000), "its directory has 6,004,600 bytes"),
    ],
)
def test_members_are_counted_before_they_are_parsed(
    path, monkeypatch, content, message
):
    Path(path).write_bytes(content)

    def parse(*arguments, **options):
        raise AssertionError("it is parsed")

    monkeypatch.setattr(zipfile.ZipFile, "__init__", parse)
    with pytest.raises(DamagedFileError, match=message):
        read_npz(path)


def test_members_that_share_bytes_are_refused(path):
    x = _npy(np.array([1, 2], np.float32))
    _zip(path, ("x.npy", x), ("y.npy", x))
    content = bytearray(Path(path).read_bytes())
    second = content.rindex(b"PK\x01\x02")
    # Both entries lead to the first member.
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    Path(path).write_bytes(content)
    with pytest.raises(DamagedFileError, match="begins within another member"):
        read_npz(path)


def test_text_with_halves_of_characters_is_refused(path):
    np.savez(path, x=np.array("a\udcff"))
    with pytest.raises(DamagedFileError, match="key 'x': it holds text with halves"):
        read_npz(path)


def test_more_than_the_memory_of_the_machine(path, monkeypatch):
    write_npz(path, {"x": np.zeros(3)})

    def empty(*arguments):
        raise MemoryError

    monkeypatch.setattr(np, "empty", empty)
    with pytest.raises(TooLargeError, match="larger than the memory"):
        read_npz(path)


def _zip(path, *members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)


def _npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_zips_are_refused(path):
    x = ("x.npy", _npy(np.array([1, 2], np.float32)))
    cases = {
        "two members of one name": lambda: _zip(path, x, x),
        "which is no array": lambda: _zip(path, x, ("run.sh", b"echo")),
        "compressed by method 12": lambda: _zip(path, x, method=zipfile.ZIP_BZIP2),
        "compressed by method 14": lambda: _zip(path, x, method=zipfile.ZIP_LZMA),
        "its header says": lambda: _zip(path, ("x.npy", x[1] + b"more")),
        "members": lambda: _zip(path, *((f"{i}.npy", b"") for i in range(10_001))),
        "truth values": lambda: _zip(
            path, ("x.npy", _npy(np.ones(2, bool))[:-1] + b"2")
        ),
        "no Unicode": lambda: _zip(path, ("x.npy", _npy(np.array("a"))[:-1] + b"\x7f")),
        "unknown version": lambda: _zip(
            path, ("x.npy", b"\x93NUMPY\x09\x00" + b"0" * 99)
        ),
    }
    for message, make in cases.items():
        make()
        with pytest.raises(DamagedFileError, match=message):
            read_npz(path)


def test_an_encrypted_member_is_refused(path):
    _zip(path, ("x.npy", _npy(np.array([1, 2], np.float32))))
    content = bytearray(Path(path).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    Path(path).write_bytes(content)
    with pytest.raises(DamagedFileError, match="encrypted"):
        read_npz(path)


def test_a_missing_file_is_no_damaged_one(tmp_path):
    with pytest.raises(ResultError, match="no such file") as error:
        read_npz(str(tmp_path / "none.npz"))
    assert not isinstance(error.value, DamagedFileError)


def test_a_file_that_may_not_be_read_is_no_damaged_one(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ResultError, match="cannot read") as error:
        read_npz(str(tmp_path / "folder.npz"))
    assert not isinstance(error.value, DamagedFileError)


def test_large_members_have_64_bit_sizes(path, monkeypatch):
    monkeypatch.setattr("learned_optimization.npz.writing._ZIP64_FROM", 0)
    write_npz(path, ARRAYS)
    assert same(read_npz(path), {k: np.asarray(v) for k, v in ARRAYS.items()})
    with np.load(path) as npz:
        assert npz["grid"].shape == (3, 4)
