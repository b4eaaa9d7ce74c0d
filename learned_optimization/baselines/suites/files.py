"""Files that define suites: Python, which calls `suite`, and YAML.

    suites:
      - name: mine
        tasks: [laptop, my_task]
        num_steps: 1000

As in files of sets, `imports:` names the Python files that define the tasks. One file
may define sets and suites.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path

from learned_optimization.baselines.sets.files import (
    check_exists,
    execute,
    import_needed,
    load_user_file,
    read_sets,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.yaml import YamlMapping, read_yaml
from learned_optimization.baselines.suites.define import suite
from learned_optimization.baselines.suites.registry import SUITES
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.registry import reading

_PARAMETERS = inspect.signature(suite).parameters
_REQUIRED = [p.name for p in _PARAMETERS.values() if p.default is p.empty]


def load_suites(path: str | os.PathLike) -> list[Suite]:
    """Register the suites a file defines, and return them.

    Args:
      path: a `.py`, `.yaml` or `.yml` file.

    Returns:
      The suites, as defined; of a file that defines none, no suites.

    Raises:
      LoptError: naming the file and the line, if the file is missing, is of another
        kind or has a mistake in it.
    """
    read = _READERS.get(Path(path).suffix)
    if read is None:
        raise LoptError(
            f"cannot read suites from {path}: its name must end in "
            f"{', '.join(_READERS)}."
        )
    check_exists(path)
    return read(path)


def load_sets_and_suites(
    path: str | os.PathLike,
) -> tuple[list[HParamSet], list[Suite]]:
    """Register what a file defines, sets and suites, and return both.

    Args:
      path: a file of sets, of suites, or of both.

    Raises:
      LoptError: as of `load_user_file`, for a file that defines neither.
    """
    if Path(path).suffix not in _READERS:
        return load_user_file(path), []
    suites = load_suites(path)
    return read_sets(path) if suites else load_user_file(path), suites


def _load_python(path: str | os.PathLike) -> list[Suite]:
    return [*execute(path).of(SUITES).values()]


def _load_yaml(path: str | os.PathLike) -> list[Suite]:
    content = read_yaml(path)
    if "suites" not in content.values:
        return []
    import_needed(path, content)
    with reading(os.path.realpath(path)) as defined:
        for arguments in content.items("suites"):
            _make_suite(arguments)
    return [*defined.of(SUITES).values()]


def _make_suite(arguments: YamlMapping) -> None:
    for key in arguments.values:
        if key not in _PARAMETERS:
            unknown = UnknownNameError("argument of a suite", str(key), _PARAMETERS)
            raise LoptError(f"{arguments.where(key)}: {unknown}")
    missing = [name for name in _REQUIRED if name not in arguments.values]
    if missing:
        raise LoptError(
            f"{arguments.where()}: a suite needs {' and '.join(_REQUIRED)}; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not given."
        )
    try:
        suite(**arguments.values)
    except LoptError as error:
        name = str(arguments.values["name"])[:100]
        raise LoptError(f"{arguments.where()}, suite {name}: {error}") from error


_READERS = {".py": _load_python, ".yaml": _load_yaml, ".yml": _load_yaml}
