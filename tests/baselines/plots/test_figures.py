"""Figures draw the numbers they say they draw, in the colours of their sets."""

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

from learned_optimization.baselines.plots import figures
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
    [line] = figures.plot_tuning("T", ["S"]).get_lines()
    np.testing.assert_allclose(np.asarray(line.get_xdata()), [1, 2])
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [0.4, 0.3])


def test_profile(names):
    ax = figures.plot_profile(["T", "U"], names)
    lines = {str(line.get_label()).split(":")[0]: line for line in ax.get_lines()}
    assert (np.asarray(lines["SGDMLR_1000_R5"].get_ydata()) == 1).all()
    assert "99% of the improvement of AdamLR_1000_R5" in ax.get_title()
    for name in names:
        color = matplotlib.colors.to_hex(lines[name].get_color())
        assert color == styles(names)[name].color.lower()


def test_small_multiples(names, tmp_path):
    fig = figures.plot_many_tasks(["T", "U"], names, num_columns=1)
    assert [ax.get_title() for ax in fig.axes] == ["T", "U"]
    [legend] = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    for ax in fig.axes:
        assert len(ax.get_lines()) == 3
    for ending, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        fig.savefig(tmp_path / f"f{ending}")
        assert (tmp_path / f"f{ending}").read_bytes().startswith(start)
    three = figures.plot_many_tasks(["T", "U", "T"], names)
    assert [ax.axison for ax in three.axes] == [True, True, True, False]
    with pytest.raises(LoptError, match="at least one task"):
        figures.plot_many_tasks([], names)
