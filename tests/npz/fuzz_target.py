"""Reads damaged result files, as many as asked for, led by the reader's coverage.

    python tests/npz/fuzz_target.py CORPUS -runs=100000

Half of the inputs are files; the other half become members of a sound zip, since
few damaged files would get past its checks. Whatever the bytes, reading ends with
arrays or a typed error. What it must never do ends the process: another exception, a
warning, a pickle that is loaded.
"""

import io
import json
import os
import pickle
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

# atheris assembles its names as it is imported.
instrument_imports = atheris.instrument_imports  # pyright: ignore[reportAttributeAccessIssue]

with instrument_imports(include=["learned_optimization", "zipfile"]):
    from learned_optimization.baselines.results.format import read_archive, read_result
    from learned_optimization.errors import FileContentError
    from learned_optimization.npz import read_npz

# A file in memory, where there is such a place.
_FOLDER = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
_FILE = _FOLDER / f"lopt-fuzz-{os.getpid()}"
_READERS: tuple[Callable, ...] = (read_npz, read_result, read_archive)

_INPUTS_PER_LINE = 10_000
_KEYS = ("eval/xs", "train/loss", "seed", "status", "synthetic_data", "schema_version")

_outcomes: dict[str, int] = {}


def _no_pickle(*args: object, **kwargs: object) -> None:
    raise AssertionError("a pickle was about to be loaded")


def read_one(data: bytes) -> None:
    """Read the bytes as each kind of file."""
    _FILE.write_bytes(data[1:] if data[:1] == b"F" else _sound_zip(data))
    for read in _READERS:
        try:
            read(str(_FILE))
            outcome = "read"
        except FileContentError as error:
            outcome = type(error).__name__
        _outcomes[outcome] = _outcomes.get(outcome, 0) + 1
    # The fuzzer ends the process without a word to Python.
    if sum(_outcomes.values()) % (len(_READERS) * _INPUTS_PER_LINE) == 0:
        print("outcomes:", json.dumps(_outcomes), file=sys.stderr, flush=True)


def _sound_zip(data: bytes) -> bytes:
    """Return a zip whose members, of names that are known, hold the bytes."""
    members: dict[str, bytes] = {}
    for content in data.split(b"|||"):
        key = _KEYS[content[0] % len(_KEYS)] if content else "empty"
        # A name may be there twice, which has a test of its own.
        members[key] = content[1:]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for key, content in members.items():
            made.writestr(f"{key}.npy", content)
    return file.getvalue()


def main() -> None:
    """Run the fuzzer, and print how the readings ended."""
    os.environ["LOPT_MAX_READ_BYTES"] = str(1 << 24)
    warnings.simplefilter("error")
    pickle.load = pickle.loads = pickle.Unpickler = _no_pickle  # type: ignore[assignment]
    corpus = Path(sys.argv[1])
    arguments = [sys.argv[0], *sys.argv[2:], str(corpus)]
    atheris.Setup(arguments, read_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
