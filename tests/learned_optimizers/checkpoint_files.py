"""Files of checkpoints, written from the description of the format alone."""

from pathlib import Path
from typing import Any

import msgpack
import numpy as np


def pack(value: Any) -> bytes:
    """Return the msgpack of a value."""
    content = msgpack.packb(value)
    assert content is not None
    return content


def array(value: Any, code: int = 1, **said: Any) -> msgpack.ExtType:
    """Return an array as flax's msgpack has it, or what it is said to be instead."""
    value = np.asarray(value)
    shape = said.get("shape", value.shape)
    dtype = said.get("dtype", value.dtype.name)
    content = said.get("content", value.tobytes())
    return msgpack.ExtType(code, pack((shape, dtype, content)))


def packed(tree: Any) -> Any:
    """Return a tree with its arrays as extension types; lists are maps."""
    if isinstance(tree, dict):
        return {name: packed(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return {str(i): packed(value) for i, value in enumerate(tree)}
    return array(tree) if isinstance(tree, (np.ndarray, np.generic)) else tree


def content_of(theta: Any, gen_id: Any = "run", step: Any = 7) -> bytes:
    """Return the bytes of a checkpoint."""
    return pack(packed({"params": theta, "gen_id": gen_id, "step": step}))


def small_theta(hidden: int = 3, seed: int = 0) -> dict[str, Any]:
    """Return meta-parameters of `MLPLOpt(hidden_size=hidden, hidden_layers=1)`."""
    rng = np.random.default_rng(seed)
    sizes = [(19, hidden), (hidden, 2)]
    return {
        f"mlp/~/linear_{i}": {
            "b": rng.normal(size=size[1]).astype(np.float32),
            "w": rng.normal(size=size).astype(np.float32),
        }
        for i, size in enumerate(sizes)
    }


SMALL_CONFIG = """\
# Parameters for MLPLOpt:
# ==============================================================================
MLPLOpt.hidden_layers = 1
MLPLOpt.hidden_size = 3

# Parameters for run_train:
# ==============================================================================
run_train.lopt = @MLPLOpt()
"""


def write(
    folder: Path, content: bytes, config: str | bytes | None = SMALL_CONFIG
) -> str:
    """Write a checkpoint and its configuration; returns the checkpoint's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params").write_bytes(content)
    if config is not None:
        text = config.encode() if isinstance(config, str) else config
        (folder / "config.gin").write_bytes(text)
    return str(folder / "params")
