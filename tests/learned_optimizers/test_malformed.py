"""Files that must not be used: each is refused with an error that names it."""

import gzip
import io
import json
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gin
import hypothesis
import hypothesis.strategies as st
import msgpack
import numpy as np
import pytest

from learned_optimization.errors import LoptError, UnsafeFileError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from tests.learned_optimizers.checkpoint_files import (
    SMALL_CONFIG,
    array,
    content_of,
    pack,
    packed,
    small_theta,
    write,
)

WHOLE = content_of(small_theta())
_PATHS = [(layer, name) for layer, leaves in small_theta().items() for name in leaves]


class _Program:
    """What runs code where a pickle is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, ("a pickle was loaded",)


def _with(layer: str, name: str, value: Any) -> bytes:
    theta = packed(small_theta())
    theta[layer][name] = value
    return content_of(theta)


def _arrays_that_are_wrong() -> Iterator[tuple[str, Any]]:
    value = np.ones((2, 3), np.float32)
    yield "float64", array(value.astype(np.float64))
    yield "int32", array(value.astype(np.int32))
    yield "bool", array(value.astype(bool))
    yield "complex64", array(value.astype(np.complex64))
    for dtype in ("O", "object", "V4", "<U4", ">f4", "f4,f4", "float128", "", "void"):
        yield f"type {dtype!r}", array(value, dtype=dtype)
    yield "a type that is no text", array(value, dtype=7)
    yield "a long type", array(value, dtype="f" * 5000)
    for shape in (
        (2, 2), (3, 2, 1, 2), (-2, -3), (-1,), (2**63,), (2**63, 2), (2**62, 4, 0),
        (2**40, 2**40), (1.5, 4), ("2", 3), (True, 6), (None,), ((2, 3),), 6, "23",
        None, (1,) * 40, (2,) * 17,
    ):  # fmt: skip
        yield f"shape {shape!r}"[:40], array(value, shape=shape)
    yield "no bytes", array(value, content=b"")
    yield "too few bytes", array(value, content=value.tobytes()[:-1])
    yield "too many bytes", array(value, content=value.tobytes() + b"\0")
    yield "text for bytes", array(value, content="a" * 24)
    yield "a list for bytes", array(value, content=[1] * 24)
    yield "a scalar with axes", array(value, code=3)
    yield "a complex number", msgpack.ExtType(2, pack((1.0, 2.0)))
    for code in (0, 4, 5, 42, 127):
        yield f"type {code} of msgpack", msgpack.ExtType(code, b"1234")
    yield "no content", msgpack.ExtType(1, b"")
    yield "an array cut off", msgpack.ExtType(1, array(value).data[:-3])
    yield "an array of four things", msgpack.ExtType(1, pack((1, 2, 3, 4)))
    yield "an array within an array", msgpack.ExtType(1, pack(array(value)))
    yield "a date", msgpack.Timestamp(1, 2)
    for native in (None, True, 1, 1.5, "text", b"bytes", [1.0, 2.0], {}, {"x": 1.0}):
        yield f"{native!r}", native


def _theta_that_is_wrong() -> Iterator[tuple[str, bytes]]:
    for layer, name in _PATHS:
        value = small_theta()[layer][name]
        wrong = {
            "without axes": value.ravel()[:1],
            "transposed": value[None].T,
            "in float64": value.astype(np.float64),
        }
        for label, other in wrong.items():
            yield f"{layer} {name} {label}", _with(layer, name, array(other))
        for label, number in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf)):
            spoilt = value.copy()
            spoilt.flat[-1] = number
            yield f"{label} in {layer} {name}", _with(layer, name, array(spoilt))
        yield (
            f"{layer} {name} without axes",
            _with(layer, name, array(value.ravel()[:1])),
        )
        yield (
            f"{layer} {name} in float64",
            _with(layer, name, array(value.astype("f8"))),
        )
        theta = small_theta()
        del theta[layer][name]
        yield f"{layer} {name} missing", content_of(theta)
        theta = small_theta()
        theta[layer][f"{name}2"] = theta[layer].pop(name)
        yield f"{layer} {name} renamed", content_of(theta)
        theta = small_theta()
        theta[layer][f"{name}2"] = value
        yield f"more than {layer} {name}", content_of(theta)
    for label, value in _arrays_that_are_wrong():
        yield f"array: {label}", _with("mlp/~/linear_0", "w", value)
    yield (
        "bfloat16 with a nan",
        _with(
            "mlp/~/linear_1",
            "b",
            array(
                np.zeros(2), dtype="bfloat16", shape=(2,), content=b"\xc0\x7f\x00\x00"
            ),
        ),
    )
    yield "no theta", content_of({})
    yield "a list of arrays", content_of([np.ones(3, np.float32)])
    yield "theta is an array", content_of(np.ones(3, np.float32))
    yield "theta is text", content_of("text")
    yield (
        "a layer is missing",
        content_of({"mlp/~/linear_0": small_theta()["mlp/~/linear_0"]}),
    )
    yield "another size", content_of(small_theta(4))


def _rest_that_is_wrong() -> Iterator[tuple[str, bytes]]:
    theta = small_theta()
    for gen_id in (None, 1, b"run", {"a": "b"}, "a" * 5000):
        yield f"gen_id {gen_id!r}"[:30], content_of(theta, gen_id)
    for step in (None, "7", 1.5, True, {}, np.ones(2, np.int32), np.float32(1)):
        yield f"step {step!r}", content_of(theta, "run", step)
    arrays = packed(theta)
    yield "no gen_id", pack({"params": arrays, "step": 1})
    yield "no params", pack({"gen_id": "run", "step": 1})
    yield "more than params", pack({"params": arrays, "gen_id": "", "step": 1, "x": 1})
    yield "a tuple of two", pack({"0": arrays, "1": ""})
    yield "another tuple", pack({"0": "", "1": "", "2": arrays})
    yield "a real list", pack([arrays, "", 0])
    yield "numbers as names", pack({0: arrays, 1: "", 2: 0})
    yield "bytes as names", pack({b"params": arrays, b"gen_id": "", b"step": 0})
    yield (
        "a namedtuple without values",
        content_of(
            {"name": "S", "fields": {"0": "w", "1": "b"}, "values": {"0": theta}}
        ),
    )
    yield (
        "a namedtuple with a field twice",
        content_of(
            {
                "name": "S",
                "fields": {"0": "w", "1": "w"},
                "values": {"0": theta, "1": theta},
            }
        ),
    )
    chunked = {"__msgpack_chunked_array__": True, "shape": {"0": 1}, "chunks": {}}
    yield "an array in pieces", content_of({"w": chunked})
    yield "a name twice", b"\x82" + (pack("params") + pack(arrays)) * 2
    yield "a long name", pack({"a" * 2000: arrays})
    yield "a name that is no UTF-8", b"\x81\xa2\xff\xfe\x01"


def _hostile() -> Iterator[tuple[str, bytes]]:
    for depth in (17, 300, 2_000, 100_000):
        yield f"maps, {depth} deep", b"\x81\xa1a" * depth + b"\x80"
        yield f"lists, {depth} deep", b"\x91" * depth + b"\x90"
    yield "maps that claim much", (b"\xdf\x00\x00\x07\xd0\xa1a") * 900
    yield "lists that claim much", (b"\xdd\x00\x0f\x00\x00") * 400_000
    for size in (2**16, 2**31, 2**32 - 1):
        header = struct.pack(">I", size)
        yield f"a map of {size}", b"\xdf" + header
        yield f"a list of {size}", b"\xdd" + header
        yield f"text of {size}", b"\xdb" + header
        yield f"bytes of {size}", b"\xc6" + header
        yield f"an extension of {size}", b"\xc9" + header + b"\x01"
        yield f"a map of {size} in it", b"\x81\xa6params\xdf" + header
    yield "a map of 30,000", pack({str(i): None for i in range(30_000)})
    yield (
        "20 maps of 2,000",
        pack({str(i): {str(j): None for j in range(2_000)} for i in range(20)}),
    )
    one = array(np.float32(1))
    yield (
        "12,000 arrays",
        pack({str(i): {str(j): one for j in range(1_000)} for i in range(12)}),
    )
    yield "nothing", b""
    for byte in (b"\x80", b"\xc0", b"\xc1", b"\x93", b"\x01", b"\xcb", b"\xff"):
        yield f"the byte {byte!r}", byte
    yield "more at the end", WHOLE + b"\x00"
    yield "twice", WHOLE * 2


def _other_files() -> Iterator[tuple[str, bytes]]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"a pickle of protocol {protocol}", pickle.dumps(_Program(), protocol)
        yield f"a pickled theta, {protocol}", pickle.dumps(small_theta(), protocol)
    buffer = io.BytesIO()
    np.savez(buffer, params=np.ones(3, np.float32))
    yield "an npz", buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    yield "an npy with a pickle", buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data.pkl", b"\0" * 50_000_000)
    yield "a zip bomb", buffer.getvalue()
    yield "gzip", gzip.compress(b"\0" * 50_000_000)
    yield "gzip of a checkpoint", gzip.compress(WHOLE)
    yield "json", json.dumps({"params": [1.0]}).encode()
    yield "text", b"hello"
    yield "a web page", b"<!DOCTYPE html><html></html>"
    yield "a configuration", SMALL_CONFIG.encode()
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"
    yield "a pointer of git-lfs", lfs
    yield "program text", b"import os\nos.system('true')\n"
    yield "HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    for seed in range(12):
        size = int(2 ** (seed + 1))
        yield f"random bytes {seed}", np.random.default_rng(seed).bytes(size)


def _cut_off() -> Iterator[tuple[str, bytes]]:
    for share in np.linspace(0.01, 0.999, 25):
        at = int(share * len(WHOLE))
        yield f"cut off at {at}", WHOLE[:at]


FILES = dict(
    [
        *_theta_that_is_wrong(),
        *_rest_that_is_wrong(),
        *_hostile(),
        *_other_files(),
        *_cut_off(),
    ]
)

_LOPT = "run_train.lopt = @MLPLOpt()\n"

CONFIGS: dict[str, str | bytes] = {
    "a function of a module": "import os\nrun_train.lopt = @os.system()",
    "a function": "run_train.lopt = @exec()",
    "an optimizer that is not learned": "run_train.lopt = @Adam()",
    "a task": "run_train.lopt = @ImageMLP_FashionMnist8_Relu32()",
    "an unknown class": "run_train.lopt = @MLPLOptt()",
    "a class as text": "run_train.lopt = 'MLPLOpt'",
    "a class as a number": "run_train.lopt = 3",
    "no class": "run_train.lopt = None",
    "a list of classes": "run_train.lopt = [@MLPLOpt()]",
    "an expression": "run_train.lopt = __import__('os')",
    "a call": "run_train.lopt = print(1)",
    "arguments": "run_train.lopt = @MLPLOpt(hidden_size=3)",
    "a lambda": "run_train.lopt = lambda: 1",
    "arithmetic": _LOPT + "MLPLOpt.hidden_size = 1 + 2",
    "a power": _LOPT + "MLPLOpt.hidden_size = 9**9**9",
    "a comprehension": _LOPT + "MLPLOpt.hidden_size = [x for x in y]",
    "an f-string": _LOPT + "MLPLOpt.hidden_size = f'{1}'",
    "a name": _LOPT + "MLPLOpt.hidden_size = os",
    "a reference": _LOPT + "MLPLOpt.hidden_size = @os.getpid()",
    "a reference in a list": _LOPT + "MLPLOpt.hidden_size = [@os.getpid()]",
    "a class in its place": _LOPT + "MLPLOpt.hidden_size = @MLPLOpt()",
    "a setting as text": _LOPT + "MLPLOpt.hidden_size = '3'",
    "a setting as a fraction": _LOPT + "MLPLOpt.hidden_size = 3.0",
    "a setting as a flag": _LOPT + "MLPLOpt.hidden_size = True",
    "a setting as nothing": _LOPT + "MLPLOpt.hidden_size = None",
    "a setting as a list": _LOPT + "MLPLOpt.hidden_size = [3]",
    "a setting as a map": _LOPT + "MLPLOpt.hidden_size = {'a': 3}",
    "a flag as a number": _LOPT + "MLPLOpt.compute_summary = 1",
    "a number as text": _LOPT + "MLPLOpt.exp_mult = '0.1'",
    "a number that overflows": _LOPT + "MLPLOpt.exp_mult = 1e999",
    "not a number": _LOPT + "MLPLOpt.exp_mult = nan",
    "infinity": _LOPT + "MLPLOpt.exp_mult = inf",
    "a complex number": _LOPT + "MLPLOpt.exp_mult = 1j",
    "a number of many digits": _LOPT + "MLPLOpt.hidden_size = " + "9" * 100_000,
    "a size of a billion": _LOPT + "MLPLOpt.hidden_size = 1000000000",
    "a billion layers": _LOPT + "MLPLOpt.hidden_layers = 1000000000",
    "a thousand layers": _LOPT + "MLPLOpt.hidden_layers = 1000",
    "a negative size": _LOPT + "MLPLOpt.hidden_size = -3",
    "negative layers": _LOPT + "MLPLOpt.hidden_layers = -1",
    "an unknown setting": _LOPT + "MLPLOpt.hiden_size = 3",
    "self": _LOPT + "MLPLOpt.self = 3",
    "a private one": _LOPT + "MLPLOpt.__class__ = 3",
    "another class": "run_train.lopt = @NNAdam()",
    "default settings": _LOPT,
    "an unknown macro": _LOPT + "MLPLOpt.hidden_size = %size",
    "a circle of macros": "a = %b\nb = %a\n" + _LOPT + "MLPLOpt.hidden_size = %a",
    "macros that multiply": "m0 = (1, 1)\n"
    + "".join(f"m{i} = (%m{i - 1}, %m{i - 1})\n" for i in range(1, 31))
    + _LOPT + "MLPLOpt.hidden_size = %m30",
    "deep brackets": _LOPT + "MLPLOpt.hidden_size = " + "[" * 100_000,
    "deep brackets, closed": _LOPT + f"MLPLOpt.a = {'(' * 500}{')' * 500}",
    "an open bracket": _LOPT + "MLPLOpt.hidden_size = (3",
    "an open text": _LOPT + "MLPLOpt.hidden_size = 'a\n",
    "a wrong bracket": _LOPT + "MLPLOpt.hidden_size = (3]",
    "two values": _LOPT + "MLPLOpt.hidden_size = 3 4",
    "no value": _LOPT + "MLPLOpt.hidden_size =",
    "no name": _LOPT + "= 3",
    "no sign": _LOPT + "MLPLOpt.hidden_size 3",
    "a block": _LOPT + "MLPLOpt:\n  hidden_size = 3",
    "a semicolon": _LOPT + "MLPLOpt.hidden_size = 3; import os",
    "program text": "import os\nos.system('true')\n",
    "an escape": _LOPT + "MLPLOpt.hidden_size = '\\q'",
    "a bad escape": _LOPT + "MLPLOpt.hidden_size = '\\x1'",
    "control characters": _LOPT + "\x1b[31m = 3",
    "a circle of sums": "run_train.lopt = @SumLearnedOptimizer()\n"
    "SumLearnedOptimizer.lopts = [@SumLearnedOptimizer()]",
    "a sum of many": "run_train.lopt = @SumLearnedOptimizer()\n"
    f"SumLearnedOptimizer.lopts = [{'@MLPLOpt(), ' * 1000}]",
    "a sum of numbers": "run_train.lopt = @SumLearnedOptimizer()\n"
    "SumLearnedOptimizer.lopts = [1, 2]",
    "a sum of nothing": "run_train.lopt = @SumLearnedOptimizer()",
    "too many bindings": "a = 1\n" * 25_000 + _LOPT,
    "too large": b"#" * (2 << 20),
    "no text": b"\xff\xfe\x00\x01",
    "gzip": gzip.compress(SMALL_CONFIG.encode()),
    "a pickle": pickle.dumps(_Program()),
    "zeros": b"\0" * 1000,
}  # fmt: skip


def refused(path: str) -> LoptError:
    """Return the error of a checkpoint that must not be used."""
    tracemalloc.start()
    try:
        with pytest.raises(LoptError) as raised:
            opt_from_checkpoint(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The largest file here has 2 MB.
    assert peak < 32 << 20
    return raised.value


def test_what_is_spoilt_below_is_whole_at_first(tmp_path: Path) -> None:
    opt: Any = opt_from_checkpoint(write(tmp_path, WHOLE))
    assert opt.lopt.hidden_size == 3
    np.testing.assert_array_equal(
        opt.theta["mlp/~/linear_0"]["w"], small_theta()["mlp/~/linear_0"]["w"]
    )


def test_there_are_hundreds() -> None:
    assert len(FILES) >= 200
    assert len(CONFIGS) >= 50
    assert len(set(FILES.values())) == len(FILES)


@pytest.mark.parametrize("label", FILES)
def test_a_file_is_refused(label: str, tmp_path: Path) -> None:
    path = write(tmp_path, FILES[label])
    error = refused(path)
    assert str(tmp_path) in str(error)
    assert "\n" not in str(error).partition("\n  In call to configurable")[0]


@pytest.mark.parametrize("label", CONFIGS)
def test_a_configuration_is_refused(label: str, tmp_path: Path) -> None:
    before = set(sys.modules)
    path = write(tmp_path, WHOLE, CONFIGS[label])
    error = refused(path)
    assert str(tmp_path) in str(error)
    # Python's own codecs are loaded when a text needs them.
    loaded = {m for m in set(sys.modules) - before if not m.startswith("encodings.")}
    assert not {m for m in loaded if "learned_opt" not in m}
    assert not gin.config_str().strip()


def test_imports_of_a_configuration_are_passed_over(tmp_path: Path) -> None:
    lines = "import this_is_no_module\nfrom os import path\ninclude 'no_file.gin'\n"
    opt: Any = opt_from_checkpoint(write(tmp_path, WHOLE, lines + SMALL_CONFIG))
    assert opt.lopt.hidden_size == 3


def test_a_pickle_is_said_to_be_unsafe(tmp_path: Path) -> None:
    path = write(tmp_path, pickle.dumps(_Program()))
    with pytest.raises(UnsafeFileError, match="is a pickle, which is a program"):
        checkpoints.read(path)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"")
    with open(path, "r+b") as file:
        file.truncate(4 << 40)  # without a block of the disk
    assert "it has 4,398,046,511,104 bytes" in str(refused(path))


def test_what_is_no_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LoptError, match="it is a named pipe"):
        opt_from_checkpoint(str(tmp_path / "pipe"))
    with pytest.raises(LoptError, match="is a folder without a file `params`"):
        opt_from_checkpoint(str(tmp_path))
    with pytest.raises(LoptError, match="no such file"):
        opt_from_checkpoint(str(tmp_path / "missing"))


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.data())
def test_whatever_is_changed_only_one_kind_of_error_comes(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.binary(min_size=0, max_size=6))
        content[at : at + data.draw(st.integers(0, 6))] = new
    try:
        got = checkpoints.from_bytes(bytes(content), "a file")
    except LoptError as error:
        _check_named(error)
        return
    leaves = [leaf for _, leaf in checkpoints.leaves_of(got.params)]
    assert all(leaf.dtype == np.float32 for leaf in leaves)
    assert all(np.isfinite(leaf).all() for leaf in leaves)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    try:
        checkpoints.from_bytes(content, "a file")
    except LoptError as error:
        _check_named(error)


def _check_named(error: LoptError) -> None:
    assert "a file" in str(error)
