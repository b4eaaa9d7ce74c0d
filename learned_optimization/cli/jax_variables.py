"""jax's own environment variables, which it reads when a command imports it."""

from __future__ import annotations

import os
import re
import traceback

from learned_optimization.errors import LoptError
from learned_optimization.text import brief


def refused_by_jax(error: ValueError) -> LoptError | None:
    """Return what to say where jax cannot be imported for a variable of its own.

    Args:
      error: as the import raised it; of any other, None is returned.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or frames[-1].f_globals.get("__name__") != "jax._src.config":
        return None
    # jax names the variable, or the option of the same name in small letters.
    found = re.search(r"\bjax_\w+", str(error), re.IGNORECASE)
    variable = found[0].upper() if found else ""
    if variable not in os.environ:
        return None
    allowed = (
        "1 or 0 (or true or false, yes or no, on or off)"
        if "truth value" in str(error)
        else "what jax's documentation of its configuration options lists"
    )
    return LoptError(
        f"{variable} must be {allowed}, got {brief(os.environ[variable])}: jax does "
        "not start with it. Correct it, or unset it for jax's default."
    )
