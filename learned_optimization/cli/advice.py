"""The command that helps after an error, from the facts that the error carries."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from learned_optimization.errors import (
    LoptError,
    MissingArchiveError,
    MissingNormalizerError,
    MissingTrialsError,
    NotRegisteredError,
)
from learned_optimization.text import said

_LISTED_BY = {
    "task": "`lopt tasks` lists them all",
    "hparam set": "`lopt sets` lists them all",
    "optimizer": "`lopt optimizers` lists them all",
    "learned optimizer": "`lopt lopts` lists them all",
    "data set": "`lopt data list` lists them all",
}


def with_advice(error: LoptError) -> str:
    """Return the message of an error, and the command that helps where there is one.

    What the library names as an argument in Python is named as the option it is here.
    An error that was raised from another, as at a line of a file, gets the advice on
    that other.
    """
    message = said(error)
    for argument, option in _OPTIONS.items():
        message = message.replace(argument, option)
    cause: BaseException | None = error
    while cause is not None:
        for kind, advice in _ADVICE.items():
            if isinstance(cause, kind):
                return message + advice(cause)
        cause = cause.__cause__
    return message


def with_its_file(set_name: str, source: str | None) -> str:
    """Return a set as a command is given it: its name, and what defines it.

    Args:
      set_name: the set.
      source: the file that defines it; None if it is known without one, or by its
        checkpoint.
    """
    # The help is printed without what it imports.
    from learned_optimization.baselines.sets.checkpoints import checkpoint_of

    checkpoint = checkpoint_of(set_name)
    if checkpoint is not None:
        return f"{set_name} --checkpoint {shlex.quote(str(checkpoint))}"
    return set_name if source is None else f"{set_name} --set {shlex.quote(source)}"


def _on_unknown_name(error: NotRegisteredError) -> str:
    listed_by = _LISTED_BY.get(error.kind)
    return f" ({listed_by})" if listed_by else ""


def _on_missing_archive(error: MissingArchiveError) -> str:
    # It imports jax, which takes seconds; `lopt status` does without.
    from learned_optimization.baselines.sets.files import source_of

    name = error.hparam_set_name
    chosen = with_its_file(name, source_of(name))
    return f" Make it with `lopt sweep {error.task_name} {chosen}`."


def _on_missing_trials(error: MissingTrialsError) -> str:
    chosen = with_its_file(error.hparam_set_name, error.source)
    return f"\nTrain them with `lopt sweep {error.task_name} {chosen}`."


def _on_missing_normalizer(error: MissingNormalizerError) -> str:
    name, sets = error.name, " ".join(error.hparam_sets)
    fetch = f" `lopt normalize fetch {name}` downloads the published one. Or"
    return (
        f"{fetch if error.is_published else ''} train its baseline with "
        f"`lopt sweep TASK {sets}`, build it with `lopt normalize build {name} TASK "
        f"-o DIR/{name}.json`, and set LOPT_NORMALIZERS_DIR=DIR or pass the file."
    )


_OPTIONS = {
    "overwrite=True": "overwrite=True (--overwrite)",
    "as reference=SET": "as --reference SET",
    "sha256=": "--sha256 ",
    "Leave out as_published": "Leave out --as-published",
    "Choose another port, or a host": "Choose another --port, or a --host",
    "choose a name of letters": "choose a name (--name) of letters",
    "is imported instead": "is given by --import",
    "or in extra_bindings:": "by CLASS@PATH (--checkpoint NAME=CLASS@PATH), or in "
    "extra_bindings:",
    "of your own before;": "of your own before (--import FILE);",
}
"""What the library's messages say, to what the command line calls it."""

_ADVICE: dict[type[LoptError], Callable[[Any], str]] = {
    NotRegisteredError: _on_unknown_name,
    MissingArchiveError: _on_missing_archive,
    MissingTrialsError: _on_missing_trials,
    MissingNormalizerError: _on_missing_normalizer,
}
