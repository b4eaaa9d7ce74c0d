"""Files of figures: their size, their letters, and the same bytes every time."""

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from PIL import Image

from learned_optimization.baselines.plots.saving import SIZES, look, read_size, save
from learned_optimization.errors import LoptError


def figure(size=(4.0, 3.0)):
    with mpl.rc_context(look(size)):
        fig, ax = plt.subplots(figsize=size, layout="constrained")
        ax.plot([1, 2], [3, 4])
        ax.set_title("a title of äöü", fontsize="large")
    return fig


def test_letters_of_a_pdf_are_embedded_truetype(tmp_path):
    save(figure(), tmp_path / "f.pdf")
    data = (tmp_path / "f.pdf").read_bytes()
    assert b"/FontFile2" in data
    assert b"/TrueType" in data or b"/CIDFontType2" in data
    assert b"/Type3" not in data
    [box] = re.findall(rb"/MediaBox \[ *([\d. ]+)\]", data)
    assert [float(part) for part in box.split()] == [0, 0, 4 * 72, 3 * 72]


def test_letters_of_an_svg_are_text(tmp_path):
    save(figure(), tmp_path / "f.svg")
    text = (tmp_path / "f.svg").read_text()
    assert ">a title of äöü</text>" in text
    assert 'width="288pt" height="216pt"' in text


@pytest.mark.parametrize("size", [(4.0, 3.0), (8.0, 5.0)])
def test_pixels(size, tmp_path):
    save(figure(size), tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as image:
        dots = image.width / size[0]
        assert dots in (150, 300)
        assert image.size == (dots * size[0], dots * size[1])


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(ending, tmp_path, monkeypatch):
    save(figure(), tmp_path / f"a.{ending}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    save(figure(), tmp_path / f"b.{ending}")
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in "ab")
    assert first == second
    assert not plt.get_fignums()


def test_sizes():
    assert read_size("6.5x4") == read_size(" 6.5 X 4.0 ") == (6.5, 4.0)
    assert read_size("column") == SIZES["column"]
    for wrong in ("", "6.5", "6.5x", "0x4", "-3x4", "1e9x4", "nanx4", "600x4", "big"):
        with pytest.raises(LoptError, match="column, page, slide, or its width"):
            read_size(wrong)
    assert look((3.3, 2.6))["font.size"] < look((6.8, 3.8))["font.size"]
