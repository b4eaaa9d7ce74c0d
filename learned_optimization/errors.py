"""Errors written for the person who reads them.

Every error a user can cause derives from `LoptError`; the command line prints
its one line and exits with code 2. The message says what was wrong, the value
got, what is allowed (or the nearest names), and what to do.

A message of the library names no command and no option of one: what is called from
Python is told of arguments, as `overwrite=True`, and the option of the command line
that passes it has the same name. Where a command helps, the error is a class of its
own, whose attributes are the facts from which `cli.advice` makes the command. Only
errors about data sets that are missing name `lopt data prepare`: what they need is not
on the machine, and that command is how it gets there.
"""

from __future__ import annotations

import difflib
import numbers
import os
from collections.abc import Iterable, Sequence

from learned_optimization.text import brief, one_line, printable

__all__ = [
    "AbsentError",
    "BackendError",
    "DamagedFileError",
    "DataNotFoundError",
    "DatasetShapeError",
    "FileContentError",
    "ForbiddenFileError",
    "JaxConfigError",
    "LoptError",
    "MissingArchiveError",
    "MissingFileError",
    "MissingNormalizerError",
    "MissingTrialsError",
    "NewerSchemaError",
    "NotAFileError",
    "NotRegisteredError",
    "ResultError",
    "RunStoppedError",
    "TooLargeError",
    "UnknownNameError",
    "UnreadableFileError",
    "UnsafeFileError",
]


class LoptError(ValueError):
    """Something the user asked for cannot be done, and why.

    Args:
      message: says so; what it quotes of files and their names may hold anything, and
        is made `printable`.
    """

    def __init__(self, message: str = ""):
        super().__init__(printable(str(message)))


class UnknownNameError(LoptError):
    """A name that is not registered, with the nearest names that are.

    Args:
      kind: what was looked up, in the singular, e.g. `"task"`.
      name: the name got.
      known: every allowed name.
      hint: what else to do, as a part of a sentence.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = ""):
        self.kind, self.name = kind, name
        known = sorted(known)
        nearest = nearest_names(name, known)
        if nearest:
            advice = f"did you mean {' or '.join(nearest)}?"
        elif len(known) <= 8:
            advice = f"known: {', '.join(known) or 'none'}."
        else:
            advice = f"none of the {len(known)} known names is near."
        super().__init__(
            f"unknown {kind} {brief(name)}: {advice}" + (f" ({hint})" if hint else "")
        )


class NotRegisteredError(UnknownNameError):
    """A name of nothing that is registered: of no task, set, optimizer or data set."""


class AbsentError(LoptError, ImportError):
    """Something of the published system that is not here.

    Args:
      what: its full name.
      why: what it does, and what to use instead, as the end of a sentence.
    """

    # An ImportError, so that `from module import name` says this and no less.

    def __init__(self, what: str, why: str):
        super().__init__(f"{what} is not part of this package: it {why}.")


class DataNotFoundError(LoptError):
    """A data set's files are nowhere they are looked for."""


class DatasetShapeError(LoptError):
    """A data file does not hold what its format promises."""


class BackendError(LoptError):
    """The backend of jax cannot start: nothing can be trained.

    Args:
      reason: what jax says.
    """

    def __init__(self, reason: str):
        asked = os.environ.get("JAX_PLATFORMS")
        now = f"it is {asked!r}" if asked else "it is not set"
        super().__init__(
            f"jax cannot start its backend, so that nothing was trained: {reason}. "
            f"JAX_PLATFORMS says which to start ({now}): set it to cpu, or to that of "
            "an accelerator of this machine."
        )


class ResultError(LoptError):
    """A result file or archive is missing, unreadable or inconsistent."""


class JaxConfigError(ResultError):
    """Results under a configuration of jax that computes other numbers.

    Args:
      where: the folder or file they are in.
      theirs: the configuration they were trained under, for a person to read.
      ours: the other one.
    """

    def __init__(self, where: str, theirs: str, ours: str):
        self.where, self.theirs, self.ours = where, theirs, ours
        super().__init__(
            f"{where} holds results trained with {theirs}, and these are trained with "
            f"{ours}: a seed means other numbers there, and they cannot share a "
            "folder. Set jax as it was (an environment variable of the same name in "
            "capitals), or LOPT_BASELINE_DIR to another folder, or move the old "
            "results away."
        )


class MissingFileError(ResultError):
    """A file that is not there, or is there no longer."""


class MissingArchiveError(ResultError):
    """A set that is not archived on a task.

    Args:
      task_name: the task.
      hparam_set_name: the set.
      path: where its archive would be.
      archived: names of the sets that are archived on the task.
    """

    def __init__(
        self,
        task_name: str,
        hparam_set_name: str,
        path: str,
        archived: Sequence[str] | None = None,
    ):
        self.task_name, self.hparam_set_name = task_name, hparam_set_name
        self.path = path
        text = f"no archive of {hparam_set_name} on {task_name} at {path}"
        if archived is not None:
            text += f"; archived for this task: {', '.join(archived) or 'nothing'}"
        super().__init__(f"{text}.")


class MissingTrialsError(ResultError):
    """Trials of a set that have no result yet.

    Args:
      task_name: the task.
      hparam_set_name: the set.
      message: how many trials are missing, and which.
      source: the file that defines the set; None if it is known without one.
    """

    def __init__(
        self,
        task_name: str,
        hparam_set_name: str,
        message: str,
        source: str | None = None,
    ):
        self.task_name, self.hparam_set_name = task_name, hparam_set_name
        self.source = source
        super().__init__(message)


class MissingNormalizerError(ResultError):
    """A normalizer that is not on this machine.

    Args:
      name: the normalizer.
      paths: where it was looked for.
      hparam_sets: the sets of its baseline.
      is_published: whether it can be downloaded.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[str],
        hparam_sets: Sequence[str],
        is_published: bool,
    ):
        self.name, self.hparam_sets = name, tuple(hparam_sets)
        self.is_published = is_published
        super().__init__(
            f"there is no {name} at {' or '.join(paths)}. Its baseline is "
            f"{', '.join(hparam_sets)}."
        )


class FileContentError(ResultError):
    """A file that can be reached, but must not be used.

    Args:
      path: the file.
      problem: what is wrong with it.
      remedy: what to do.
      key: the key of the file that is concerned, if it is one.
    """

    remedy = "Delete it and make it again."

    def __init__(
        self,
        path: str,
        problem: str,
        remedy: str | None = None,
        *,
        key: str | None = None,
    ):
        self.path, self.key, self.problem = path, key, problem
        self.remedy = remedy or type(self).remedy
        where = one_line(path)
        if key is not None:
            where += f", key {key!r}"
        super().__init__(f"cannot read {where}: {problem}. {self.remedy}")


class DamagedFileError(FileContentError):
    """A file that does not hold what was written, or not what it should."""

    remedy = (
        "The file is damaged, or not what it should be: delete it and make it again."
    )


class UnsafeFileError(DamagedFileError):
    """A file that would run code when it is read: nothing of it was run."""

    remedy = "Do not trust where it comes from; delete it."


class TooLargeError(FileContentError):
    """A file that says it holds more than may be read."""

    remedy = "If you trust the file, set LOPT_MAX_READ_BYTES to the bytes it may take."


class NotAFileError(FileContentError):
    """What has the name of a file and is none: a pipe, a device, a link to nothing.

    It is never opened: to open a pipe waits for someone to write to it.
    """

    remedy = "Delete it, or give it another name."


class ForbiddenFileError(FileContentError):
    """A local file that this user may not read."""

    remedy = "Change its permissions, or delete it."


class UnreadableFileError(FileContentError):
    """A local file whose disk does not give its bytes; it may do so later."""

    remedy = (
        "Its disk, or the connection to it, has a fault: try again later, or delete "
        "the file."
    )


class NewerSchemaError(FileContentError):
    """A file of a newer version of this package: it is whole, and not for us."""

    remedy = "Install a newer version of optimizer-baselines."


class RunStoppedError(Exception):
    """A run was told to stop, and saved what it had done."""


# Shorter ones are the beginning of too much.
_SHORTEST_FAMILY = 3


def nearest_names(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return at most `n` names of `known` that look like `name`, best first.

    Those of its family, which begin with all of it, count as near: `LionLR_1000_R5` is
    near to `Lion`.
    """
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=n, cutoff=0.6)
    family = name.lower() if len(name) >= _SHORTEST_FAMILY else None
    close += sorted(
        (k for k in by_lower if family and k.startswith(family) and k not in close),
        key=lambda k: (len(k), k),
    )
    return [by_lower[c] for c in close[:n]]


def check_at_least(
    what: str, value: int, minimum: int, maximum: int | None = None
) -> None:
    """Raise `LoptError` unless a value is a whole number within limits.

    Args:
      what: what it is of, as messages name it.
      value: the value.
      minimum: the least allowed.
      maximum: the greatest allowed; None if there is none.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < minimum:
        raise LoptError(
            f"{what} must be a whole number of at least {minimum}, got {brief(value)}."
        )
    if maximum is not None and value > maximum:
        raise LoptError(f"{what} must be at most {maximum:,}, got {brief(value)}.")
