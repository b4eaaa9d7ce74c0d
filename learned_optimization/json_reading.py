"""JSON of files, read so that whatever they hold is a value or one kind of error."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from learned_optimization.text import brief


def parse_json(content: bytes) -> Any:
    """Return what JSON text says.

    NaN and infinity are read, as Python writes them; a name given twice is an error.

    Raises:
      ValueError: saying what is wrong with it, whatever that is.
    """
    try:
        return json.loads(content, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("lists and objects are nested too deeply") from error


def to_time(seconds: Any) -> float:
    """Return seconds since 1970, as a file says them.

    Raises:
      TypeError: if it is no number.
      ValueError: if no date is so many seconds from then.
    """
    try:
        datetime.fromtimestamp(time := float(seconds))
    except (OverflowError, OSError) as error:
        raise ValueError(f"its time is {brief(seconds)}") from error
    return time


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice, _ = counts.most_common(1)[0]
        raise ValueError(f"the name {brief(twice)} is given twice")
    return made
