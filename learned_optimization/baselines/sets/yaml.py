"""YAML read as people mean it, with the line of everything for messages.

YAML 1.1, which PyYAML implements, takes `1e-3` for text, `on` for true, `010`
for eight and lets a key be given twice. Here plain numbers are those of YAML
1.2, `true` and `false` are the only truth values, and a key that is given twice
is an error.

ruamel.yaml reads YAML 1.2 too, but refuses less than that (0.19, pure Python): `010`
is ten, `2020-01-01` a date, `.nan` a number, the keys `1` and `'1'` two keys, a list
may be a key, and a line `%YAML 1.1` brings back `on`, `010` for eight and `1:30` for
ninety. Its round-trip mode, the one that keeps lines beside values, also accepts any
tag. Refusing all of this there takes the same resolvers and the same tree of nodes as
here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import yaml

from learned_optimization import filesystem
from learned_optimization.baselines.sets.limits import MAX_FILE_BYTES, MAX_YAML_NODES
from learned_optimization.errors import LoptError
from learned_optimization.text import brief

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"
)


@dataclass(frozen=True)
class YamlMapping:
    """A mapping of a YAML file and where it is.

    Attributes:
      path: the file, as messages name it.
      values: the mapping, in plain Python.
      node: what PyYAML knows about it.
    """

    path: str
    values: dict[str, Any]
    node: yaml.MappingNode

    def where(self, key: Any = None) -> str:
        """Return the file and line of the mapping, or of one of its keys."""
        line = self.node.start_mark.line
        for key_node, _ in self.node.value:
            if key is not None and key_node.value == str(key):
                line = key_node.start_mark.line
        return f"{self.path}, line {line + 1}"

    def without(self, key: str) -> YamlMapping:
        """Return the mapping without one of its keys."""
        values = {k: v for k, v in self.values.items() if k != key}
        return replace(self, values=values)

    def items(self, key: str) -> list[YamlMapping]:
        """Return the mappings in the list under a key.

        Raises:
          LoptError: if that is no list of mappings.
        """
        nodes = {key_node.value: node for key_node, node in self.node.value}
        values, node = self.values[key], nodes.get(key)
        if not isinstance(node, yaml.SequenceNode) or not values:
            raise LoptError(
                f"{self.where(key)}: {key} is a list, each item of which begins "
                f"with a dash, got {brief(values)}."
            )
        mappings = []
        for value, item in zip(values, node.value, strict=True):
            if not isinstance(item, yaml.MappingNode):
                raise LoptError(
                    f"{self.path}, line {item.start_mark.line + 1}: an item of {key} "
                    f"maps names to values, as `name: MySet`; got {brief(value)}."
                )
            mappings.append(YamlMapping(self.path, value, item))
        return mappings


def read_yaml(path: str | os.PathLike) -> YamlMapping:
    """Read a YAML file that holds one mapping.

    Raises:
      LoptError: with the line, if it is no YAML or no mapping, a key is given twice,
        or it is too large.
    """
    shown = os.fspath(path)
    content = filesystem.read_all(path, MAX_FILE_BYTES)
    try:
        loader = _Loader(content.decode("utf-8-sig"))
        node = loader.get_single_node()
        if node is not None and _count(node, {}) > MAX_YAML_NODES:
            raise LoptError(
                f"{shown}: it stands for more than {MAX_YAML_NODES:,} values, by "
                "anchors that are used again and again."
            )
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise LoptError(f"{shown}{where}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).partition("\n")[0]
        raise LoptError(f"{shown}: no YAML: {first}") from error
    except ValueError as error:
        if isinstance(error, LoptError):
            raise
        # A whole number of thousands of digits.
        raise LoptError(f"{shown}: no YAML: {error}") from error
    except RecursionError as error:
        raise LoptError(f"{shown}: no YAML: brackets are nested too deeply") from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise LoptError(
            f"{shown}: a file of sets maps names to values, as `name: MySet`; got "
            f"{brief(values)}."
        )
    return YamlMapping(shown, values, node)


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the nodes that a node stands for, with each use of an anchor in full.

    Args:
      node: the node.
      known: those of nodes that were counted before, by their id; 0 while one is.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0
        inner = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        known[id(node)] = 1 + sum(_count(part, known) for part in inner)
    elif not known[id(node)]:
        raise yaml.constructor.ConstructorError(
            problem="an anchor is used within what it stands for",
            problem_mark=node.start_mark,
        )
    return known[id(node)]


class _Loader(yaml.SafeLoader):
    """Builds nothing but plain values, as YAML 1.2 reads them."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        """Return a mapping, each of whose keys is given once."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                problem = "a key must be a name or a number"
            elif key_node.value in seen:
                problem = f"{key_node.value!r} is given twice"
            else:
                seen.add(key_node.value)
                continue
            raise yaml.constructor.ConstructorError(
                problem=problem, problem_mark=key_node.start_mark
            )
        return super().construct_mapping(node, deep)


# A table of its own: the class's would be PyYAML's for everyone.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", re.compile(r"(~|null|Null|NULL|None|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"<<$"), "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
