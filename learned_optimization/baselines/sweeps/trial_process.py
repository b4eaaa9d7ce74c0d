"""What a process does that trains trials which are stepped in Python, one by one."""

from __future__ import annotations

import multiprocessing
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.observing import SilentObserver, SweepSummary
from learned_optimization.baselines.sweeps.remade import Recipe, read_files
from learned_optimization.baselines.sweeps.running import SweepRun
from learned_optimization.errors import LoptError, RunStoppedError
from learned_optimization.eval_training import Progress, Strategy, keep_compiled
from learned_optimization.text import named, said


@dataclass(frozen=True)
class Answer:
    """What a process says of its trial.

    Attributes:
      progress: how far it is.
      summary: what was done, at the end.
      is_stopped: whether it was told to stop, and has saved.
      error: what ends the whole sweep.
      warnings: the texts of warnings.
    """

    progress: Progress | None = None
    summary: SweepSummary | None = None
    is_stopped: bool = False
    error: LoptError | None = None
    warnings: tuple[str, ...] = ()


def train_trials(
    connection: Connection,
    stop: Any,
    files: Sequence[str],
    strategy: Strategy | None,
) -> None:
    """Train the trials that are sent, until the connection is closed.

    Args:
      connection: where each `Recipe` comes from, and each `Answer` goes to.
      stop: an event, set when trials are to be saved and left.
      files: real paths of files to read first.
      strategy: how gradients are compiled.
    """
    # Ctrl-C reaches every process of the terminal: the one that began this decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def should_stop() -> bool:
        return stop.is_set() or not (parent is None or parent.is_alive())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        keep_compiled()
        is_ready = False
        while True:
            try:
                recipe: Recipe = connection.recv()
                if not is_ready:
                    read_files(files)
                    is_ready = True
                answer = _trained(recipe, connection, should_stop, strategy)
            except EOFError:
                return
            except LoptError as error:
                # A subclass may need more arguments than a message: it cannot be
                # pickled.
                answer = Answer(error=LoptError(said(error)))
            texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
            caught.clear()
            try:
                connection.send(replace(answer, warnings=texts))
            except OSError:
                # Nobody listens any more.
                return


def _trained(
    recipe: Recipe,
    connection: Connection,
    should_stop: Callable[[], bool],
    strategy: Strategy | None,
) -> Answer:
    try:
        trial = recipe.make()
        run = SweepRun(
            [trial], _Reporter(connection), should_stop, strategy, float("inf")
        )
        return Answer(summary=run.run())
    except RunStoppedError:
        return Answer(is_stopped=True)
    except LoptError:
        raise
    except Exception as error:
        failed = SweepSummary(num_trials=1, num_failed=1, failures=[named(error)])
        return Answer(summary=failed)


class _Reporter(SilentObserver):
    """An observer that sends how far the trial is."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def progressed(self, grid: TrialGrid, progress: Progress) -> None:
        """Report how far it is."""
        del grid
        try:
            self._connection.send(Answer(progress=progress))
        except OSError:
            # Nobody listens any more; it is told to stop soon.
            return
