"""PyLO's checkpoints: names mapped to those of AdafacMLPLOpt, and nothing else read."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import safetensors_files
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)


def network(hidden: int = 4, inside: int = 1) -> dict[str, np.ndarray]:
    """Return arrays as PyLO's MetaMLP names them."""
    rng = np.random.default_rng(0)
    layers = ["input", *(f"linear_{i}" for i in range(inside)), "output"]
    sizes = [39, *[hidden] * (inside + 1), 2]
    arrays = {}
    for i, layer in enumerate(layers):
        weight = rng.normal(size=(sizes[i + 1], sizes[i])).astype(np.float32)
        arrays[f"network.{layer}.weight"] = weight
        arrays[f"network.{layer}.bias"] = weight[:, 0].copy()
    return arrays


_DTYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "int32": "I32"}


def content_of(arrays: dict[str, np.ndarray], **changes: Any) -> bytes:
    """Return a file of safetensors, written from the description of the format."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), end],
        } | changes.get(name.replace(".", "_"), {})
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def load(folder: Path, content: bytes, **kwargs: Any) -> Any:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    return opt_from_checkpoint(str(path), **kwargs)


@pytest.mark.parametrize(("hidden", "inside"), [(4, 1), (32, 1), (8, 0), (8, 3)])
def test_weights_are_transposed_and_decays_are_initial(
    hidden: int, inside: int, tmp_path: Path
) -> None:
    arrays = network(hidden, inside)
    opt = load(tmp_path, content_of(arrays))
    assert type(opt.lopt).__name__ == "AdafacMLPLOpt"
    assert (opt.lopt.hidden_size, opt.lopt.hidden_layers) == (hidden, inside + 1)
    nn = opt.theta["nn"]["~"]
    np.testing.assert_array_equal(nn["w0"], arrays["network.input.weight"].T)
    np.testing.assert_array_equal(nn["b0"], arrays["network.input.bias"])
    for i in range(inside):
        weight = arrays[f"network.linear_{i}.weight"]
        np.testing.assert_array_equal(nn[f"w{i + 1}"], weight.T)
    last = arrays["network.output.weight"]
    np.testing.assert_array_equal(nn[f"w{inside + 1}"], last.T)
    np.testing.assert_array_equal(opt.theta["momentum_decays"], np.zeros(3))


def test_settings_beside_it_are_used(tmp_path: Path) -> None:
    lines = ["AdafacMLPLOpt.step_mult = 0.01"]
    opt = load(tmp_path, content_of(network()), extra_bindings=lines)
    assert opt.lopt.step_mult == 0.01


def _malformed() -> dict[str, bytes]:
    whole, arrays = content_of(network()), network()
    first = arrays["network.input.weight"]

    def without(name: str) -> dict[str, np.ndarray]:
        return {n: a for n, a in arrays.items() if n != name}

    def of(**changes: Any) -> bytes:
        return content_of(arrays, network_input_weight=changes)

    spoilt = first.copy()
    spoilt[0, 0] = np.nan
    huge = struct.pack("<Q", 2**63) + whole[8:]
    return {
        "nothing": b"",
        "cut off": whole[:-1],
        "cut off in its header": whole[:40],
        "more at the end": whole + b"\0",
        "a header of 2^63": huge,
        "no json": struct.pack("<Q", 4) + b"abcd",
        "deep json": struct.pack("<Q", 200_000) + b"[" * 200_000,
        "another shape": of(shape=[39, 4]),
        "a shape of 2^62": of(shape=[2**62, 4]),
        "a negative shape": of(shape=[-4, -39]),
        "another type": of(dtype="F64"),
        "an unknown type": of(dtype="O"),
        "offsets beyond the end": of(data_offsets=[0, 2**40]),
        "offsets that are turned": of(data_offsets=[100, 0]),
        "nan": content_of(arrays | {"network.input.weight": spoilt}),
        "float64": content_of(arrays | {"network.input.bias": np.ones(4)}),
        "int32": content_of(arrays | {"network.input.bias": np.ones(4, np.int32)}),
        "a layer is missing": content_of(without("network.output.bias")),
        "an inner one is missing": content_of(without("network.linear_0.bias")),
        "another name": content_of(arrays | {"lstm.weight": first}),
        "a layer too many": content_of(arrays | {"network.linear_2.weight": first}),
        "other features": content_of(arrays | {"network.input.weight": first[:, :-1]}),
        "one output": content_of(
            arrays | {"network.output.bias": np.ones(1, np.float32)}
        ),
        "a pickle": b"\x80\x04K\x01.",
    }


@pytest.mark.parametrize("label", _malformed())
def test_what_must_not_be_used_is_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(LoptError, match=r"model\.safetensors"):
        load(tmp_path, _malformed()[label])


def test_half_precision_is_widened() -> None:
    arrays = {n: a.astype(np.float16) for n, a in network().items()}
    checkpoint, _ = safetensors_files.from_bytes(content_of(arrays), "a file")
    w0 = checkpoint.params["nn"]["~"]["w0"]
    assert w0.dtype == np.float32
    np.testing.assert_array_equal(w0, arrays["network.input.weight"].T)
