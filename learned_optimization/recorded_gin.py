"""The gin configuration that a result file records, read as data.

Gin text can import modules, include files and call whatever gin knows. A result file
may be anybody's: of its configuration only bindings count, and what they refer to is
what is trained, never what trains, archives or writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import gin
from gin import config as gin_config
from gin import config_parser

from learned_optimization import configuration
from learned_optimization.errors import LoptError
from learned_optimization.text import brief

__all__ = ["load"]

_PACKAGE = "learned_optimization."
# Rooms of this package whose configurables do something rather than describe a trial.
_DRIVERS = (f"{_PACKAGE}baselines.", f"{_PACKAGE}outer_trainers.")

MAX_BYTES = 1 << 20
"""Bytes that a recorded configuration may have; one of ours has 10 kB."""


def load(text: str) -> None:
    """Replace the global configuration by one that a result file records.

    Nothing is imported: what it names must be known already.

    Args:
      text: as of `gin.operative_config_str`.

    Raises:
      LoptError: if it includes a file, imports a module that is not imported yet,
        refers to what does more than describe a trial, or cannot be read.
    """
    if len(text) > MAX_BYTES:
        raise LoptError(f"it has more than {MAX_BYTES:,} characters.")
    configuration.register_all()
    gin.clear_config()
    with configuration.helpful_errors():
        for key, value in _bindings(text):
            gin.bind_parameter(key, value)


class _Described(gin_config.ParserDelegate):
    """Makes references to what describes a trial, and to nothing else."""

    def configurable_reference(
        self, scoped_selector: str, evaluate: bool
    ) -> gin_config.ConfigurableReference:
        """Return a reference.

        Raises:
          LoptError: if calling what it refers to would do more than that.
        """
        reference = gin_config.ConfigurableReference(scoped_selector, evaluate)
        configurable = reference.configurable
        assert configurable is not None
        if configurable.selector.startswith(_DRIVERS):
            raise LoptError(
                f"it refers to @{brief(scoped_selector)}, which a trial has no use for."
            )
        return reference


def _bindings(text: str) -> Iterator[tuple[tuple[str, str, str], object]]:
    for statement in config_parser.ConfigParser(text, _Described()):
        if isinstance(statement, config_parser.BindingStatement):
            scope, selector, parameter, value, _ = statement
            if parameter:
                yield (scope, selector, parameter), value
            else:
                macro = f"{scope}/{selector}" if scope else selector
                yield (macro, "gin.macro", "value"), value
        elif isinstance(statement, config_parser.IncludeStatement):
            raise LoptError(f"it includes {brief(statement.filename)}.")
        elif isinstance(statement, config_parser.ImportStatement):
            _check_imported(statement.module)


def _check_imported(module: str) -> None:
    """Refuse a module that is not imported; this package's are, where they count."""
    names = (module, module.rpartition(".")[0])
    if not module.startswith(_PACKAGE) and not any(n in sys.modules for n in names):
        raise LoptError(f"it imports {brief(module)}, which is not imported here.")
