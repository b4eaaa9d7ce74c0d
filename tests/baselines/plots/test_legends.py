"""Names of lines are where they can be read: measured on figures as they are drawn."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Annotation, Text

from learned_optimization.baselines.plots import figures
from learned_optimization.baselines.plots.curves import draw_best_of_sets
from learned_optimization.baselines.plots.legends import (
    Entry,
    add_legend,
    label_ends,
    name_lines,
)
from learned_optimization.baselines.plots.saving import SIZES, look
from learned_optimization.cli.drawing import Form, Kind, draw_kind
from learned_optimization.errors import LoptError
from tests.baselines.archives import write_archive

SIXTEEN = [f"Optimizer{chr(65 + i) * (3 + 2 * i)}LR_1000_R5" for i in range(16)]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def lines_to(ends, size=(8.0, 4.8), names=None):
    """Axes with lines that end at given heights between 0 and 1."""
    with mpl.rc_context(look(size)):
        _, ax = plt.subplots(figsize=size, layout="constrained")
    entries = []
    for i, end in enumerate(ends):
        [line] = ax.plot([0, 1], [0.5, end])
        name = names[i] if names else f"set {i}"
        entries.append(Entry(line, name, f"{name}: lr 0.001"))
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="updates", ylabel="loss")
    return ax, entries


def boxes_of(ax):
    ax.figure.draw_without_rendering()
    return [
        text.get_window_extent() if not isinstance(text, Annotation) else text_box(text)
        for text in ax.texts
    ]


def text_box(text):
    """Return the box of the letters alone, without the line to what they name."""
    return Text.get_window_extent(text)


def check_legend(ax):
    """Check that a legend is beside or below the data, and take how much it takes."""
    figure = ax.figure
    figure.draw_without_rendering()
    legend = ax.get_legend() or figure.legends[0]
    box = legend.get_window_extent()
    assert not box.overlaps(ax.bbox)
    assert not box.overlaps(ax.xaxis.label.get_window_extent())
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.width + 1
    if box.y0 > ax.bbox.y0:
        assert box.width <= 0.25 * figure.bbox.width
    else:
        assert box.y1 <= ax.bbox.y0
    return box


@pytest.mark.parametrize("size", [*SIZES.values(), (8.0, 4.8)])
@pytest.mark.parametrize("names", [["a"], ["a", "b"], SIXTEEN[:6], SIXTEEN])
def test_a_legend_takes_a_quarter_of_the_width_or_none(size, names):
    if size == SIZES["column"]:
        # More do not fit, see `test_what_does_not_fit_is_said`.
        names = names[:6]
    with mpl.rc_context(look(size)):
        ax, entries = lines_to(np.linspace(0, 1, len(names)), size, names)
        add_legend(ax, entries)
        box = check_legend(ax)
    if len(names) < 3:
        assert box.x0 >= ax.bbox.x1


@pytest.mark.parametrize(
    "ends",
    [[0.5], [0.5, 0.5, 0.5], [0.0, 0.01, 1.0], np.linspace(0.2, 0.5, 8), [0.7, 0.3]],
)
def test_names_at_ends_do_not_touch(ends):
    ax, entries = lines_to(ends)
    assert label_ends(ax, entries)
    boxes = boxes_of(ax)
    assert len(boxes) == len(ends)
    assert all(not a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    figure = ax.figure.bbox
    for box, text, entry in zip(boxes, ax.texts, entries, strict=True):
        assert text.get_text() == entry.longer
        assert box.x0 >= ax.bbox.x1
        assert box.x1 - ax.bbox.x1 <= 0.25 * figure.width
        assert box.x1 <= figure.width
        assert ax.bbox.y0 - 1 <= box.y0 <= box.y1 <= ax.bbox.y1 + 1
    heights = [box.y0 for box in boxes]
    order = np.argsort(ends, kind="stable")
    if len(set(ends)) == len(ends):
        assert np.array_equal(np.argsort(heights), order)


@pytest.mark.parametrize(
    "ends", [[0.5] * 16, [0.5, np.nan], [0.5, 1.5], [np.nan]], ids=str
)
def test_where_names_do_not_fit_there_is_a_legend(ends):
    ax, entries = lines_to(ends)
    name_lines(ax, entries)
    assert not ax.texts
    legend = ax.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == len(ends)


def test_names_too_long_for_the_ends():
    ax, entries = lines_to([0.2, 0.8], names=["x" * 25, "y"])
    assert label_ends(ax, entries)
    assert [text.get_text() for text in ax.texts] == ["x" * 25, "y"]
    ax, entries = lines_to([0.2, 0.8], names=["x" * 80, "y"])
    assert not label_ends(ax, entries)


def test_curves_that_diverged_are_named():
    write_archive("T", "Good_1_R2", [[0.5, 0.6], [0.4, 0.4]])
    write_archive("T", "Bad_1_R2", [[np.nan, np.nan]])
    ax, entries = draw_best_of_sets("T", ["Bad_1_R2", "Good_1_R2"])
    assert [e.text for e in entries] == ["Good", "Bad (diverged)"]
    assert entries[0].longer == "Good: lr 0.1"
    assert "(*_1_R2)" in ax.get_title()


@pytest.mark.parametrize("num_tasks", [1, 4])
def test_sixteen_sets_with_long_names(num_tasks):
    tasks = [f"Task{i}" for i in range(num_tasks)]
    for task, (i, name) in itertools.product(tasks, enumerate(SIXTEEN)):
        write_archive(task, name, [[0.3 + 0.01 * i] * 2, [0.5, 0.6]])
    made = [figures.plot_sensitivity("Task0", SIXTEEN)]
    if num_tasks > 1:
        made.append(figures.plot_many_tasks(tasks, SIXTEEN).axes[-1])
    else:
        made.append(figures.plot_tuning("Task0", SIXTEEN))
    for ax in made:
        check_legend(ax)


def test_a_title_is_as_wide_as_the_figure_at_most(tmp_path, monkeypatch):
    task = "ImageMLP_" + "Aa_" * 30
    write_archive(task, "S_1_R2", [[0.5, 0.6], [0.4, 0.4]])
    drawn = []
    monkeypatch.setattr(
        "learned_optimization.cli.drawing.save", lambda figure, _: drawn.append(figure)
    )
    for kind, size in itertools.product(Kind, SIZES.values()):
        options = {"labels": {}, "select": "outer_valid", "split": "test"}
        draw_kind(kind, [task], ["S_1_R2"], tmp_path / "f.pdf", Form(size), **options)
        figure = drawn.pop()
        figure.draw_without_rendering()
        for ax in figure.axes:
            box = ax.title.get_window_extent()
            assert box.x0 >= 0, (kind, size)
            assert box.x1 <= figure.bbox.width, (kind, size)
            assert box.y1 <= figure.bbox.height, (kind, size)


def test_what_does_not_fit_is_said(tmp_path):
    for i, name in enumerate(SIXTEEN):
        write_archive("T", name, [[0.3 + 0.01 * i] * 2, [0.5, 0.6]])
    options = {"labels": {}, "select": "outer_valid", "split": "test"}
    form = Form(SIZES["column"])
    with pytest.raises(LoptError, match=r"does not fit in 3\.3 x 2\.6 inches"):
        draw_kind(Kind.CURVES, ["T"], SIXTEEN, tmp_path / "f.pdf", form, **options)
    assert not (tmp_path / "f.pdf").exists()
    assert not plt.get_fignums()
