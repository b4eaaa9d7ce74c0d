"""`lopt plot`: what sets are called, and a figure's size and title."""

import re

import pytest

from learned_optimization.cli.plot import read_labels
from learned_optimization.errors import LoptError, UnknownNameError
from tests.baselines.archives import write_three
from tests.cli.running import TASK, lopt_here

SETS = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"]


def texts(svg):
    """Return what an SVG says, a string per element of text."""
    found = re.findall(r"<text[^>]*>(.*?)</text>", svg, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", text).strip() for text in found]


def test_labels_size_and_title(tmp_path):
    write_three(TASK)
    figure = tmp_path / "figure.svg"
    how = ("--label", "SGDMLR_1000_R5=heavy ball", "--size", "5x4", "--title", "Mine")
    done = lopt_here("plot", TASK, *SETS, *how, "-o", str(figure))
    assert done.returncode == 0, done.stderr
    svg = figure.read_text()
    said = texts(svg)
    assert "Mine" in said
    assert "heavy ball" in said
    assert any(text.startswith("Adam") for text in said)
    assert not any(name in said for name in [*SETS, "SGDM", TASK])
    # 72 points an inch.
    assert 'width="360pt" height="288pt"' in svg


@pytest.mark.parametrize("kind", ["sensitivity", "tuning", "profile"])
def test_labels_of_every_kind(kind, tmp_path):
    write_three(TASK)
    figure = tmp_path / "figure.svg"
    how = ("--kind", kind, "--label", "LambLR_1000_R5=big", "--title", "Mine")
    done = lopt_here("plot", TASK, *SETS, *how, "-o", str(figure))
    assert done.returncode == 0, done.stderr
    said = texts(figure.read_text())
    assert {"Adam", "SGDM", "big", "Mine"} <= set(said)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--size", "huge"], "column, page, slide, or its width and height in inches"),
        (["--label", "LambLR_1000_R5"], "a label is SET=NAME, as AdamLR_1000_R5=Adam"),
        (["--label", "LambLR_1000=x"], "unknown set of the figure 'LambLR_1000'"),
        (["--size", "1x1"], "the figure does not fit in 1 x 1 inches"),
    ],
)
def test_refusals(arguments, problem, tmp_path):
    write_three(TASK)
    figure = tmp_path / "figure.png"
    refused = lopt_here("plot", TASK, *SETS, *arguments, "-o", str(figure))
    assert refused.returncode == 2
    # What is said is wrapped, in a box.
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert problem in said
    assert not figure.exists()


def test_a_label_may_hold_an_equals_sign():
    assert read_labels(["A=b1=0.9", "B=x"], ["A", "B"]) == {"A": "b1=0.9", "B": "x"}


@pytest.mark.parametrize(
    ("given", "error", "problem"),
    [
        (["A=x", "B=x"], LoptError, "two sets are labelled x"),
        (["A=x", "A=y"], LoptError, "A is labelled twice: x and y"),
        (["A= "], LoptError, "a label is SET=NAME"),
        (["C=x"], UnknownNameError, "unknown set of the figure 'C'"),
    ],
)
def test_labels_that_are_refused(given, error, problem):
    with pytest.raises(error, match=problem):
        read_labels(given, ["A", "B"])
