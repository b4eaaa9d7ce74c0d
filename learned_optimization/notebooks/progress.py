"""How far a sweep or a race has come: a bar of widgets, or lines now and then."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import Any, Self

from learned_optimization.baselines.report.race_data import headline
from learned_optimization.baselines.sweeps.counting import CountingObserver, NowAndThen
from learned_optimization.baselines.sweeps.race_standing import RaceStanding

# The messages of a browser far away must not slow the training.
_SECONDS_BETWEEN_DRAWINGS = 0.2


class TextProgress(CountingObserver):
    """A `RaceObserver` that prints lines: what is done, and now and then how far it is.

    It is a context, as a bar is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now_and_then = NowAndThen(self.say)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Leave the context."""

    def show(self) -> None:
        """Print a line if it is time for one."""
        if self.done:
            self._now_and_then(self.line)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def say_finished(self, text: str) -> None:
        """Print that a grid is done."""
        self.say(text)

    def looked(self, standing: RaceStanding) -> None:
        """Print how a race stands."""
        self.say(headline(standing))


class WidgetProgress(TextProgress):
    """The same with a bar of ipywidgets, which draws over itself."""

    def __init__(self) -> None:
        super().__init__()
        # It need not be installed.
        import ipywidgets

        self._bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0)
        self._text = ipywidgets.Label(self.what)
        self._box = ipywidgets.HBox([self._bar, self._text])
        self._drawn = 0.0

    def __enter__(self) -> Self:
        from IPython.display import display

        display(self._box)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Leave the bar as it ends."""
        self._bar.bar_style = "success" if kind is None else "danger"
        if kind is None:
            self._bar.value = 1.0
        self._draw("done" if kind is None else "stopped")

    def show(self) -> None:
        """Move the bar."""
        if time.monotonic() - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._bar.value = self.done / self.total
            self._draw(self.what)

    def say_finished(self, text: str) -> None:
        """Leave it to the bar to show that a grid is done."""

    def _draw(self, what: str) -> None:
        self.what = what
        self._drawn = time.monotonic()
        self._text.value = self.line()


def progress() -> Any:
    """Return what shows progress here: a bar in a notebook that has widgets."""
    is_installed = importlib.util.find_spec("ipywidgets") is not None
    return WidgetProgress() if is_installed and _is_in_kernel() else TextProgress()


def _is_in_kernel() -> bool:
    # A terminal with IPython has a shell too, and shows no widgets.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
