"""What the fields of a manifest may hold: a row for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from learned_optimization.baselines.folder_names import check_folder_name
from learned_optimization.baselines.release import packing
from learned_optimization.errors import LoptError
from learned_optimization.text import brief, one_line

_SUFFIXES = (".npz", packing.SUFFIX)

NAME = "manifest.json"
"""Name of the manifest's file, in the folder of a release."""

MAX_ARCHIVE_BYTES = 4 << 30
"""Bytes an archive of a release may have."""


@dataclass(frozen=True)
class Form:
    """What a field may hold.

    Attributes:
      allows: whether it may hold a value.
      allowed: what it may hold, as messages say it.
    """

    allows: Callable[[Any], bool]
    allowed: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _all(values: Any, allows: Callable[[Any], bool]) -> bool:
    # Of JSON's lists, tuples are made as they are read.
    return isinstance(values, tuple) and all(map(allows, values))


def _is_name(value: Any) -> bool:
    try:
        return bool(check_folder_name("a name", value))
    except LoptError:
        return False


def _is_file(value: Any) -> bool:
    """Return whether a path leads to an archive within the folder of the release."""
    if not _is_text(value) or "://" in value or not value.endswith(_SUFFIXES):
        return False
    parts = value.split("/")
    return parts[0] != NAME and all(map(_is_name, parts))


def _is_like(pattern: str) -> Callable[[Any], bool]:
    return lambda value: _is_text(value) and re.fullmatch(pattern, value) is not None


_TEXT = Form(_is_text, "text")
_NAME = Form(
    lambda value: _is_name(value) and not value.startswith("."),
    "a name without a slash, which does not begin with a dot",
)
_COUNT = Form(lambda value: _is_whole(value, 1), "a whole number of at least 1")
_BYTES = Form(
    lambda value: _is_whole(value, 1) and value <= MAX_ARCHIVE_BYTES,
    f"a whole number of at least 1, and at most {MAX_ARCHIVE_BYTES:,}",
)
_STEP = Form(lambda value: _is_whole(value, 0), "a whole number of at least 0")
_STEPS = Form(
    lambda values: _all(values, lambda value: _is_whole(value, 0)),
    "a list of whole numbers of at least 0",
)
_TEXTS = Form(lambda values: _all(values, _is_text), "a list of texts")
_DIGEST = Form(_is_like("[0-9a-f]{64}"), "64 hexadecimal digits")
_DIGEST_OR_NONE = Form(_is_like("([0-9a-f]{64})?"), "64 hexadecimal digits, or empty")
_DATE = Form(_is_like(r"(\d{4}-\d\d-\d\d)?"), "a day as YYYY-MM-DD, or empty")

OF_ARCHIVES: Mapping[str, Form] = {
    "file": Form(
        _is_file, f"a path within the release that ends in {' or '.join(_SUFFIXES)}"
    ),
    "task": _NAME,
    "hparam_set": _NAME,
    "sha256": _DIGEST,
    "num_bytes": _BYTES,
    "num_configs": _COUNT,
    "num_seeds": _COUNT,
    "num_steps": _STEP,
    "evaluations": _COUNT,
    "of_evaluations": _COUNT,
    "seeds": _STEPS,
    "versions": _TEXTS,
    "hardware": _TEXT,
    "date": _DATE,
    "command": _TEXT,
    "whole_sha256": _DIGEST_OR_NONE,
}
"""Of each archive."""

OF_RELEASES: Mapping[str, Form] = {
    "name": Form(lambda value: _is_text(value) and value != "", "text, and not empty"),
    "command": _TEXT,
    "made_by": _TEXT,
    "source": _TEXT,
}
"""Of a release, its archives apart."""


def check(of: object, forms: Mapping[str, Form], where: str) -> None:
    """Refuse what has a field that holds what it must not.

    Args:
      of: what has the fields.
      forms: what they may hold.
      where: what it is, as messages say it.

    Raises:
      LoptError: naming the first such field.
    """
    for name, form in forms.items():
        value = getattr(of, name)
        if not form.allows(value):
            raise LoptError(
                f"the {name} of {one_line(where)} is {brief(value)}, and should be "
                f"{form.allowed}."
            )
