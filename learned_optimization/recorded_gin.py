"""The gin configuration that a result file records, read as data.

Gin text can import modules, include files and call whatever gin knows. A result file
may be anybody's: of its configuration only bindings count, and what they refer to is
what describes a trial, never what trains, archives or writes. What a user has imported
is trusted as the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import gin
from gin import config as gin_config
from gin import config_parser

from learned_optimization import configuration
from learned_optimization.errors import LoptError
from learned_optimization.text import brief

__all__ = ["RefusedError", "check_address", "load"]

_PACKAGE = "learned_optimization."
# Of this package, the rooms whose configurables describe a task or an optimizer.
_DESCRIBING = ("optimizers", "learned_optimizers", "tasks", "research.general_lopt")

MAX_BYTES = 1 << 20
"""Characters that a recorded configuration may have; one of ours has 10,000."""

MAX_VALUES = 100_000
"""Values that it may bind, once macros stand for theirs."""

# Of others, as `reference://` or what comes before `::`, what lies at an address says
# where else to read, and how.
_PLAIN = re.compile(r"(file|gs|gcs|s3|hf|https?|memory)://(?!.*::)", re.DOTALL)

_Key = tuple[str, str, str]


class RefusedError(LoptError):
    """A recorded configuration that does more than describe a trial."""


def load(text: str) -> None:
    """Replace the global configuration by one that a result file records.

    Nothing is imported: what it names must be known already. Its imports are passed
    over.

    Args:
      text: as of `gin.operative_config_str`.

    Raises:
      RefusedError: if it includes a file, refers to what does more than describe a
        trial, names an address that is no plain one, or is too large.
      LoptError: if it cannot be read, or names what is not known.
    """
    if len(text) > MAX_BYTES:
        raise RefusedError(f"it has more than {MAX_BYTES:,} characters.")
    configuration.register_all()
    gin.clear_config()
    delegate = _Noting()
    imports: list[str] = []
    try:
        with configuration.helpful_errors():
            bindings = _bindings(text, delegate, imports)
            delegate.check()
            _check_values(bindings)
            for key, value in bindings:
                gin.bind_parameter(key, value)
    except RefusedError:
        raise
    except LoptError as error:
        if not imports:
            raise
        raise LoptError(f"{error} It imports {brief(', '.join(imports))}.") from error


def check_address(text: str) -> None:
    """Refuse an address, recorded in a file, that leads on to others.

    Args:
      text: a path or an address.

    Raises:
      RefusedError: if it is no plain one, of one file.
    """
    if "://" in text and not _PLAIN.match(text):
        raise RefusedError(
            f"it names {brief(text)}: an address in a result may be a path or a plain "
            "file://, gs://, s3://, hf:// or http(s)://."
        )


class _Noting(gin_config.ParserDelegate):
    """Makes references, and notes what they are to."""

    def __init__(self) -> None:
        super().__init__()
        self._selectors: dict[str, str] = {}

    def configurable_reference(
        self, scoped_selector: str, evaluate: bool
    ) -> gin_config.ConfigurableReference:
        """Return a reference."""
        reference = gin_config.ConfigurableReference(scoped_selector, evaluate)
        if reference.configurable is not None:
            self._selectors[reference.configurable.selector] = scoped_selector
        return reference

    def check(self) -> None:
        """Raise `RefusedError` if calling one of them would do more than describe."""
        for selector, written in self._selectors.items():
            name = selector.removeprefix(_PACKAGE)
            is_described = name.startswith(tuple(f"{room}." for room in _DESCRIBING))
            if name != selector and not is_described:
                raise RefusedError(
                    f"it refers to @{brief(written)}, which a trial has no use for."
                )


def _bindings(
    text: str, delegate: _Noting, imports: list[str]
) -> list[tuple[_Key, object]]:
    found: list[tuple[_Key, object]] = []
    for statement in config_parser.ConfigParser(text, delegate):
        if isinstance(statement, config_parser.BindingStatement):
            found.append((configuration.bound_key(statement), statement.value))
        elif isinstance(statement, config_parser.IncludeStatement):
            raise RefusedError(f"it includes {brief(statement.filename)}.")
        elif isinstance(statement, config_parser.ImportStatement):
            imports.append(statement.module)
    return found


def _check_values(bindings: list[tuple[_Key, object]]) -> None:
    """Refuse macros that stand for more values than anybody needs, or for themselves.

    Addresses among the values are checked as well.
    """
    macros = {key[0]: value for key, value in bindings if key[1] == configuration.MACRO}
    sizes: dict[str, int] = {}
    if sum(_size(value, macros, sizes, ()) for _, value in bindings) > MAX_VALUES:
        raise RefusedError(f"it binds more than {MAX_VALUES:,} values.")


def _size(
    value: object,
    macros: Mapping[str, object],
    sizes: dict[str, int],
    within: tuple[str, ...],
) -> int:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return 1 + sum(_size(one, macros, sizes, within) for one in value)
    is_macro = (
        isinstance(value, gin_config.ConfigurableReference)
        and value.configurable is not None
        and value.configurable.selector == configuration.MACRO
    )
    if isinstance(value, str):
        check_address(value)
    if not is_macro:
        return 1
    assert isinstance(value, gin_config.ConfigurableReference)
    name = "/".join(value.scopes)
    if name in within:
        raise RefusedError(f"its macro {brief(name)} stands for itself.")
    if name not in sizes:
        sizes[name] = _size(macros.get(name), macros, sizes, (*within, name))
    return sizes[name]
