"""PyLO's checkpoints, whose names map one to one to those of `AdafacMLPLOpt`.

PyLO (BSD-3-Clause) is a port to torch, with weights as safetensors. Its `MetaMLP` has
layers `network.input`, `network.linear_0`, ... and `network.output`, each a `weight`
`[outputs, inputs]` and a `bias`. Decays are not learned there: they are the initial
ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import safetensors

from learned_optimization.errors import DamagedFileError
from learned_optimization.learned_optimizers.array_trees import MAX_ARRAYS, array_of
from learned_optimization.learned_optimizers.checkpoints import (
    MAX_FILE_BYTES,
    ParameterCheckpoint,
    floats,
)
from learned_optimization.learned_optimizers.fetched import read_fetched
from learned_optimization.text import brief, said

__all__ = ["SUFFIX", "from_bytes", "read_safetensors"]

SUFFIX = ".safetensors"
"""How the names of such files end."""

_REMEDY = "Only weights of PyLO's MetaMLP (AdafacLO, MuLO) are read of safetensors."
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NAME = re.compile(r"network\.(input|output|linear_(\d{1,3}))\.(weight|bias)")
_NUM_FEATURES, _NUM_OUTPUTS = 39, 2
_NUM_DECAYS = {"momentum_decays": 3, "rms_decays": 1, "adafactor_decays": 3}


def read_safetensors(
    path: str, sha256: str | None = None
) -> tuple[ParameterCheckpoint, tuple[str, ...]]:
    """Return the meta-parameters of a file of PyLO, and what they are of.

    Args:
      path: local path or URL; what is fetched is kept, see `checkpoints.read`.
      sha256: digest that the bytes must have, hexadecimal; None if any will do.

    Returns:
      The checkpoint, with the names of `AdafacMLPLOpt`, and lines of a `config.gin`
      that say its sizes.

    Raises:
      DamagedFileError: if it is no such file, or a number in it is not finite.
      ResultError: if it is missing, too large, or has another digest.
    """
    return read_fetched(path, MAX_FILE_BYTES, from_bytes, sha256)


def from_bytes(
    content: bytes, path: str
) -> tuple[ParameterCheckpoint, tuple[str, ...]]:
    """Return what `read_safetensors` does, of the bytes of a file.

    Args:
      content: the bytes.
      path: the file's name for messages.

    Raises:
      DamagedFileError: as of `read_safetensors`.
    """
    try:
        return _of_layers(_arrays(content))
    except ValueError as error:
        raise DamagedFileError(path, str(error), _REMEDY) from error


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    try:
        # It checks that the header is whole, and that the arrays are apart from each
        # other and fill the file.
        found = safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is no safetensors ({said(error)})") from error
    if len(found) > MAX_ARRAYS:
        raise ValueError(f"it has more than {MAX_ARRAYS:,} arrays")
    arrays = {}
    for name, of in found:
        if of["dtype"] not in _DTYPES:
            raise ValueError(f"{brief(name)} is of type {of['dtype']}")
        dtype = _DTYPES[of["dtype"]]
        arrays[name] = array_of(tuple(of["shape"]), dtype, bytes(of["data"]))
    return arrays


def _of_layers(
    arrays: Mapping[str, np.ndarray],
) -> tuple[ParameterCheckpoint, tuple[str, ...]]:
    unknown = sorted(name for name in arrays if not _NAME.fullmatch(name))
    if unknown:
        raise ValueError(f"it has arrays of other names, as {brief(unknown[0])}")
    found = [_NAME.fullmatch(name) for name in arrays]
    inside = {match[2] for match in found if match and match[2]}
    layers = ["input", *(f"linear_{i}" for i in range(len(inside))), "output"]
    wanted = {f"network.{n}.{kind}" for n in layers for kind in ("weight", "bias")}
    if missing := sorted(wanted.difference(arrays)):
        raise ValueError(f"{missing[0]} is missing")
    weights = [arrays[f"network.{n}.weight"] for n in layers]
    biases = [arrays[f"network.{n}.bias"] for n in layers]
    hidden_size = biases[0].size
    sizes = [_NUM_FEATURES, *[hidden_size] * (len(layers) - 1), _NUM_OUTPUTS]
    for i, layer in enumerate(layers):
        of_weight, of_bias = (sizes[i + 1], sizes[i]), (sizes[i + 1],)
        if weights[i].shape != of_weight or biases[i].shape != of_bias:
            raise ValueError(
                f"network.{layer} has shapes {weights[i].shape} and {biases[i].shape}, "
                f"not {of_weight} and {of_bias}"
            )
    nn = {f"w{i}": np.ascontiguousarray(w.T) for i, w in enumerate(weights)}
    nn |= {f"b{i}": b for i, b in enumerate(biases)}
    decays = {name: np.zeros(n, np.float32) for name, n in _NUM_DECAYS.items()}
    implied = (
        "run_train.lopt = @AdafacMLPLOpt()",
        f"AdafacMLPLOpt.hidden_size = {hidden_size}",
        f"AdafacMLPLOpt.hidden_layers = {len(layers) - 1}",
    )
    params = floats({**decays, "nn": {"~": nn}})
    return ParameterCheckpoint(params, "", 0), implied
