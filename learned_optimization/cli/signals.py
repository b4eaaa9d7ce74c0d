"""Ctrl-C and SIGTERM ask a run to stop where it can be taken up again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from learned_optimization.cli.output import say

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Let the first signal within the block ask to stop, and a second stop at once.

    Yields:
      A function that says whether to stop.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Python lets the main thread alone take signals.
        yield asked.is_set
        return

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        name = signal.Signals(number).name
        say(
            f"{name}: stopping once the current step is saved (again: at once)",
            err=True,
        )

    before = {s: signal.signal(s, ask) for s in _SIGNALS}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
