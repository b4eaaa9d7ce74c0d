"""With which code an optimizer's results were trained, so that old ones are told.

Results are found by the setting's name, and an optimizer that is being written keeps
its name while its code changes. `lopt challenge` notes a digest of the code beside the
results, and does not take those of other code for an answer.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from learned_optimization import filesystem
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.json_reading import parse_json
from learned_optimization.registry import is_packaged, source_file

_FOLDER = ".code"
_MAX_BYTES = 1_000_000


def digest_of(cls: type) -> str | None:
    """Return a digest of the code of a class.

    It is of the file that defines the class and of the loaded modules beside it.
    Comments and how the text is laid out do not count.

    Args:
      cls: a class.

    Returns:
      None of one that comes with the package, or has no file.
    """
    file = source_file(sys.modules.get(cls.__module__))
    if is_packaged(cls.__module__) or file is None:
        return None
    folder = os.path.dirname(file)
    loaded = {source_file(module) for module in [*sys.modules.values()]}
    digest = hashlib.sha256()
    for path in sorted(p for p in loaded if p and os.path.dirname(p) == folder):
        digest.update(ast.dump(ast.parse(Path(path).read_bytes())).encode())
    return digest.hexdigest()[:16]


def trained_with_other_code(
    opt_name: str, digest: str, task_names: Iterable[str]
) -> list[str]:
    """Return the tasks for which another digest was noted.

    Args:
      opt_name: name of the optimizer's class.
      digest: of its code now.
      task_names: the tasks asked about.
    """
    noted = _noted(opt_name)
    return [name for name in task_names if noted.get(name, digest) != digest]


def note(opt_name: str, digest: str, task_names: Iterable[str]) -> None:
    """Note with which code an optimizer is trained on tasks from now on."""
    digests = {**_noted(opt_name), **dict.fromkeys(task_names, digest)}
    text = json.dumps(digests, indent=1)
    filesystem.write_whole(_path(opt_name), lambda file: file.write(text.encode()))


def _noted(opt_name: str) -> dict[str, str]:
    path = _path(opt_name)
    if not filesystem.exists(path):
        return {}
    with suppress(ValueError):
        digests = parse_json(filesystem.read_all(path, _MAX_BYTES))
        if isinstance(digests, dict):
            return digests
    warnings.warn(
        f"{path} is damaged: whether the code of {opt_name} has changed since it was "
        "trained is not known",
        stacklevel=3,
    )
    return {}


def _path(opt_name: str) -> str:
    return filesystem.join(get_root_baseline_dir(), _FOLDER, f"{opt_name}.json")
