"""What shows itself below the cell of a notebook: tables, figures, whole pages."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learned_optimization.errors import UnknownNameError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("curves", "sensitivity", "tuning")
"""What figures show: losses over steps, over learning rates, over configurations."""


class Picture:
    """A figure that shows itself, once.

    Attributes:
      figure: the figure of matplotlib.
    """

    def __init__(self, figure: Figure):
        # It takes a second to import.
        from matplotlib import pyplot as plt

        self.figure = figure
        # Else the notebook would show it a second time.
        plt.close(figure)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=110)
        return file.getvalue()

    def save(self, path: str | Path) -> None:
        """Write it to a file, whose name ends in `.png`, `.svg` or `.pdf`.

        Args:
          path: of the file.

        Raises:
          LoptError: if the name ends otherwise.
        """
        from learned_optimization.baselines.plots import saving

        path = Path(path)
        if path.suffix not in saving.ENDINGS:
            raise UnknownNameError("kind of figure file", path.suffix, saving.ENDINGS)
        saving.save(self.figure, path)


def draw(kind: str, tasks: Sequence[str], sets: Sequence[str]) -> Picture:
    """Return a figure of archived sets.

    Args:
      kind: one of `KINDS`.
      tasks: names of tasks, one panel each.
      sets: names of sets.

    Raises:
      UnknownNameError: if there is no such kind.
      ResultError: if a set is not archived on a task.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of figure", str(kind), KINDS)
    from matplotlib import pyplot as plt

    from learned_optimization.baselines.plots import curves, figures

    if kind == "curves" and len(tasks) > 1:
        return Picture(figures.plot_many_tasks(tasks, sets))
    figure, grid = plt.subplots(
        len(tasks),
        1,
        figsize=(8.0, 4.8 * len(tasks)),
        squeeze=False,
        layout="constrained",
    )
    plot = {
        "curves": curves.plot_tasks_and_sets,
        "sensitivity": figures.plot_sensitivity,
        "tuning": figures.plot_tuning,
    }[kind]
    for task, ax in zip(tasks, grid[:, 0], strict=True):
        plot(task, list(sets), ax=ax)
    return Picture(figure)


class Page:
    """A whole page with its scripts, in a frame of its own below the cell.

    Attributes:
      html: the page.
      height: of the frame, in pixels.
    """

    def __init__(self, html: str, height: int = 800):
        self.html, self.height = html, height

    def _repr_html_(self) -> str:
        return (
            '<iframe sandbox="allow-scripts allow-downloads allow-popups" '
            f'style="width: 100%; height: {self.height}px; border: 0" '
            f'srcdoc="{escape(self.html)}"></iframe>'
        )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as an HTML table: numbers with four digits, what is none empty.

    Args:
      rows: column to value; all have the columns of the first.
    """
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_cell(row[name]))}</td>' for name in rows[0])}"
        "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def paragraphs(sentences: Sequence[str]) -> str:
    """Return sentences as HTML, each a paragraph."""
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
