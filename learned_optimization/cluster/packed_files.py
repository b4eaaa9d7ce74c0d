"""Packs users' files, to send them to another machine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from learned_optimization.baselines.sets.files import import_file, load_user_file


@dataclass(frozen=True)
class PackedFiles:
    """Files that define sets, optimizers or tasks, and what they hold.

    Attributes:
      contents: of each file, its path relative to a folder common to all, and its
        bytes.
      to_load: which of them are to be loaded, in order.
    """

    contents: tuple[tuple[str, bytes], ...] = ()
    to_load: tuple[str, ...] = ()

    @classmethod
    def pack(cls, paths: Sequence[str]) -> PackedFiles:
        """Read files, and the modules they imported from their own folders.

        Args:
          paths: real paths of files that this process has loaded.
        """
        if not paths:
            return cls()
        every = list(dict.fromkeys([*paths, *_modules_beside(paths)]))
        common = os.path.commonpath([os.path.dirname(path) for path in every])
        contents = tuple(
            (os.path.relpath(path, common), Path(path).read_bytes()) for path in every
        )
        return cls(contents, tuple(os.path.relpath(path, common) for path in paths))

    def load(self) -> None:
        """Register what the files define.

        Raises:
          LoptError: as `sets.files.load_user_file`.
        """
        with tempfile.TemporaryDirectory(prefix="lopt-files-") as folder:
            for name, content in self.contents:
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            for name in self.to_load:
                load = import_file if name.endswith(".py") else load_user_file
                load(Path(folder, name))


def _modules_beside(paths: Sequence[str]) -> list[str]:
    folders = {os.path.dirname(path) for path in paths}
    files = [getattr(module, "__file__", None) for module in [*sys.modules.values()]]
    real = [os.path.realpath(file) for file in files if file]
    return [path for path in real if os.path.dirname(path) in folders]
