"""With which code results were trained, so that those of old code are told.

Results are found by the setting's name, and an optimizer or a task that is being
written keeps its name while its code changes. A digest of the code is noted for each
folder of results, and results of other code are not taken for an answer.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.baselines.results.cell_sources import texts_of
from learned_optimization.json_reading import parse_json
from learned_optimization.registry import is_packaged, source_file

_FOLDER = ".code"
_MAX_BYTES = 1_000_000


def digest_of(thing: Any) -> str | None:
    """Return a digest of the code of a class or a function.

    It is of the file that defines it and of the loaded modules beside it; of what a
    script or the cells of a notebook define, of the definition and all that it uses
    (`cell_sources`).
    Comments and how the text is laid out do not count.

    Args:
      thing: a class or a function.

    Returns:
      None of one that comes with the package, or whose module is not loaded.
    """
    thing = inspect.unwrap(thing)
    module = sys.modules.get(thing.__module__)
    if is_packaged(thing.__module__) or module is None:
        return None
    # The rest of a script, which trains, is no part of what it defines.
    file = None if module.__name__ == "__main__" else source_file(module)
    digest = hashlib.sha256()
    for text in texts_of(thing) if file is None else _texts_beside(file):
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()[:16]


def _texts_beside(file: str) -> Iterator[str]:
    folder = os.path.dirname(file)
    loaded = {source_file(module) for module in [*sys.modules.values()]}
    for path in sorted(p for p in loaded if p and os.path.dirname(p) == folder):
        yield ast.dump(ast.parse(Path(path).read_bytes()))


def trained_with_other_code(
    name: str, digest: str, folders: Iterable[str]
) -> list[str]:
    """Return the folders of results for which another digest was noted.

    Args:
      name: of what the code defines: `optimizer Own`, `task Mine`.
      digest: of its code now.
      folders: those asked about.
    """
    noted = _noted(name)
    return [f for f in folders if noted.get(_key(f), digest) != digest]


def note(name: str, digest: str, folders: Iterable[str]) -> None:
    """Note with which code the results of folders are trained from now on.

    Args:
      name: as of `trained_with_other_code`.
      digest: of the code.
      folders: of the results.
    """
    noted = _noted(name)
    digests = {**noted, **dict.fromkeys(map(_key, folders), digest)}
    if digests != noted:
        text = json.dumps(digests, indent=1)
        filesystem.write_bytes(_path(name), text.encode())


def _key(folder: str) -> str:
    # The store may be moved.
    return folder.removeprefix(get_root_baseline_dir()).strip("/")


def _noted(name: str) -> dict[str, str]:
    path = _path(name)
    if not filesystem.exists(path):
        return {}
    with suppress(ValueError):
        digests = parse_json(filesystem.read_all(path, _MAX_BYTES))
        if isinstance(digests, dict):
            return digests
    warnings.warn(
        f"{path} is damaged: whether the code of {name} has changed since it was "
        "trained is not known",
        stacklevel=3,
    )
    return {}


def _path(name: str) -> str:
    file = f"{name.replace(' ', '-')}.json"
    return filesystem.join(get_root_baseline_dir(), _FOLDER, file)
