"""Selection against a plain loop, smoothing against the closed form, figures."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba_array

from learned_optimization.baselines import utils, vis
from learned_optimization.baselines.analysis import best_of_set as best_of_set_module
from learned_optimization.baselines.analysis.best_of_set import (
    Curves,
    best_of_set,
    load_curves,
    load_final_losses,
)
from learned_optimization.baselines.analysis.hyperparameters import Hyperparameters
from learned_optimization.baselines.release.thin import THIN_KEYS
from learned_optimization.errors import LoptError, ResultError, UnknownNameError

SPLITS = ("train", "outer_valid", "test")


def make_curves(num_configs=4, num_seeds=3, num_evals=21, seed=0):
    rng = np.random.default_rng(seed)
    decay = np.exp(-np.arange(num_evals) / 5)
    scale = 1 + rng.random((num_configs, 1, 1))
    shape = (num_configs, num_seeds, num_evals)
    return Curves(
        xs=np.arange(num_evals, dtype=np.int64) * 10,
        losses={
            split: scale * (decay + 0.1) + 0.01 * rng.random(shape) for split in SPLITS
        },
        opt_names=tuple(f"Opt_lr{i}" for i in range(num_configs)),
        hparams=Hyperparameters(
            tuple({"learning_rate": float(i)} for i in range(num_configs))
        ),
    )


def write(set_name, curves, task="T"):
    shape = curves.losses["train"].shape
    utils.write_archive(
        task,
        set_name,
        {
            "eval/xs": np.broadcast_to(curves.xs, shape),
            "opt_name": np.broadcast_to(np.array(curves.opt_names)[:, None], shape[:2]),
            **{f"eval/{s}/loss": values for s, values in curves.losses.items()},
        },
    )


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_best_is_lowest_mean_final_loss():
    curves = make_curves(num_configs=9, seed=3)
    curves.losses["test"][:] = -curves.losses["test"]
    for select in SPLITS:
        means = [np.mean(config[:, -1]) for config in curves.losses[select]]
        best = best_of_set(curves, select)
        assert best.index == means.index(min(means))
        assert best.opt_name == f"Opt_lr{best.index}"
        np.testing.assert_array_equal(
            best.final["train"], curves.losses["train"][best.index, :, -1]
        )
    assert best_of_set(curves, "train").index != best_of_set(curves, "test").index


def test_diverged_configurations_lose():
    curves = make_curves()
    first = best_of_set(curves)
    assert (first.num_diverged, first.num_trials) == (0, 12)
    assert not first.all_diverged
    curves.losses["outer_valid"][first.index, 1, -1] = np.nan
    second = best_of_set(curves)
    assert second.index != first.index
    assert second.num_diverged == 1


def test_no_configuration_is_best_where_all_diverged():
    curves = make_curves()
    for values in curves.losses.values():
        values[:, 0, -1] = np.nan
    best = best_of_set(curves)
    assert best.all_diverged
    assert not best.at_edge
    write("Bad_1_R3", curves)
    [line] = vis.plot_tasks_and_sets("T", ["Bad_1_R3"]).lines
    assert line.get_label() == "Bad_1_R3: all diverged"


def test_edge_of_the_set_is_noticed():
    curves = make_curves(num_configs=3)
    for index, at_edge in ((0, True), (1, False), (2, True)):
        curves.losses["outer_valid"][:] = 1.0
        curves.losses["outer_valid"][index] = 0.5
        assert best_of_set(curves).at_edge is at_edge


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{}],
        [{"idx": 0}, {"idx": 1}],
        [{"graft_type": "SGD"}, {"graft_type": "ADAM"}],
        [{"nesterov": False}, {"nesterov": True}],
        [{"learning_rate": 0.1}, {"learning_rate": 0.1, "beta1": 0.5}],
        [{"learning_rate": 0.1}, {"learning_rate": None}],
        [{"learning_rate": 0.1, "beta1": 0.9}, {"learning_rate": 0.3, "beta1": 0.8}],
    ],
)
def test_only_a_scale_has_edges(rows):
    curves = make_curves(num_configs=max(len(rows), 1))
    known = Hyperparameters(tuple(rows))
    assert not best_of_set(dataclasses.replace(curves, hparams=known)).at_edge


def test_unknown_split():
    with pytest.raises(UnknownNameError, match="did you mean outer_valid"):
        best_of_set(make_curves(), "outervalid")
    with pytest.raises(UnknownNameError, match="known: outer_valid, test, train"):
        best_of_set(make_curves(), "inner")


def test_smooth_is_a_weighted_mean_of_the_past():
    values = np.random.default_rng(0).random((2, 3, 12))
    got = vis.smooth(values, 0.7)
    for i in range(12):
        weights = 0.7 ** np.arange(i, -1, -1)
        want = (values[..., : i + 1] * weights).sum(-1) / weights.sum()
        np.testing.assert_allclose(got[..., i], want, rtol=1e-12)
    np.testing.assert_array_equal(vis.smooth(values, 0.0), values)
    for bad in (1.0, -0.1):
        with pytest.raises(LoptError, match="ema must be"):
            vis.smooth(values, bad)


def test_smooth_keeps_divergence():
    values = np.ones((1, 6))
    values[0, 3] = np.inf
    got = vis.smooth(values, 0.5)
    assert np.isfinite(got[0, :3]).all()
    assert np.isnan(got[0, 3:]).all()


def test_plot_draws_the_best_of_each_set():
    sets = {"A_1_R3": make_curves(seed=1), "B_1_R3": make_curves(seed=2)}
    for name, curves in sets.items():
        write(name, curves)
    assert load_curves("T", "A_1_R3").opt_names == sets["A_1_R3"].opt_names
    ax = vis.plot_tasks_and_sets("T", list(sets), alpha_on_confidence=0.0)
    assert len(ax.lines) == 2
    assert len(ax.collections) == 0
    for line, curves in zip(ax.lines, sets.values(), strict=True):
        best = best_of_set(curves)
        want = vis.smooth(curves.losses["test"][best.index], 0.9).mean(0)
        np.testing.assert_array_equal(line.get_xdata(), curves.xs)
        np.testing.assert_allclose(np.asarray(line.get_ydata()), want)
    assert ax.get_ylabel() == "test loss"


def test_plot_options():
    write("A_1_R3", make_curves(seed=1))
    write("B_1_R3", make_curves(seed=2))
    _, ax = plt.subplots()
    got = vis.plot_tasks_and_sets(
        "T",
        ["A_1_R3", "B_1_R3"],
        ax=ax,
        alpha_on_confidence=0.3,
        confidence_alpha=0.5,
        labels={"B_1_R3": "mine"},
        colors=["red", "#00ff00"],
        split="train",
    )
    assert got is ax
    assert len(ax.collections) == 2
    assert to_rgba_array(ax.collections[0].get_facecolor())[0, 3] == 0.3
    assert to_rgba_array(ax.collections[0].get_edgecolor())[0, 3] == 0.5
    assert [line.get_color() for line in ax.lines] == ["red", "#00ff00"]
    assert {line.get_label() for line in ax.lines} >= {"mine"}
    assert ax.get_legend() is not None
    bare = vis.plot_tasks_and_sets("T", ["A_1_R3"], legend=False)
    assert bare.get_legend() is None


def test_band_is_one_standard_error_over_seeds():
    curves = make_curves()
    write("A_1_R3", curves)
    ax = vis.plot_tasks_and_sets("T", ["A_1_R3"], ema=0.0)
    values = curves.losses["test"][best_of_set(curves).index]
    half = values.std(0, ddof=1) / np.sqrt(3)
    vertices = np.asarray(ax.collections[0].get_paths()[0].vertices)
    top = np.array([vertices[vertices[:, 0] == x, 1].max() for x in curves.xs])
    np.testing.assert_allclose(top, values.mean(0) + half, rtol=1e-9)


def test_one_poor_or_diverged_set_does_not_flatten_the_others():
    write("A_1_R3", make_curves(seed=1))
    write("B_1_R3", make_curves(seed=2))
    poor = make_curves()
    for values in poor.losses.values():
        values[:] = 1e6
    write("Poor_1_R3", poor)
    diverged = make_curves()
    for values in diverged.losses.values():
        values[:, :, 2:] = np.nan
    write("Diverged_1_R3", diverged)
    sets = ["Poor_1_R3", "Diverged_1_R3", "A_1_R3", "B_1_R3"]
    assert vis.plot_tasks_and_sets("T", sets).get_ylim()[1] < 5
    wide = vis.plot_tasks_and_sets("T", sets, always_include_first_opt=True)
    assert wide.get_ylim()[1] > 1e6
    vis.plot_tasks_and_sets("T", ["Diverged_1_R3"], always_include_first_opt=True)


def test_plot_refusals():
    write("A_1_R3", make_curves())
    with pytest.raises(ResultError, match="archived for this task: A_1_R3"):
        vis.plot_tasks_and_sets("T", ["A_1_R3", "C_1_R3"])
    with pytest.raises(LoptError, match="at least one set"):
        vis.plot_tasks_and_sets("T", [])
    with pytest.raises(UnknownNameError, match="split"):
        vis.plot_tasks_and_sets("T", ["A_1_R3"], split="validation")
    assert plt.get_fignums() == []


def test_published_form_with_fifteen_rates_and_float64_loads():
    curves = make_curves(num_configs=15, num_seeds=5)
    write("AdamLR_10000_R5", curves)
    loaded = load_curves("T", "AdamLR_10000_R5")
    assert loaded.losses["test"].shape == (15, 5, 21)
    assert loaded.losses["test"].dtype == np.float64


def test_no_stale_curve_is_ever_seen(monkeypatch):
    reads = []
    real = best_of_set_module.read_archive
    monkeypatch.setattr(
        best_of_set_module,
        "read_archive",
        lambda path, keys, **how: reads.append(keys) or real(path, keys, **how),
    )
    old, new = make_curves(seed=1), make_curves(seed=2)
    write("A_1_R3", old)
    for _ in range(3):
        assert load_curves("T", "A_1_R3").opt_names == old.opt_names
        load_final_losses("T", "A_1_R3")
    rest = [*best_of_set_module.WHOLE_KEYS, *THIN_KEYS]
    assert reads == [best_of_set_module.CURVE_KEYS, rest]
    # Archived again: the same names, shapes and size, other losses.
    write("A_1_R3", new)
    for ends in (load_curves("T", "A_1_R3"), load_final_losses("T", "A_1_R3")):
        best = best_of_set(ends)
        np.testing.assert_array_equal(
            best.final["test"], new.losses["test"][best.index, :, -1]
        )
    [line] = vis.plot_tasks_and_sets("T", ["A_1_R3"], ema=0.0).get_lines()
    np.testing.assert_allclose(
        np.asarray(line.get_ydata()), new.losses["test"][best.index].mean(axis=0)
    )
    # Deleted: gone at once. Nobody may change what others will be given.
    utils.delete_archive("T", "A_1_R3")
    for load in (load_curves, load_final_losses):
        with pytest.raises(ResultError, match="no archive"):
            load("T", "A_1_R3")
    write("A_1_R3", old)
    with pytest.raises(ValueError, match="read-only"):
        load_curves("T", "A_1_R3").losses["test"][:] = 0
