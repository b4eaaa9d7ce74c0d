"""Which process something belongs to, and whether that process has ended."""

from __future__ import annotations

import functools
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

_PROC = Path("/proc")
_AFTER_NAME = ") "
# Fields of /proc/PID/stat, counted from the one after the program's name.
_STATE, _START = 0, 19
# Ended, and its parent has not asked for its exit code yet.
_ZOMBIE = "ZX"


@dataclass(frozen=True)
class Owner:
    """A process, told from every other one on any machine.

    Attributes:
      host: name of the machine.
      machine: text that differs wherever process ids mean something else: on another
        machine, after a restart, and in another container.
      process: id of the process.
      started: when it started, as the machine counts; empty if it does not say.
    """

    host: str
    machine: str
    process: int
    started: str

    @classmethod
    def here(cls) -> Self:
        """Return this process."""
        process = os.getpid()
        _, started = _looked_up(process)
        return cls(socket.gethostname(), _machine(), process, started)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Self:
        """Return the owner that `as_json` gave.

        Raises:
          KeyError, TypeError, ValueError: if the content is none.
        """
        return cls(
            str(content["host"]),
            str(content["machine"]),
            int(content["process"]),
            str(content["started"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the same as a dict that JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    def has_ended(self) -> bool:
        """Return whether the process is known to be gone.

        That is known on its own machine alone: False says nothing of others.
        """
        if self.machine != _machine():
            return False
        try:
            # No signal is sent: it is only looked for.
            os.kill(self.process, 0)
        except PermissionError:
            pass
        except (ProcessLookupError, OverflowError):
            return True
        state, started = _looked_up(self.process)
        # Its id may have been given to another process.
        return state in _ZOMBIE or (bool(started) and started != self.started)


@functools.cache
def _machine() -> str:
    host = socket.gethostname()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{host} {boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return f"{host} {uuid.getnode():x}"


def _looked_up(process: int) -> tuple[str, str]:
    """Return the state of a process and when it started; a blank if nothing says."""
    try:
        text = (_PROC / str(process) / "stat").read_text(errors="replace")
    except OSError:
        return " ", ""
    # The name of the program may hold anything.
    fields = text.rpartition(_AFTER_NAME)[2].split()
    return fields[_STATE], fields[_START]
