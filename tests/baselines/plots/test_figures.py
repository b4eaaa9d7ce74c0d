"""Figures draw the numbers they say they draw, in the colours of their sets."""

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

from learned_optimization.baselines.plots import figures
from learned_optimization.baselines.plots.curves import draw_best_of_sets
from learned_optimization.baselines.plots.styles import styles
from learned_optimization.errors import LoptError, ResultError
from tests.baselines.archives import write_archive, write_three

NAN = np.nan
FINAL = np.asarray([[0.4, 0.6], [0.2, 0.4], [NAN, 0.1]])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def names():
    write_three("T")
    return write_three("U")


def test_sensitivity():
    write_archive("T", "S", FINAL)
    ax = figures.plot_sensitivity("T", ["S"])
    line, star = ax.get_lines()
    np.testing.assert_allclose(np.asarray(line.get_xdata()), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [0.5, 0.3, NAN])
    [[x, y]] = np.asarray(star.get_xydata())
    assert (x, y) == (0.1, pytest.approx(0.3))
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "final test loss"


THIN = {
    "thin/evaluations": 101,
    "thin/train_losses": 101,
    "thin/loss_bits": 7,
    "thin/other_bits": 4,
}


def test_thin_curves_are_said():
    for task in ("T", "U"):
        write_archive(task, "AdamLR_1000_R5", FINAL[:2], facts=THIN)
        write_archive(task, "LionLR_1000_R5", FINAL[:2])
        write_archive(task, "LambLR_1000_R5", FINAL[:2], facts=THIN)

    def said(*sets: str) -> tuple[str, str]:
        figure = figures.plot_many_tasks(["T", "U"], list(sets))
        [legend] = figure.legends
        ax, _ = draw_best_of_sets("T", sets)
        return legend.get_title().get_text(), ax.get_title().replace("\n", " ")

    adam, lion, lamb = "AdamLR_1000_R5", "LionLR_1000_R5", "LambLR_1000_R5"
    for text in said(adam, lamb):
        assert "thin curves of a release" in text
        assert "thin curves of a release:" not in text
    for text in said(adam, lion, lamb):
        assert "thin curves of a release: Adam, Lamb" in text
    for text in said(lion):
        assert "thin" not in text


def test_sensitivity_needs_learning_rates():
    write_archive("T", "S", [[0.5]])
    with pytest.raises(LoptError, match="none of S has anything of this kind"):
        figures.plot_sensitivity("T", ["S"])
    with pytest.raises(LoptError, match="at least one set"):
        figures.plot_sensitivity("T", [])
    with pytest.raises(ResultError, match="no archive of R"):
        figures.plot_tuning("T", ["R"])


def test_tuning():
    write_archive("T", "S", FINAL[:2])
    write_archive("T", "Worse", FINAL[:2] + 0.05)
    ax = figures.plot_tuning("T", ["S", "Worse"])
    line, worse = ax.get_lines()
    # The expected losses are 0.4 and 0.3: what is drawn is above the lowest of all.
    np.testing.assert_allclose(np.asarray(line.get_xdata()), [1, 2])
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [0.1, 0.0], atol=1e-12)
    np.testing.assert_allclose(np.asarray(worse.get_ydata()), [0.15, 0.05])
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "expected final test loss\nabove the best, 0.3"
    low, high = ax.get_ylim()
    assert 0 < low < 0.05 < 0.15 < high


def test_sensitivity_shows_no_empty_decades():
    # Over 10 configurations, whose rates are 1 ... 10, the loss is low at 3 ... 7.
    final = np.asarray([9, 9, 0.5, 0.4, 0.3, 0.4, 0.5, 9, NAN, NAN])[:, None]
    write_archive("T", "S", final)
    ax = figures.plot_sensitivity("T", ["S"])
    low, high = ax.get_xlim()
    assert 1.7 < low <= 2
    assert 8 <= high < 9
    assert 0.5 < ax.get_ylim()[1] < 1


@pytest.mark.parametrize("tasks", [["T"], ["T", "U"]])
def test_few_tasks_have_no_profile(tasks, names):
    ax = figures.plot_profile(tasks, names)
    verb = "1 has" if len(tasks) == 1 else "2 have"
    assert f"a profile needs 3 tasks and {verb} a target" in ax.get_title()
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert rows[0] == "SGDM"
    assert sorted(rows) == ["Adam", "Lamb", "SGDM"]
    drawn = [line for line in ax.get_lines() if np.size(line.get_xdata())]
    assert len(drawn) == 3 * len(tasks)
    # The fastest set of every task costs 1; it comes first.
    for line in drawn[: len(tasks)]:
        assert np.asarray(line.get_xydata()).tolist() == [[1.0, 0.0]]


def test_profile(names):
    write_three("V")
    ax = figures.plot_profile(["T", "U", "V"], names)
    lines = {str(line.get_label()).split(":")[0]: line for line in ax.get_lines()}
    assert (np.asarray(lines["SGDMLR_1000_R5"].get_ydata()) == 1).all()
    assert "99% of the improvement of Adam (*LR_1000_R5)" in ax.get_title()
    for name in names:
        color = matplotlib.colors.to_hex(lines[name].get_color())
        assert color == styles(names)[name].color.lower()


def test_small_multiples(names, tmp_path):
    fig = figures.plot_many_tasks(["T", "U"], names, num_columns=1)
    assert [ax.get_title() for ax in fig.axes] == ["T", "U"]
    [legend] = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Adam", "SGDM", "Lamb"]
    assert legend.get_title().get_text() == "*LR_1000_R5"
    for ax in fig.axes:
        assert len(ax.get_lines()) == 3
    for ending, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        fig.savefig(tmp_path / f"f{ending}")
        assert (tmp_path / f"f{ending}").read_bytes().startswith(start)
    three = figures.plot_many_tasks(["T", "U", "T"], names)
    assert [ax.axison for ax in three.axes] == [True, True, True, False]
    with pytest.raises(LoptError, match="at least one task"):
        figures.plot_many_tasks([], names)
