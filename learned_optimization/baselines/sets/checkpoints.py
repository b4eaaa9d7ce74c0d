"""Checkpoints under names of their own, and the sets that each of them makes known."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from learned_optimization import filesystem
from learned_optimization.baselines.folder_names import is_plain_name, present_name
from learned_optimization.baselines.sets.checkpoint_sets import (
    TEMPLATES,
    split_set_name,
)
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import add_hparam_set
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import pretrained
from learned_optimization.learned_optimizers.config_gin import class_lines
from learned_optimization.text import brief

_ORIGIN = "a checkpoint"
_MAX_NAME_BYTES = 100
_OF_CLASS = re.compile(r"([^\W\d]\w*)@(.+)", re.DOTALL)

_KNOWN: dict[str, NamedCheckpoint] = {}


@dataclass(frozen=True)
class NamedCheckpoint:
    """A checkpoint of a learned optimizer, as it is given: `NAME=PATH`.

    Attributes:
      name: what sets and results are named after.
      path: its path or address, or `pretrained:NAME`; of a file of this machine, from
        its root on, so that what a trial records is found from any folder.
      architecture: the class of its learned optimizer; empty where the
        configuration beside it says so.
    """

    name: str
    path: str
    architecture: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)

    @classmethod
    def parse(cls, text: str) -> NamedCheckpoint:
        """Return the checkpoint of `NAME=PATH` or `NAME=CLASS@PATH`.

        Raises:
          LoptError: if the text has another form, the name cannot be that of sets, or
            as `found_checkpoint`.
        """
        name, equals, rest = text.partition("=")
        if not equals or not rest:
            raise LoptError(
                "a checkpoint is given with a name for its sets, as NAME=PATH or "
                f"NAME=CLASS@PATH, e.g. celo=celo/params; got {brief(text)}."
            )
        _check_name(name)
        architecture, path = found_checkpoint(rest)
        if name in pretrained.pretrained_names() and path != pretrained.address(name):
            raise LoptError(
                f"a checkpoint cannot be called {name}: that is one of the package, "
                f"whose sets are known. Choose another name for {brief(path)}."
            )
        return cls(name, path, architecture)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        of_class = f"{self.architecture}@" if self.architecture else ""
        return f"{self.name}={of_class}{self.path}"

    @property
    def extra_bindings(self) -> tuple[str, ...]:
        """Lines of gin that its learned optimizer is made with."""
        return class_lines(self.architecture)

    def define(self) -> list[HParamSet]:
        """Register the set of every template, and return them.

        A checkpoint given before under the same name is replaced.

        Raises:
          LoptError: if a set that is none of a checkpoint has the name of one.
        """
        _KNOWN[self.name] = self
        return [
            add_hparam_set(
                template.with_checkpoint(self.name, self.path, self.extra_bindings),
                _ORIGIN,
            )
            for template in TEMPLATES.values()
        ]


def known_checkpoints() -> list[NamedCheckpoint]:
    """Return the checkpoints whose sets this process has registered."""
    return list(_KNOWN.values())


def checkpoint_of(set_name: str) -> NamedCheckpoint | None:
    """Return the checkpoint a registered set is of, None if it is of none."""
    made_of = split_set_name(set_name)
    return None if made_of is None else _KNOWN.get(made_of[0])


def _check_name(name: str) -> None:
    if not is_plain_name(name) or len(name.encode()) > _MAX_NAME_BYTES:
        raise LoptError(
            "a checkpoint's name begins those of its sets and results: it must be "
            "letters, digits and _ . + -, begin with a letter or digit, and be at most "
            f"{_MAX_NAME_BYTES} bytes long, got {brief(name)}."
        )
    if (written := present_name(name)) != name:
        raise LoptError(
            f"a checkpoint cannot be called {name}: names of results have whole "
            f"numbers as {written}."
        )
    for template in TEMPLATES.values():
        set_name = f"{name}_{template.name}"
        if split_set_name(set_name) != (name, template):
            raise LoptError(
                f"a checkpoint cannot be called {name}: {set_name} would be a set of "
                "another checkpoint. Choose another name."
            )


def found_checkpoint(text: str) -> tuple[str, str]:
    """Return the class, empty if none is given, and the file of `[CLASS@]PATH`.

    A folder stands for the file `params` in it, as run directories have it.

    Raises:
      LoptError: if there is no such file, or no such learned optimizer.
    """
    of_class = _OF_CLASS.fullmatch(text)
    # What looks like a class may be the beginning of a file's name.
    if of_class is None or filesystem.exists(text):
        return "", _found(text)
    architecture, path = of_class.groups()
    # It imports jax, which those do without that only name results.
    from learned_optimization.learned_optimizers.base import get_learned_optimizer

    get_learned_optimizer(architecture)
    return architecture, _found(path)


def _found(path: str) -> str:
    """Return a path as it is recorded, of a file that is there."""
    if pretrained.file_of(path) != path:
        return path
    if filesystem.is_local(path):
        path = os.path.abspath(filesystem.without_scheme(path))
        if os.path.isdir(path):
            path = os.path.join(path, "params")
    if not filesystem.exists(path):
        raise LoptError(f"no such checkpoint: {path}")
    return path
