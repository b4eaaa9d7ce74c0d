"""Files that define sets, optimizers or tasks: Python, YAML and gin.

Python says all there is to say. YAML holds the arguments of `hparam_set`, for
one set or for several under `sets:`, and names the Python files it needs under
`imports:`; what stands under `suites:` is read by `baselines.suites`. gin binds the
arguments of `hparam_set`, for one set.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import gin

from learned_optimization import configuration
from learned_optimization.baselines.sets.define import (
    configured_hparam_set,
    hparam_set,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet, split_first_seed
from learned_optimization.baselines.sets.registry import SETS
from learned_optimization.baselines.sets.yaml import YamlMapping, read_yaml
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.registry import Reading, reading
from learned_optimization.text import brief, named

_PARAMETERS = inspect.signature(hparam_set).parameters
_REQUIRED = [p.name for p in _PARAMETERS.values() if p.default is p.empty]

# What a Python file defined when it was executed, by its real path.
_EXECUTED: dict[str, Reading] = {}

# The file each set was read from, by its name.
_SOURCES: dict[str, str] = {}


def source_of(set_name: str) -> str | None:
    """Return the file that a set was read from, as it was given; None if from none."""
    own_name, _ = split_first_seed(set_name)
    return _SOURCES.get(set_name, _SOURCES.get(own_name))


def files_read() -> list[str]:
    """Return the real paths of the files read, those that others need first."""
    sources = map(os.path.realpath, _SOURCES.values())
    return list(dict.fromkeys([*_EXECUTED, *sources]))


def load_user_file(path: str | os.PathLike) -> list[HParamSet]:
    """Register the sets a file defines, and return them.

    Args:
      path: a `.py`, `.yaml`, `.yml` or `.gin` file.

    Raises:
      LoptError: naming the file and the line, if the file is missing, is of
        another kind, defines no set or has a mistake in it.
    """
    hparam_sets = read_sets(path)
    if not hparam_sets:
        raise LoptError(
            f"{path} defines no set: call hparam_set(...) in it. A file of "
            "optimizers alone is imported instead."
        )
    return hparam_sets


def read_sets(path: str | os.PathLike) -> list[HParamSet]:
    """Register the sets a file defines, and return them: none, perhaps.

    The arguments and errors are those of `load_user_file`.
    """
    readers = {
        ".py": import_file,
        ".yaml": _load_yaml,
        ".yml": _load_yaml,
        ".gin": _load_gin,
    }
    read = readers.get(Path(path).suffix)
    if read is None:
        raise LoptError(
            f"cannot read sets from {path}: its name must end in {', '.join(readers)}."
        )
    check_exists(path)
    with reading(os.path.realpath(path)):
        hparam_sets = read(path)
    _SOURCES.update({s.name: os.fspath(path) for s in hparam_sets})
    return hparam_sets


def import_file(path: str | os.PathLike) -> list[HParamSet]:
    """Execute a Python file as a module, once in a process.

    What it registers, optimizers, tasks and sets, is known from then on. Its
    folder is searched for modules it imports.

    Returns:
      The sets the file defines.

    Raises:
      LoptError: if there is no such Python file, or with its own error and line.
    """
    return [*execute(path).of(SETS).values()]


def execute(path: str | os.PathLike) -> Reading:
    """Execute a Python file as `import_file` does; return all that it defines."""
    if Path(path).suffix != ".py":
        raise LoptError(f"cannot import {path}: its name must end in .py.")
    check_exists(path)
    real = os.path.realpath(path)
    if real not in _EXECUTED:
        with reading(real) as defined, _folder_on_path(real):
            if not _is_imported(real):
                _execute(real, path)
        _EXECUTED[real] = defined
    return _EXECUTED[real]


def check_exists(path: str | os.PathLike) -> None:
    """Raise `LoptError` unless there is a file of that name."""
    if not os.path.isfile(path):
        raise LoptError(f"no such file: {path}")


def _is_imported(real: str) -> bool:
    """Return whether another file has imported this one by its module's name."""
    files = [getattr(module, "__file__", None) for module in [*sys.modules.values()]]
    return any(f is not None and os.path.realpath(f) == real for f in files)


def _execute(real: str, shown: str | os.PathLike) -> None:
    name = Path(real).stem
    # Under its own name, so that files beside it can import it; unless that is
    # the name of something else.
    if name in sys.modules or _find(name) != real:
        name = f"_lopt_user_file_{len(_EXECUTED)}_{name}"
    spec = importlib.util.spec_from_file_location(name, real)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise LoptError(_explain(error, real, shown)) from error


def _find(name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return os.path.realpath(spec.origin) if spec and spec.origin else None


def _explain(error: BaseException, real: str, shown: str | os.PathLike) -> str:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.realpath(frame.filename) == real
    ]
    if not lines and isinstance(error, SyntaxError):
        lines = [error.lineno]
    what = str(error) if isinstance(error, LoptError) else _first_line(error)
    return f"{shown}{f', line {lines[-1]}' if lines else ''}: {what}"


def _first_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return named(error).partition("\n")[0]


@contextmanager
def _folder_on_path(path: str | os.PathLike) -> Iterator[None]:
    """Look for modules beside the file too, as when Python runs it."""
    before = list(sys.path)
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    try:
        yield
    finally:
        sys.path[:] = before


def _load_yaml(path: str | os.PathLike) -> list[HParamSet]:
    content = read_yaml(path)
    import_needed(path, content)
    has_suites = "suites" in content.values
    content = content.without("suites")
    if "sets" not in content.values:
        of_one = content.without("imports")
        sets = [of_one] if of_one.values or not has_suites else []
    else:
        for key in content.values:
            if key not in ("imports", "sets"):
                raise LoptError(
                    f"{content.where(key)}: {key!r} stands beside sets: put it into "
                    "each of the sets, or leave out sets for a file of one."
                )
        sets = content.items("sets")
    return [_make_set(arguments) for arguments in sets]


def import_needed(path: str | os.PathLike, content: YamlMapping) -> None:
    """Import the Python files that a YAML file names under `imports:`.

    Args:
      path: the YAML file, to whose folder they are relative.
      content: what it holds.

    Raises:
      LoptError: if that is no list of files, one is missing, or has a mistake in it.
    """
    for imported in _imports(path, content):
        import_file(os.path.join(os.path.dirname(path), imported))


def _imports(path: str | os.PathLike, content: YamlMapping) -> list[str]:
    imports = content.values.get("imports", [])
    if isinstance(imports, str):
        imports = [imports]
    if not isinstance(imports, list) or not all(isinstance(i, str) for i in imports):
        raise LoptError(
            f"{content.where('imports')}: imports is a list of Python files, e.g. "
            f"[my_opt.py], got {brief(imports)}."
        )
    for imported in imports:
        if not os.path.isfile(os.path.join(os.path.dirname(path), imported)):
            raise LoptError(
                f"{content.where('imports')}: no such file: {imported}; imports are "
                f"relative to the folder of {path}."
            )
    return imports


def _make_set(arguments: YamlMapping) -> HParamSet:
    for key in arguments.values:
        if key not in _PARAMETERS:
            unknown = UnknownNameError("argument of a set", str(key), _PARAMETERS)
            raise LoptError(f"{arguments.where(key)}: {unknown}")
    _check_complete(arguments.where(), arguments.values)
    try:
        return hparam_set(**arguments.values)
    except LoptError as error:
        name = str(arguments.values["name"])[:100]
        raise LoptError(f"{arguments.where()}, set {name}: {error}") from error


def _check_complete(where: str, given: Mapping[str, Any]) -> None:
    if missing := [name for name in _REQUIRED if name not in given]:
        raise LoptError(
            f"{where}: a set needs {', '.join(_REQUIRED)}; {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not given."
        )


def _load_gin(path: str | os.PathLike) -> list[HParamSet]:
    # `bound` puts the global configuration back.
    with configuration.bound({}):
        try:
            with _folder_on_path(path):
                configuration.load([os.fspath(path)])
            for parameter in configuration.bound_parameters():
                if "." in parameter and not parameter.startswith("hparam_set."):
                    raise LoptError(
                        f"{parameter} is no argument of hparam_set, and a set "
                        "consists of nothing else: put it into hparam_set.fixed, "
                        f'as "{parameter}".'
                    )
            _check_complete("hparam_set", gin.get_bindings(configured_hparam_set))
            return [configuration.call_bound(configured_hparam_set)]
        except LoptError as error:
            raise LoptError(f"{path}: {error}") from error
