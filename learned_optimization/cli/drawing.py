"""The figures of `lopt plot` and `lopt quickstart`, and where they are written."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from learned_optimization import filesystem
from learned_optimization.baselines.plots import figures
from learned_optimization.baselines.plots.axes import LARGE, set_title
from learned_optimization.baselines.plots.curves import draw_best_of_sets
from learned_optimization.baselines.plots.labels import short_labels
from learned_optimization.baselines.plots.legends import name_lines
from learned_optimization.baselines.plots.panels import draw_panels
from learned_optimization.baselines.plots.saving import ENDINGS, Size, look, save
from learned_optimization.baselines.plots.searches import has_rate_line, has_search
from learned_optimization.cli.best_table import print_best_of_sets
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.errors import LoptError, ResultError

_SIZE = (8.0, 4.8)
"""Of a figure with one panel, in inches, where none is asked for."""

_Panel = Callable[[str, Axes], object]


class Kind(StrEnum):
    """What a figure shows."""

    CURVES = "curves"
    SENSITIVITY = "sensitivity"
    TUNING = "tuning"
    PROFILE = "profile"


@dataclass(frozen=True)
class Form:
    """What somebody wants of a figure, whatever it shows.

    Attributes:
      size: width and height in inches; None for what its content needs.
      title: instead of its own; None for that.
    """

    size: Size | None = None
    title: str | None = None


def check_output(output: Path) -> None:
    """Raise `LoptError` unless a figure can be written there."""
    # As a path, `gs://bucket` has lost one of its slashes.
    if re.match(r"[a-z0-9+]{2,}:/", str(output)):
        raise LoptError(f"figures are drawn to local files, got {output}.")
    if output.suffix not in ENDINGS:
        raise LoptError(
            f"cannot draw {output}: its name must end in {', '.join(ENDINGS)}."
        )
    filesystem.check_writable(output.absolute().parent)


def draw_kind(
    kind: Kind,
    tasks: Sequence[str],
    sets: Sequence[str],
    output: Path,
    form: Form,
    **options: Any,
) -> None:
    """Draw a figure, say what it leaves out and where it is.

    Args:
      kind: what it shows.
      tasks: names of tasks.
      sets: names of archived sets.
      output: the figure's path.
      form: size and title.
      **options: further arguments of the function that draws it.
    """
    options = {"on_left_out": say_left_out, **options}
    _save(lambda: _MAKE[kind](tasks, sets, form, **options), output, form)
    say(f"figure: {output}")


def draw(
    tasks: Sequence[str],
    sets: Sequence[str],
    output: Path,
    form: Form | None = None,
    **options: Any,
) -> None:
    """Draw the best of each set, print the tables, say where the figure is.

    What cannot be drawn is left out of the figure and of the tables, and said.

    Args:
      tasks: names of tasks, one panel per task.
      sets: names of archived sets.
      output: the figure's path.
      form: size and title.
      **options: further arguments of `vis.plot_tasks_and_sets`.
    """
    form = form or Form()
    options = {"on_left_out": say_left_out, **options}
    _save(lambda: _curves(tasks, sets, form, **options), output, form)
    for task in tasks:
        print_best_of_sets(task, sets, select=options.get("select", "outer_valid"))
    say(f"figure: {output}")


def _curves(
    tasks: Sequence[str], sets: Sequence[str], form: Form, **options: Any
) -> Figure:
    if len(tasks) > 1:
        return figures.plot_many_tasks(tasks, sets, size=form.size, **options)
    fig, ax = _one_panel(form)
    _, entries = draw_best_of_sets(tasks[0], sets, ax=ax, **options)
    if form.title:
        set_title(ax, form.title)
    name_lines(ax, entries)
    return fig


def _profile(
    tasks: Sequence[str], sets: Sequence[str], form: Form, **options: Any
) -> Figure:
    fig, ax = _one_panel(form)
    figures.plot_profile(tasks, sets, ax=ax, **options)
    return fig


def _tuning(
    tasks: Sequence[str], sets: Sequence[str], form: Form, **options: Any
) -> Figure:
    def one(task: str, ax: Axes) -> object:
        return figures.plot_tuning(task, sets, ax=ax, **options)

    return _panels([(task, one) for task in tasks], form)


def _sensitivity(
    tasks: Sequence[str], sets: Sequence[str], form: Form, **options: Any
) -> Figure:
    """Draw lines over rates, and below a panel for each set that varies more."""

    def lines(task: str, ax: Axes, names: Sequence[str]) -> object:
        labels = options["labels"] if list(names) == list(sets) else short.of
        return figures.plot_sensitivity(
            task, names, ax=ax, **dict(options, labels=labels)
        )

    short = short_labels(sets, options["labels"])
    splits = {key: options[key] for key in ("select", "split")}
    panels: list[tuple[str, _Panel]] = []
    for task in tasks:
        searches = [name for name in sets if _is(has_search, task, name)]
        # Of others the panel of lines says why they are left out.
        rest = [n for n in sets if n not in searches or _is(has_rate_line, task, n)]
        if rest:
            panels.append((task, functools.partial(lines, names=rest)))
        for name in searches:
            label = short.of[name]
            over_two = functools.partial(_search, name=name, label=label, **splits)
            panels.append((task, over_two))
    return _panels(panels, form)


def _search(task: str, ax: Axes, name: str, label: str, **splits: str) -> Axes:
    return figures.plot_search(task, name, ax=ax, label=label, **splits)


def _is(what: Callable[[str, str], bool], task: str, name: str) -> bool:
    # What cannot be read is said by the panel of lines.
    try:
        return what(task, name)
    except ResultError:
        return False


_MAKE = {
    Kind.CURVES: _curves,
    Kind.SENSITIVITY: _sensitivity,
    Kind.TUNING: _tuning,
    Kind.PROFILE: _profile,
}


def _one_panel(form: Form) -> tuple[Figure, Axes]:
    return plt.subplots(figsize=form.size or _SIZE, layout="constrained")


def _panels(panels: Sequence[tuple[str, _Panel]], form: Form) -> Figure:
    """Draw panels, each of a task, below each other."""
    width, height = _SIZE
    size = form.size or (width, height * len(panels))
    fig = plt.figure(figsize=size, layout="constrained")
    # Parts, as a legend beside one panel must not move what stands beside another.
    parts = fig.subfigures(len(panels), 1, squeeze=False)[:, 0]
    if form.title and len(panels) > 1:
        parts[0].suptitle(form.title, fontsize=LARGE)
    todo = iter(panels)
    draw_panels(
        [task for task, _ in panels],
        [part.subplots() for part in parts],
        lambda task, ax: next(todo)[1](task, ax),
        say_left_out,
    )
    return fig


def _save(figure: Callable[[], Figure], output: Path, form: Form) -> None:
    mpl.use("Agg")
    check_output(output)
    with mpl.rc_context(look(form.size or _SIZE)), warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            made = figure()
            if form.title:
                _retitle(made, form.title)
            save(made, output)
        except UserWarning as nothing_left:
            width, height = plt.gcf().get_size_inches()
            plt.close()
            raise LoptError(
                f"the figure does not fit in {width:g} x {height:g} inches: its names "
                "leave no room for what it draws. Draw fewer sets or tasks, give sets "
                "shorter labels, or make it larger."
            ) from nothing_left


def _retitle(figure: Figure, title: str) -> None:
    """Put a title in place of that of the only panel, or above several."""
    shown = [ax for ax in figure.axes if ax.get_title()]
    if len(shown) == 1:
        set_title(shown[0], title)
    elif not figure.subfigs:
        figure.suptitle(title, fontsize=LARGE)
