"""Files that define suites: Python, which calls `suite`, and YAML.

    suites:
      - name: mine
        tasks: [laptop, my_task]
        num_steps: 1000

As in files of sets, `imports:` names the Python files that define the tasks. One file
may define sets and suites; each kind is read by its own function.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path

from learned_optimization.baselines.sets.files import import_file, import_needed
from learned_optimization.baselines.sets.yaml import YamlMapping, read_yaml
from learned_optimization.baselines.suites.define import suite
from learned_optimization.baselines.suites.registry import SUITES
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError, UnknownNameError

_PARAMETERS = inspect.signature(suite).parameters
_REQUIRED = [p.name for p in _PARAMETERS.values() if p.default is p.empty]

# What a Python file defined when it was executed, by its real path: it is once only.
_DEFINED: dict[str, list[Suite]] = {}


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
    readers = {".py": _load_python, ".yaml": _load_yaml, ".yml": _load_yaml}
    read = readers.get(Path(path).suffix)
    if read is None:
        raise LoptError(
            f"cannot read suites from {path}: its name must end in "
            f"{', '.join(readers)}."
        )
    if not os.path.isfile(path):
        raise LoptError(f"no such file: {path}")
    return read(path)


def _load_python(path: str | os.PathLike) -> list[Suite]:
    real = os.path.realpath(path)
    with SUITES.reading(real) as defined:
        import_file(path)
    return _DEFINED.setdefault(real, list(defined.values()))


def _load_yaml(path: str | os.PathLike) -> list[Suite]:
    content = read_yaml(path)
    if "suites" not in content.values:
        return []
    import_needed(path, content)
    with SUITES.reading(os.path.realpath(path)) as defined:
        for arguments in content.items("suites"):
            _make_suite(arguments)
    return list(defined.values())


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
