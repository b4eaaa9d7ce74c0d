"""Two hyper-parameters at once: what is drawn where, and in which colour."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh

from learned_optimization.baselines import utils
from learned_optimization.baselines.plots.figures import plot_search
from learned_optimization.baselines.plots.searches import has_rate_line, has_search
from learned_optimization.errors import LoptError, UnknownNameError
from tests.baselines.archives import SPLITS, curves_to, gin_text, write_archive


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def write_search(name, rows, losses):
    """An archive of configurations with these hyper-parameters, of two seeds."""
    curves = curves_to(np.repeat(np.asarray(losses, float)[:, None], 2, axis=1))
    shape = curves.shape
    texts = np.asarray([gin_text("Opt", **row) for row in rows])[:, None]
    names = np.asarray([f"Opt_{i}" for i in range(len(rows))])[:, None]
    arrays = {
        "eval/xs": np.broadcast_to(np.arange(shape[2]), shape),
        "opt_name": np.broadcast_to(names, shape[:2]),
        "gin_operative_config": np.broadcast_to(texts, shape[:2]),
    }
    utils.write_archive(
        "T", name, arrays | {f"eval/{split}/loss": curves for split in SPLITS}
    )


RATES, DECAYS = [0.001, 0.01, 0.1], [0.0001, 0.1]
GRID = [
    {"learning_rate": rate, "weight_decay": decay}
    for rate, decay in itertools.product(RATES, DECAYS)
]


def test_a_grid_is_a_heat_map():
    losses = [0.6, 0.5, 0.3, 0.4, 0.9, np.nan]
    write_search("Grid", GRID, losses)
    ax = plot_search("T", "Grid")
    [mesh] = [c for c in ax.collections if isinstance(c, QuadMesh)]
    cells = np.ma.filled(np.ma.asarray(mesh.get_array()), np.nan)
    np.testing.assert_allclose(cells, np.asarray(losses).reshape(3, 2).T)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "weight decay")
    star, cross = sorted(ax.get_lines(), key=lambda line: line.get_marker() == "x")
    assert np.asarray(star.get_xydata()).tolist() == [[0.01, 0.0001]]
    assert np.asarray(cross.get_xydata()).tolist() == [[0.1, 0.1]]
    assert "Grid: 6 configurations, 1 diverged" in ax.get_title()
    # The worse half has one colour: the scale is for what is worth telling apart.
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0.3, 0.5)


def test_a_search_is_a_scatter():
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-4, 0, 30)
    rows = [
        {"learning_rate": float(r), "beta1": float(b), "weight_decay": float(w)}
        for r, b, w in zip(
            rates, rng.uniform(0.5, 0.99, 30), rng.uniform(0, 1, 30), strict=True
        )
    ]
    # The rate matters and beta1 does; the weight decay does not.
    losses = [0.5 + abs(row["beta1"] - 0.5) for row in rows]
    write_search("Search", rows, losses)
    ax = plot_search("T", "Search")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "beta1")
    [dots] = [c for c in ax.collections if isinstance(c, PathCollection)]
    drawn = np.column_stack([dots.get_offsets(), np.asarray(dots.get_array())])
    want = [
        [r["learning_rate"], r["beta1"], x] for r, x in zip(rows, losses, strict=True)
    ]
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(want, axis=0))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    chosen = plot_search("T", "Search", hparams=["weight_decay", "beta1"])
    assert (chosen.get_xlabel(), chosen.get_ylabel()) == ("weight decay", "beta1")
    with pytest.raises(UnknownNameError, match="beta2"):
        plot_search("T", "Search", hparams=["weight_decay", "beta2"])
    with pytest.raises(LoptError, match="two hyper-parameters are needed"):
        plot_search("T", "Search", hparams=["beta1", "beta1"])


def test_what_sets_have():
    write_archive("T", "Rates", [[0.5], [0.4]])
    write_search("Grid", GRID, [0.6, 0.5, 0.3, 0.4, 0.9, 0.8])
    assert not has_search("T", "Rates")
    assert has_rate_line("T", "Rates")
    assert has_search("T", "Grid")
    assert has_rate_line("T", "Grid")
    with pytest.raises(LoptError, match="in Rates on T there is learning_rate"):
        plot_search("T", "Rates")
    write_search("Bad", GRID, [np.nan] * 6)
    with pytest.raises(LoptError, match="no loss of Bad on T is finite"):
        plot_search("T", "Bad")
