"""jax's own environment variables, which it reads when a command imports it."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping
from typing import Any

from learned_optimization.errors import LoptError
from learned_optimization.text import brief


def leave_memory_to_others() -> None:
    """Keep jax from reserving an accelerator's memory, unless a variable says so.

    For commands that only ask which accelerator there is, beside a sweep on it. It
    counts if jax's backend has not started yet.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def refused_by_jax(error: ValueError) -> LoptError | None:
    """Return what to say where jax cannot start for a variable of its own.

    Args:
      error: as jax raised it; of any other, None is returned.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or not frames[-1].f_globals.get("__name__", "").startswith("jax."):
        return None
    variable = _variable(str(error), frames[-1].f_locals)
    if variable not in os.environ:
        return None
    allowed = "what jax's documentation of its configuration options lists"
    if "truth value" in str(error):
        allowed = "1 or 0 (or true or false, yes or no, on or off)"
    elif "for int()" in str(error):
        allowed = "a whole number"
    return LoptError(
        f"{variable} must be {allowed}, got {brief(os.environ[variable])}: jax does "
        "not start with it. Correct it, or unset it for jax's default."
    )


def _variable(message: str, known: Mapping[str, Any]) -> str:
    # jax names the variable, or the option of the same name in small letters.
    if found := re.search(r"\bjax[_.]\w+", message, re.IGNORECASE):
        return found[0].upper().replace(".", "_")
    # What reads a whole number does not, but was told which variable to read.
    return str(known.get("varname", ""))
