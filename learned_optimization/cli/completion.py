"""What completes names in the shell; it costs nothing until the shell asks."""

from __future__ import annotations

from collections.abc import Callable

KINDS = (
    "task",
    "suite",
    "set",
    "archive",
    "optimizer",
    "learned optimizer",
    "data set",
)
"""What a name may be of. An archive need not be of a set that is defined."""


def completer(*kinds: str) -> Callable[[str], list[str]]:
    """Return what completes names of some of `KINDS`, as typer's `autocompletion`."""

    def complete(incomplete: str) -> list[str]:
        """Return the names that begin with what is typed."""
        # The help is made of the same options, and needs no names.
        from learned_optimization.cli.known_names import names_of

        return [name for name in names_of(*kinds) if name.startswith(incomplete)]

    return complete
