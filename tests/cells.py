"""Cells of a notebook, run as IPython runs them: files that are only remembered."""

import linecache
import sys
from types import ModuleType
from typing import Any

import pytest

_RUN = []


class Notebook:
    """A module without a file, in which cells are run.

    Args:
      monkeypatch: forgets the module after the test.
      name: of the module.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str = "a_notebook"):
        self._module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, self._module)

    def run(self, text: str) -> dict[str, Any]:
        """Run a cell; return what the notebook has defined."""
        _RUN.append(text)
        file = f"<cell {len(_RUN)}>"
        lines = text.splitlines(keepends=True)
        linecache.cache[file] = (len(text), None, lines, file)
        exec(compile(text, file, "exec"), vars(self._module))
        return vars(self._module)
