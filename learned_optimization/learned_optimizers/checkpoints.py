"""Checkpoints of meta-parameters: files in the published form, safely read, written.

A file is flax's msgpack of `{"params": theta, "gen_id": text, "step": number}`. The
older `(theta, "", 0)` and a bare theta are read as well. Arrays are matched with those
of a learned optimizer by their names: their order in a file says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import flax.serialization
import flax.struct
import jax
import numpy as np

from learned_optimization import filesystem
from learned_optimization.errors import (
    DamagedFileError,
    LoptError,
    UnsafeFileError,
)
from learned_optimization.learned_optimizers.array_trees import (
    joined,
    leaves_of,
    unpack,
)
from learned_optimization.learned_optimizers.base import MetaParams
from learned_optimization.learned_optimizers.fetched import read_fetched
from learned_optimization.text import brief

__all__ = [
    "MAX_FILE_BYTES",
    "MismatchError",
    "ParameterCheckpoint",
    "from_bytes",
    "match",
    "read",
    "save",
]

MAX_FILE_BYTES = 256 << 20
"""Bytes that a checkpoint may have; VeLO's has nine million."""

_SHOWN = 12
_REMEDY = "It is damaged, or no checkpoint of meta-parameters."


@flax.struct.dataclass
class ParameterCheckpoint:
    """Meta-parameters as a file holds them.

    Attributes:
      params: theta, nested dicts of float32 arrays.
      gen_id: the name of the meta-training run that made them, empty if not known.
      step: the number of its outer steps, 0 if not known.
    """

    params: MetaParams
    gen_id: str
    step: int


class MismatchError(LoptError):
    """Meta-parameters that are not those of a learned optimizer."""


def read(path: str, sha256: str | None = None) -> ParameterCheckpoint:
    """Return what a file of msgpack holds.

    A file that is not on this machine is fetched, kept in `LOPT_CACHE_DIR`, and
    compared with its digest each time; see `fetched.read_fetched`. What was read is
    kept as long as the file stays as it is: do not change the arrays, which are
    read-only.

    Args:
      path: local path or URL.
      sha256: digest that the bytes must have, hexadecimal; None if any will do.

    Raises:
      DamagedFileError: if it is none of the forms; if a number is not finite, or no
        floating-point number of at most 32 bits. It says where and what.
      UnsafeFileError: if it is a pickle, of which nothing was run.
      ResultError: if it is missing, too large, or has another digest.
    """
    return read_fetched(path, MAX_FILE_BYTES, from_bytes, sha256)


def from_bytes(content: bytes, path: str) -> ParameterCheckpoint:
    """Return what the bytes of a file of msgpack hold.

    Args:
      content: the bytes.
      path: the file's name for messages.

    Raises:
      DamagedFileError: as of `read`.
      UnsafeFileError: as of `read`.
    """
    _refuse_others(content, path)
    try:
        tree = unpack(content)
        params, gen_id, step = _parts(tree)
        return ParameterCheckpoint(floats(params), _gen_id(gen_id), _step(step))
    except ValueError as error:
        raise DamagedFileError(path, str(error), _REMEDY) from error


# What people have beside checkpoints, by how it begins.
_OTHERS = (
    (b"PK\x03\x04", "a zip file, as of numpy or torch"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "an array of numpy"),
    (b"version https://git-lfs", "a pointer of git-lfs: its content was not fetched"),
    (b"<", "a web page"),
    (b"#", "text"),
)


def _refuse_others(content: bytes, path: str) -> None:
    if not content:
        raise DamagedFileError(path, "it is empty", _REMEDY)
    # Of protocol 2 and later. As msgpack it were an empty map, with more behind.
    if content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise UnsafeFileError(path, "it is a pickle, which is a program")
    for start, what in _OTHERS:
        if content.startswith(start):
            raise DamagedFileError(path, f"it is {what}", _REMEDY)


def _parts(tree: Any) -> tuple[Any, Any, Any]:
    if not isinstance(tree, dict):
        raise ValueError(f"it holds {_kind(tree)}, not a map of names to arrays")
    names = set(tree)
    if names == {"params", "gen_id", "step"}:
        return tree["params"], tree["gen_id"], tree["step"]
    if names == {"0", "1", "2"} and isinstance(tree["1"], str):
        return tree["0"], tree["1"], tree["2"]
    return tree, "", 0


def _gen_id(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"its gen_id is {_kind(value)}, not text")
    return value


def _step(value: Any) -> int:
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iu":
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"its step is {_kind(value)}, not a whole number")


def floats(tree: Any) -> MetaParams:
    """Return nested dicts of arrays as float32.

    Args:
      tree: nested dicts of arrays; those of 16 bits are widened.

    Raises:
      ValueError: naming what is no such array, or has entries that are not finite.
    """
    if not isinstance(tree, dict):
        raise ValueError(f"its meta-parameters are {_kind(tree)}, not a map of names")
    bad: list[str] = []

    def of(tree: Any, path: tuple[str, ...]) -> Any:
        if isinstance(tree, dict):
            return {name: of(value, (*path, name)) for name, value in tree.items()}
        if not isinstance(tree, np.ndarray):
            raise ValueError(f"{joined(path)} is {_kind(tree)}, not an array")
        if tree.dtype.name not in ("float32", "float16", "bfloat16"):
            raise ValueError(
                f"{joined(path)} is of type {tree.dtype.name}; meta-parameters are "
                "float32, float16 or bfloat16"
            )
        array = tree.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            bad.append(joined(path))
        return array

    made = of(tree, ())
    if bad:
        raise ValueError(f"there are numbers that are not finite in {_listed(bad)}")
    return made


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"a map of {_listed(list(value)) or 'nothing'}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype.name}"
    return brief(value)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(brief, sorted(names)[:_SHOWN])).replace("'", "")
    return shown + (f", ... ({len(names):,} in all)" if len(names) > _SHOWN else "")


def match(
    theta: MetaParams,
    template: MetaParams,
    what: str = "the meta-parameters",
    of: str = "the learned optimizer",
) -> MetaParams:
    """Return meta-parameters in the structure of a template.

    Args:
      theta: nested dicts of arrays, as `read` returns them.
      template: a pytree of arrays, or of their shapes: what `LearnedOptimizer.init`
        makes, as `jax.eval_shape` returns it.
      what: what theta is of, for messages.
      of: what the template is of.

    Raises:
      MismatchError: if the names or shapes are not the same; it lists which names are
        missing, which are not expected, and which shapes are others.
    """
    got = dict(leaves_of(theta))
    with_paths, structure = jax.tree_util.tree_flatten_with_path(template)
    wanted = {tuple(map(_name, path)): tuple(leaf.shape) for path, leaf in with_paths}
    if problems := _differences(got, wanted):
        raise MismatchError(f"{what} does not hold what {of} has: {problems}.")
    return jax.tree.unflatten(structure, [got[path] for path in wanted])


def _name(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    raise TypeError(f"no name of a child of a pytree: {key!r}")


def _differences(got: dict[Any, Any], wanted: dict[Any, tuple[int, ...]]) -> str:
    def told(what: str, names: Iterable[str]) -> list[str]:
        names = list(names)
        return [f"{what}: {_listed(names)}"] if names else []

    shapes = [
        f"{joined(path)} is {got[path].shape}, not {shape}"
        for path, shape in wanted.items()
        if path in got and got[path].shape != shape
    ]
    return "; ".join(
        told("missing", (joined(p) for p in wanted if p not in got))
        + told("not expected", (joined(p) for p in got if p not in wanted))
        + told("of another shape", shapes)
    )


def save(path: str, theta: MetaParams, gen_id: str = "", step: int = 0) -> None:
    """Write meta-parameters in the published form.

    The file appears under its name only when it is whole.

    Args:
      path: local path or URL of a store that can be written to.
      theta: a pytree of float arrays.
      gen_id: the name of the meta-training run.
      step: the number of its outer steps.

    Raises:
      LoptError: if an array is not of floating-point numbers of at most 32 bits, or
        one of them is not finite; nothing is written then.
      ResultError: if it cannot be written.
    """
    theta = jax.tree.map(np.asarray, theta)
    try:
        floats(flax.serialization.to_state_dict(theta))
    except ValueError as error:
        raise LoptError(f"cannot save meta-parameters to {path}: {error}.") from error
    content = flax.serialization.to_bytes(ParameterCheckpoint(theta, gen_id, step))
    filesystem.write_bytes(path, content)
