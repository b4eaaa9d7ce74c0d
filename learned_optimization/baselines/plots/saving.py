"""Figures as files: their size and their letters are fit to be printed as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from learned_optimization import filesystem
from learned_optimization.errors import LoptError

Size = tuple[float, float]
"""Width and height, in inches."""

SIZES: dict[str, Size] = {
    "column": (3.3, 2.6),
    "page": (6.8, 3.8),
    "slide": (12.8, 7.2),
}
"""Sizes that have names: a column and the text of a page on paper, a slide."""

ENDINGS = (".png", ".svg", ".pdf")
"""What the name of a figure's file may end in."""

_LEAST, _MOST = 1.0, 60.0
_NO_DATE: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".png": {},
}


def read_size(text: str) -> Size:
    """Return a size as somebody writes it.

    Args:
      text: a name of `SIZES`, or width and height in inches, `6.5x4`.

    Raises:
      LoptError: if it is neither.
    """
    if text in SIZES:
        return SIZES[text]
    number = r"(\d+(?:\.\d*)?|\.\d+)"
    found = re.fullmatch(rf"\s*{number}\s*[xX]\s*{number}\s*", text)
    size = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if not all(_LEAST <= length <= _MOST for length in size):
        raise LoptError(
            f"the size of a figure is {', '.join(SIZES)}, or its width and height in "
            f"inches from {_LEAST:g} to {_MOST:g}, as 6.5x4; got {text!r}."
        )
    return size


def look(size: Size) -> dict[Any, Any]:
    """Return matplotlib's settings for a figure of a size.

    Args:
      size: of the figure. A narrow one has smaller letters and thinner lines, as
        beside the text of a paper.
    """
    width = size[0]
    points = 7.5 if width < 4.5 else 9.5 if width < 12 else 14.0
    return {
        "font.size": points,
        "axes.titlesize": "medium",
        "axes.labelsize": "medium",
        "xtick.labelsize": "small",
        "ytick.labelsize": "small",
        "axes.linewidth": 0.08 * points,
        "lines.markersize": 0.5 * points,
    }


def save(figure: Figure, output: Path) -> None:
    """Write a figure whole, and close it.

    Letters of a PDF are embedded as TrueType, those of an SVG stay text. The same
    figure is the same file: it has no date.

    Args:
      figure: the figure.
      output: its file, whose name ends in one of `ENDINGS`.
    """
    settings: dict[Any, Any] = {
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "figure",
    }
    with mpl.rc_context(settings):
        filesystem.write_whole(
            output.absolute(),
            lambda file: figure.savefig(
                file,
                dpi=150 if figure.get_figwidth() >= 4.5 else 300,
                format=output.suffix[1:],
                metadata=_NO_DATE[output.suffix],
            ),
        )
    plt.close(figure)
