"""What code of a notebook says: a definition, with all of one's own that it uses.

What the cells of a notebook define has no file. A cell may train as well as define, and
a helper may be in a cell of its own; so the text of one cell tells too much or too
little. What counts is the text of the definition, without comments, and that of the
functions, classes and values that it refers to by name.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import linecache
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.fingerprint import fingerprint
from learned_optimization.registry import source_file

_READS = ("LOAD_GLOBAL", "LOAD_NAME")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def texts_of(thing: Any) -> Iterator[str]:
    """Give the text of a definition, and of what it uses of the same module.

    Modules in the current folder count whole; those installed elsewhere do not.

    Args:
      thing: a class or a function of a module without a file.
    """
    yield from _Walk(inspect.unwrap(thing).__module__).of(thing)


class _Walk:
    """Goes through all that a definition uses, each thing once.

    Args:
      home: name of the module whose definitions count.
    """

    def __init__(self, home: str):
        self._home = home
        self._names = vars(sys.modules[home]) if home in sys.modules else {}
        # The things themselves: an id may be given again once one is gone.
        self._seen: dict[int, Any] = {}

    def of(self, value: Any) -> Iterator[str]:
        """Give the texts of a value that a definition uses."""
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        for inner in _inside(value):
            yield from self.of(inner)
        if isinstance(value, types.FunctionType):
            yield from self._of_function(value)
        elif isinstance(value, type):
            yield from self._of_class(value)
        elif isinstance(value, types.ModuleType):
            yield from _of_module_beside(value)
        elif not callable(value) or type(value).__module__ == self._home:
            yield from self.of(type(value))
            yield _of_data(value)

    def _of_function(self, function: types.FunctionType) -> Iterator[str]:
        is_own = function.__globals__.get("__name__") == self._home
        # A decorator's function holds what it was put around.
        for cell in function.__closure__ or ():
            held = _content(cell)
            if is_own or isinstance(held, (types.FunctionType, type)):
                yield from self.of(held)
        if not is_own:
            yield from self._of_elsewhere(function)
            return
        code = function.__code__
        # What `dataclass` writes follows from the class.
        if code.co_filename == "<string>" and "__dataclass" in str(code.co_freevars):
            return
        node = _definition(code.co_filename, code.co_name, code.co_firstlineno)
        yield _of_data(code) if node is None else ast.dump(node)
        for default in (function.__defaults__, function.__kwdefaults__):
            yield from self.of(default) if default else ()
        yield from self._of_names(code)

    def _of_class(self, cls: type) -> Iterator[str]:
        if cls.__module__ != self._home:
            yield from self._of_elsewhere(cls)
            return
        yield cls.__qualname__
        for base in cls.__bases__:
            yield from self.of(base)
        node = _definition_of_class(cls)
        if node is not None:
            yield ast.dump(node)
            body = compile(ast.Module([node], []), "<definition>", "exec")
            yield from self._of_names(body)
        for name, member in vars(cls).items():
            if isinstance(member, types.FunctionType) or _inside(member):
                yield name
                yield from self.of(member)

    def _of_names(self, code: types.CodeType) -> Iterator[str]:
        """Give the texts of what code reads by its name from the module."""
        for name in sorted(_names_read(code)):
            if name in self._names:
                yield name
                yield from self.of(self._names[name])

    def _of_elsewhere(self, thing: Any) -> Iterator[str]:
        module = sys.modules.get(thing.__module__ or "")
        if module is not None:
            yield from self.of(module)


def _inside(value: Any) -> list[Any]:
    """Return what is within a wrapper of a function, such as a method or a partial."""
    if isinstance(value, (staticmethod, classmethod, types.MethodType)):
        return [value.__func__]
    if isinstance(value, property):
        return [f for f in (value.fget, value.fset) if f is not None]
    if isinstance(value, functools.cached_property):
        return [value.func]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, (tuple, list)):
        return [item for item in value if callable(item)]
    wrapped = getattr(value, "__wrapped__", None)
    return [] if wrapped is None or isinstance(value, type) else [wrapped]


def _of_data(value: Any) -> str:
    try:
        return fingerprint(value)
    except LoptError:
        # Such as a generator of random numbers: its state is no code.
        return f"{type(value).__module__}.{type(value).__qualname__}"


def _of_module_beside(module: types.ModuleType) -> Iterator[str]:
    file = source_file(module)
    if file and os.path.dirname(file) == os.path.realpath(os.curdir):
        yield ast.dump(ast.parse(Path(file).read_bytes()))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _names_read(code: types.CodeType) -> set[str]:
    names = {str(i.argval) for i in dis.get_instructions(code) if i.opname in _READS}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_read(constant)
    return names


def _definition(file: str, name: str, line: int) -> ast.AST | None:
    """Return the definition that begins in a line of a file or a cell."""
    for node in _definitions(file):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        if node.name == name and line in (first, node.lineno):
            return node
    return None


def _definition_of_class(cls: type) -> ast.ClassDef | None:
    """Return the definition of a class; None if none of a cell is found."""
    own = [m for m in vars(cls).values() if isinstance(m, types.FunctionType)]
    files = [m.__code__.co_filename for m in own if m.__module__ == cls.__module__]
    # A class without functions does not say where it was defined: in the last cell.
    cells = [name for name in linecache.cache if not os.path.exists(name)]
    for file in dict.fromkeys([*files, *reversed(cells)]):
        nodes = [n for n in _definitions(file) if isinstance(n, ast.ClassDef)]
        for node in reversed(nodes):
            if node.name == cls.__name__:
                return node
    return None


def _definitions(
    file: str,
) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    text = "".join(linecache.getlines(file))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, _DEFINITIONS)]
