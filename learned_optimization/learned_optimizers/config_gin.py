"""The literals of a `config.gin`, read without gin: nothing is imported or called.

A checkpoint's `config.gin` is the gin configuration of the run that made it. Gin text
can import modules and call what they define, so that gin must not read one of unknown
origin. Here it is text: bindings of literals, of references (`@HyperV2()`) that stay
names, and of macros (`%size`). Imports and includes are passed over.
"""

from __future__ import annotations

import ast
import bisect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from learned_optimization.errors import FileContentError
from learned_optimization.text import brief

__all__ = [
    "Binding",
    "Bindings",
    "Macro",
    "Reference",
    "class_lines",
    "from_bytes",
    "parse",
]

MAX_FILE_BYTES = 1 << 20
"""Bytes that a configuration may have, as of gin files elsewhere in this package."""

MAX_BINDINGS = 20_000
"""Bindings of a configuration; published ones have some hundred."""

MAX_DEPTH = 32
"""Brackets within brackets, and macros by way of macros."""

MAX_VALUES = 10_000
"""Values that a binding may have once macros are replaced."""

_MAX_DIGITS = 100
_REMEDY = (
    "It may bind literals, references such as @HyperV2() and macros such as %size, as "
    "gin writes them."
)

_NAME = r"[A-Za-z_]\w*(?:[./][A-Za-z_]\w*)*"
_BLANK = re.compile(r"(?:[ \t\r\f\n]|\\\r?\n|#[^\n]*)+")
_BLANK_IN_LINE = re.compile(r"(?:[ \t\r\f]|\\\r?\n)+")
_PASSED_OVER = re.compile(r"(?:import|from|include)[ \t](?:\\\r?\n|[^\n])*")
_TARGET = re.compile(_NAME)
_REST_OF_LINE = re.compile(r"[ \t\r\f]*(?:#[^\n]*)?(?:\n|\Z)")
_TOKEN = re.compile(
    rf"""(?P<reference>@{_NAME}(?:\(\))?)
    | (?P<macro>%{_NAME})
    | (?P<text>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    | (?P<number>[+-]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<word>(?:None|True|False)\b)
    | (?P<sign>[][(){{}},:])""",
    re.VERBOSE,
)
# Python would warn of them; gin writes none.
_UNKNOWN_ESCAPE = re.compile(r"""(?<!\\)(?:\\\\)*\\[^\\'"abfnrtvx0-7uUN]""")
_WORDS = {"None": None, "True": True, "False": False}


@dataclass(frozen=True)
class Reference:
    """A configurable that is named, as `@scope/HyperV2()`.

    Attributes:
      name: its last name, `HyperV2`.
      full_name: the name with its modules, as written.
      scopes: the scopes before it, the outermost first.
    """

    name: str
    full_name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Macro:
    """A macro that is named, as `%size`.

    Attributes:
      name: its name, `size`.
    """

    name: str


@dataclass(frozen=True)
class Binding:
    """A value that something is bound to.

    Attributes:
      scopes: the scopes before it, the outermost first.
      configurable: the last name of what is configured; empty for a macro.
      parameter: its parameter, or the macro's name.
      value: the value: literals, `Reference` and `Macro`.
      source: the file.
      line: its line there, from 1.
    """

    scopes: tuple[str, ...]
    configurable: str
    parameter: str
    value: Any
    source: str
    line: int

    def error(self, problem: str) -> FileContentError:
        """Return the error that says where and what is wrong with it."""
        return FileContentError(self.source, f"line {self.line}: {problem}", _REMEDY)


@dataclass(frozen=True)
class Bindings:
    """What a configuration binds; later bindings win.

    Attributes:
      all: every binding, in order.
    """

    all: tuple[Binding, ...] = ()

    def __add__(self, other: Bindings) -> Bindings:
        """Return both; those of the other win."""
        return Bindings(self.all + other.all)

    def of(self, configurable: str, scopes: tuple[str, ...] = ()) -> dict[str, Binding]:
        """Return what the parameters of a configurable are bound to.

        Args:
          configurable: its last name, `HyperV2`.
          scopes: the scopes it is called in. Bindings of deeper scopes win, and those
            of other scopes do not count.
        """
        found: dict[str, Binding] = {}
        for depth in range(len(scopes) + 1):
            for binding in self.all:
                is_of = binding.configurable == configurable
                if is_of and binding.scopes == scopes[:depth]:
                    found[binding.parameter] = binding
        return found

    def resolved(self, binding: Binding) -> Any:
        """Return the value of a binding, with macros replaced by their values.

        Raises:
          FileContentError: if a macro is not defined, or by way of itself.
        """
        macros = {
            "/".join((*b.scopes, b.parameter)): b
            for b in self.all
            if not b.configurable
        }
        return _Resolver(macros).resolved(binding.value, binding, ())


class _Resolver:
    """Puts values in the place of macros, so many and no more."""

    def __init__(self, macros: Mapping[str, Binding]):
        self._macros, self._left = macros, MAX_VALUES

    def resolved(self, value: Any, at: Binding, within: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise at.error(f"macros make it more than {MAX_VALUES:,} values")
        if isinstance(value, Macro):
            if value.name in within:
                raise at.error(f"the macro {value.name} is defined by way of itself")
            if value.name not in self._macros or len(within) > MAX_DEPTH:
                raise at.error(f"there is no macro {value.name}")
            macro = self._macros[value.name]
            return self.resolved(macro.value, macro, (*within, value.name))
        if isinstance(value, (list, tuple)):
            return type(value)(self.resolved(v, at, within) for v in value)
        if isinstance(value, dict):
            return {k: self.resolved(v, at, within) for k, v in value.items()}
        return value


def class_lines(architecture: str) -> tuple[str, ...]:
    """Return the lines that name a learned optimizer's class; none of an empty name."""
    return (f"run_train.lopt = @{architecture}()",) if architecture else ()


def from_bytes(content: bytes, path: str) -> Bindings:
    """Return what the bytes of a file bind.

    Raises:
      FileContentError: as of `parse`, or if it is no text.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileContentError(path, "it is no text", _REMEDY) from error
    return parse(text, path)


def parse(text: str, source: str) -> Bindings:
    """Return what a configuration binds.

    Args:
      text: the configuration.
      source: where it is from, for messages.

    Raises:
      FileContentError: naming the line, and what is wrong there.
    """
    reader = _Reader(text, source)
    bindings: list[Binding] = []
    for binding in reader.bindings():
        bindings.append(binding)
        if len(bindings) > MAX_BINDINGS:
            raise reader.error(f"there are more than {MAX_BINDINGS:,} bindings")
    return Bindings(tuple(bindings))


class _Reader:
    """A place in a text, from which is read what follows."""

    def __init__(self, text: str, source: str):
        self._text, self._source, self._at = text, source, 0
        self._line_ends = [m.start() for m in re.finditer("\n", text)]
        self._has_comma = False  # after the last item of what was read

    def _line(self) -> int:
        return bisect.bisect_left(self._line_ends, self._at) + 1

    def error(self, problem: str) -> FileContentError:
        return FileContentError(
            self._source, f"line {self._line()}: {problem}", _REMEDY
        )

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found is not None

    def _next(self) -> str:
        """Return the beginning of what follows, for messages."""
        if self._at >= len(self._text):
            return "the end of the text"
        shown = self._text[self._at : self._at + 40].partition("\n")[0]
        return brief(shown.strip())

    def bindings(self) -> Iterator[Binding]:
        self._skip(_BLANK)
        while self._at < len(self._text):
            if not self._skip(_PASSED_OVER):
                yield self._binding()
                if not self._skip(_REST_OF_LINE):
                    raise self.error(f"after a value there is {self._next()}")
            self._skip(_BLANK)

    def _binding(self) -> Binding:
        line = self._line()
        found = _TARGET.match(self._text, self._at)
        if found is None:
            raise self.error(f"there is {self._next()} where a name should be")
        self._at = found.end()
        self._skip(_BLANK_IN_LINE)
        if self._text[self._at : self._at + 1] != "=":
            raise self.error(f"after {found[0]} there is {self._next()}, and no =")
        self._at += 1
        self._skip(_BLANK_IN_LINE)
        *scopes, last = found[0].split("/")
        selector, _, parameter = last.rpartition(".")
        value = self._value(0)
        configurable = selector.rpartition(".")[2]
        return Binding(
            tuple(scopes), configurable, parameter, value, self._source, line
        )

    def _value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.error("brackets are nested too deeply")
        kind, token = self._token()
        if kind == "reference":
            *scopes, full = token[1:].removesuffix("()").split("/")
            return Reference(full.rpartition(".")[2], full, tuple(scopes))
        if kind == "macro":
            return Macro(token[1:])
        if kind == "number":
            return self._number(token)
        if kind == "word":
            return _WORDS[token]
        if kind == "text":
            return self._string(token, depth)
        if token in "[(":
            return self._sequence(token, depth)
        if token == "{":
            return self._mapping(depth)
        raise self.error(f"there is {token!r} where a value should be")

    def _token(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self.error(f"there is {self._next()} where a value should be")
        self._at = found.end()
        return str(found.lastgroup), found[0]

    def _number(self, token: str) -> int | float:
        if len(token) > _MAX_DIGITS:
            raise self.error(f"a number has {len(token):,} digits")
        try:
            is_whole = re.fullmatch(r"[+-]?[\d_]+", token)
            return int(token) if is_whole else float(token)
        except ValueError as error:
            raise self.error(f"{brief(token)} is no number") from error

    def _string(self, token: str, depth: int) -> str:
        parts = [token]
        # In brackets, gin writes long ones in pieces.
        while depth and self._skip_and_see() in ("'", '"'):
            parts.append(self._token()[1])
        if any(map(_UNKNOWN_ESCAPE.search, parts)):
            raise self.error(f"{brief(token)} has a backslash that says nothing")
        try:
            return "".join(ast.literal_eval(part) for part in parts)
        except (ValueError, SyntaxError) as error:
            raise self.error(f"{brief(token)} is no text") from error

    def _skip_and_see(self) -> str:
        self._skip(_BLANK)
        return self._text[self._at : self._at + 1]

    def _items(self, end: str) -> Iterator[None]:
        """Yield where each item begins, and passes the commas and the end."""
        while self._skip_and_see() != end:
            yield
            self._has_comma = self._skip_and_see() == ","
            if self._has_comma:
                self._at += 1
            elif self._skip_and_see() != end:
                raise self.error(f"there is {self._next()} where , or {end} should be")
        self._at += 1

    def _sequence(self, start: str, depth: int) -> Any:
        end = "]" if start == "[" else ")"
        items = [self._value(depth + 1) for _ in self._items(end)]
        if end == "]":
            return items
        is_tuple = len(items) != 1 or self._has_comma
        return tuple(items) if is_tuple else items[0]

    def _mapping(self, depth: int) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for _ in self._items("}"):
            key = self._value(depth + 1)
            if self._skip_and_see() != ":":
                raise self.error(f"there is {self._next()} where : should be")
            self._at += 1
            self._skip(_BLANK)
            value = self._value(depth + 1)
            try:
                made[key] = value
            except TypeError as error:
                raise self.error(f"{brief(key)} is no key of a map") from error
        return made
