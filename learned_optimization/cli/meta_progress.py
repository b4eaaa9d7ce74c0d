"""How far meta-training has come, on the terminal."""

from __future__ import annotations

import numpy as np
from rich.live import Live

from learned_optimization.cli.output import say
from learned_optimization.cli.tables import Console, is_live
from learned_optimization.outer_trainers.run import MetaProgress


class Display:
    """One line that follows a run, or now and then a line without a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._is_live = is_live(self._console)
        self._live = Live(console=self._console, refresh_per_second=4)
        self._last = 0

    def __enter__(self) -> Display:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_live:
            self._live.stop()

    def show(self, progress: MetaProgress) -> None:
        """Show how far a run has come."""
        text = sentence(progress)
        if self._is_live:
            self._live.update(text)
        elif progress.done == progress.num_steps or (
            progress.done >= self._last + max(1, progress.num_steps // 10)
        ):
            self._last = progress.done
            say(text, err=True)


def sentence(progress: MetaProgress) -> str:
    """Return how far a run has come, in one line."""
    left = (progress.num_steps - progress.done) / progress.steps_per_second
    score = ""
    if progress.score is not None and progress.best_score is not None:
        best = _percent(progress.best_score)
        score = (
            f", held out {_percent(progress.score)} of tuned Adam's loss"
            if np.isfinite(progress.score)
            else ", held out: a run diverged"
        )
        score += f" (best {best})"
    return (
        f"meta-step {progress.done:,} of {progress.num_steps:,}: meta-loss "
        f"{progress.meta_loss:.4f}{score}, {progress.steps_per_second:.1f} per second, "
        f"{left:.0f} s left"
    )


def _percent(score: float) -> str:
    return f"{100 * np.exp(score):.1f}%" if np.isfinite(score) else "none"
